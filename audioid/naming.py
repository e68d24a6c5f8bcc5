"""What tells runs apart: a run's name, and its row in a table of hyperparameters."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath
from typing import Any

PATHS = ("data.root", "data.file")
LITERALS = (*PATHS, "data.group_pattern")  # long, and full of signs that no file name may hold
# Say where files go, how runs are compared, or which are trained together.
PLACES = ("resume", "store.", "logger", "metric", "margin", "tune.", "trainer.parallel_seeds")
MAX_NAME = 120  # bytes: a name is also a folder's, and many such folders make a path

Scalar = bool | int | float | str


def run_name(
    transform: str, seed: int, overrides: Sequence[str], swept: Collection[str] | None, known: Collection[str]
) -> str:
    """What tells this run from others in a list, such as `cwt width=32 seed=0`, as a legal name of a folder anywhere.

    In a sweep only the `swept` keys are in it; in a single run (None) all that were chosen but paths and patterns.
    Of a key only the last word is written where no other of the `known` keys ends in it.
    """
    words = [transform]
    for key, value in _chosen(overrides).items():
        if key in ("transform", "seed") or (key in LITERALS if swept is None else key not in swept):
            continue
        last = key.rpartition(".")[2]
        is_clear = sum(name.rpartition(".")[2] == last for name in known) == 1
        words.append(f"{last if is_clear else key}={_written(key, value)}")
    name = " ".join([*words, f"seed={seed}"])
    if len(name.encode()) > MAX_NAME:
        name = f"{name.encode()[: MAX_NAME - 9].decode(errors='ignore').rstrip()} {_digest(name)}"
    return name


def hyperparameters(settings: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Scalar]:
    """The transform, the seed, the recordings and every key that was chosen, with the value in `settings`.

    `data` is the name of the folder or file of recordings, or of the option that needs none: keys that only some runs
    have would leave the others out of TensorBoard's parallel coordinates. Another group stands for the name of its
    option. A choice that `settings` does not hold, as an experiment's name, keeps the text of the command line.
    """
    row: dict[str, Scalar] = {}
    for key, text in ({"transform": "", "seed": "", "data": ""} | _chosen(overrides)).items():
        if key in PATHS:
            continue
        value: Any = settings
        for part in key.split("."):
            value = value.get(part, text) if isinstance(value, Mapping) else text
        if isinstance(value, Mapping):
            source = value.get("root") or value.get("file") if key == "data" else None
            value = PurePath(source).name or source if source else value.get("name", text)
        row[key] = value if isinstance(value, Scalar) else str(value)
    return row


def _chosen(overrides: Sequence[str]) -> dict[str, str]:
    """The keys of the command line and their values as they were written there, but those that say where files go."""
    parts = (text.lstrip("+").partition("=") for text in overrides)
    return {key: value for key, _, value in parts if not key.startswith(PLACES)}


def _written(key: str, value: str) -> str:
    """A value as part of a file name; where that loses something, a digest keeps it different."""
    plain = value.strip("'\"[]").replace(", ", ",").replace(",", "-")
    if key in LITERALS:
        plain = PurePath(plain).name if key in PATHS else ""
    legal = re.sub(r"[^\w .+-]", "_", plain).strip()
    return legal if legal == value.strip("'\"[]").replace(",", "-") else f"{legal}-{_digest(value)}".lstrip("-")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
