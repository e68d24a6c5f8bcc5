"""The runs below a folder, read from what they left there."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from audioid.errors import AudioidError
from audioid.files import read_yaml
from audioid.schema import Section, flat
from audioid.validation import checked

# What may differ between paired runs, or says where files lie rather than what was done with them.
# The recordings themselves are known by `index_digest`.
NOT_SETTINGS = (
    "seed",
    "split.seed",
    "split.fold",
    "resume",
    "store.",
    "data.root",
    "data.file",
    "logger",
    "trainer.profiler",
    "hydra.",
)


class Metrics(Section):
    """What a comparison takes from `metrics.json`."""

    transform: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    split_seed: Annotated[int, Field(ge=0, lt=2**63)]
    fold: Annotated[int, Field(ge=0, lt=2**31)] | None
    train_accuracy: Annotated[float, Field(ge=0, le=1)]
    test_accuracy: Annotated[float, Field(ge=0, le=1)]
    n_test: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(ge=0)]
    index_digest: str
    commit: str | None


class Run(Metrics):
    """One finished run; `settings` are the choices that must agree in a comparison."""

    folder: Path
    options: dict[str, str]  # of the transform
    settings: dict[str, str]

    @property
    def pairing(self) -> tuple[int, int, int | None]:
        """What the two runs of a pair share."""
        return self.seed, self.split_seed, self.fold


@dataclass(frozen=True)
class LeftOut:
    folder: Path
    reason: str


def find_runs(root: Path) -> tuple[list[Run], list[LeftOut]]:
    """All runs at or below `root`, and those that cannot be used: unfinished, damaged, or done again later.

    Where the options of one transform differ between runs, they are added to its name: `cwt wavelet=mexh`.

    Raises:
        AudioidError: `root` is no folder, or holds no finished run.
    """
    if not root.is_dir():
        raise AudioidError(f"{root}: is no folder; name the one that the runs were written to")
    runs, left_out = [], []
    for folder in sorted({path.parent for name in ("metrics.json", ".hydra") for path in root.rglob(name)}):
        try:
            runs.append(_read(folder))
        except Exception as error:  # whatever is wrong with one run, the others can be compared
            left_out.append(LeftOut(folder, (str(error) or type(error).__name__).splitlines()[0]))
    if not runs:
        why = f" ({left_out[0].folder}: {left_out[0].reason})" if left_out else ""
        raise AudioidError(f"{root}: holds no finished run{why}; train first, or name another folder")
    newest, repeated = _newest(_told_apart(runs))
    return newest, left_out + repeated


def _read(folder: Path) -> Run:
    """The run in `folder`; ValueError says what is wrong with it."""
    file = folder / "metrics.json"
    if not file.is_file():
        raise ValueError("has no metrics.json: the run is not finished")
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not isinstance(found.get("seconds"), dict):
        raise ValueError("metrics.json: holds no figures of a run")
    found |= {"seconds": found["seconds"].get("total"), "commit": found.get("commit")}
    metrics = checked(Metrics, {key: found[key] for key in Metrics.model_fields if key in found}, "metrics.json")
    config = folder / ".hydra" / "config.yaml"
    choices = {key: str(value) for key, value in flat(read_yaml(config) if config.is_file() else {}).items()}
    if (last := found.get("max_epochs")) is not None:
        # After a change on the way the learning rate did not follow the curve of an unbroken run.
        choices["trainer.max_epochs"] = ", then ".join(map(str, [*(found.get("earlier_max_epochs") or []), last]))
    return Run(
        **metrics.model_dump(),
        folder=folder,
        options={k.removeprefix("transform."): v for k, v in choices.items() if k.startswith("transform.")},
        settings={k: v for k, v in choices.items() if not k.startswith(("transform.", *NOT_SETTINGS))},
    )


def varying(dictionaries: list[dict[str, str]]) -> list[str]:
    """The keys whose values are not the same in all of the dictionaries."""
    keys = sorted({key for dictionary in dictionaries for key in dictionary})
    return [key for key in keys if len({dictionary.get(key) for dictionary in dictionaries}) > 1]


def _told_apart(runs: list[Run]) -> list[Run]:
    """The runs with the differing options of a transform in its name."""
    options = defaultdict(list)
    for run in runs:
        options[run.transform].append(run.options)
    keys = {transform: varying(found) for transform, found in options.items()}

    def name(run: Run) -> str:
        return " ".join([run.transform, *(f"{key}={run.options.get(key)}" for key in keys[run.transform])])

    return [run.model_copy(update={"transform": name(run)}) for run in runs]


def _newest(runs: list[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Of runs that did the very same, the one written last: counting them twice would feign certainty."""
    kept: dict[object, Run] = {}
    left_out = []
    for run in sorted(runs, key=lambda run: (run.folder / "metrics.json").stat().st_mtime_ns):
        same = (run.transform, run.pairing, run.index_digest, tuple(sorted(run.settings.items())))
        if same in kept:
            left_out.append(LeftOut(kept[same].folder, f"was done again later in {run.folder}"))
        kept[same] = run
    return sorted(kept.values(), key=lambda run: run.folder), left_out
