"""What `model.json` of a model folder says of the network: plain JSON, read without torch."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from audioid import registry
from audioid.errors import AudioidError
from audioid.schema import Section
from audioid.validation import RENAMED, checked, checked_option

# 1: images of one channel, keys of older names, weights of one flat row of layers; 2: nothing of how sure answers are
FORMAT = 3
DESCRIPTION = "model.json"
WEIGHTS = "weights.safetensors"
# What memory allows, also where a folder of others asks for more: samples of a clip, and numbers of a matrix.
MOST_SAMPLES, MOST_WEIGHTS = 2**27, 2**27
EVERYTHING = "everything"  # in a run's folder, what learned from all of its recordings
SECTIONS = ("audio", "image", "transform", "model")  # groups of `audioid.schema.Settings`


class SurenessDescription(Section):
    """What was measured of answers, shares or null, and the recordings that others are held to: path and label."""

    false_rejections: float
    known_rejected: float | None
    generated_rejected: float | None
    unknown_rejected: float | None
    known: list[list[str]]


class TrainedOn(Section):
    """How many recordings a model has learned from, of what corpus, and by what code."""

    recordings: int
    index_digest: str
    audioid: str
    commit: str | None


class Description(Section):
    """What `model.json` holds."""

    format: int
    labels: list[str]
    audio: dict[str, Any]
    image: dict[str, Any]
    transform: dict[str, Any]
    model: dict[str, Any]
    weights_sha256: str
    sureness: SurenessDescription | None = None
    trained_on: TrainedOn | None = None


def place_of(folder: Path) -> Path:
    """The model folder that is meant: `folder` itself, or the folder `model` of that run."""
    is_run = not (folder / DESCRIPTION).exists() and (folder / "model" / DESCRIPTION).exists()
    return folder / "model" if is_run else folder


def place_for_use(folder: Path) -> Path:
    """As `place_of`, but of a run what learned from everything, if anything did: nobody is judged by it."""
    everything = folder / EVERYTHING / "model"
    is_there = not (folder / DESCRIPTION).exists() and (everything / DESCRIPTION).exists()
    return everything if is_there else place_of(folder)


def checked_weights(folder: Path, description: Description) -> bytes:
    """What `weights.safetensors` in `folder` holds.

    Raises:
        AudioidError: it is missing, or has not the description's checksum.
    """
    file = folder / WEIGHTS
    try:
        _refuse_endless(file)
        content = file.read_bytes()
    except OSError as error:
        raise AudioidError(f"{file}: {error.strerror}; copy the model folder again") from error
    if hashlib.sha256(content).hexdigest() != description.weights_sha256:
        raise AudioidError(
            f"{file}: is damaged, or of another model than {DESCRIPTION} beside it (its checksum is not the one "
            "given there); copy the model folder again"
        )
    return content


def read_description(file: Path) -> Description:
    """What `file` holds, its settings as they stand there: `check_options` judges them.

    Raises:
        AudioidError: it is missing, damaged, or of another format.
    """
    try:
        _refuse_endless(file)
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AudioidError(f"{file}: {error.strerror}; name the model folder of a finished run, RUN/model") from error
    except (ValueError, RecursionError) as error:
        raise AudioidError(f"{file}: is no JSON ({error}); copy the model folder again") from error
    number = found.get("format") if isinstance(found, dict) else None
    if type(number) is int and not 1 <= number <= FORMAT:
        raise AudioidError(
            f"{file}: is of format {number}, and this program reads 1 to {FORMAT}; use the one that wrote it"
        )
    try:
        description = checked(Description, found if number != 1 else _of_today(found), "")
        _refuse_labels(description.labels)
    except AudioidError as error:
        raise AudioidError(_told(file, error)) from error
    return description


def check_options(description: Description, file: Path, trust: Collection[str]) -> None:
    """Raises AudioidError where the settings could not be chosen, or are code of others that is not in `trust`."""
    try:
        for group, values in (("transform", description.transform), ("model", description.model)):
            name = values.get("name")
            if isinstance(name, str) and name in registry.others(group):
                registry.refuse_untrusted(group, name, trust)
                registry.import_option(group, name)
        for section in SECTIONS:
            checked_option(section, getattr(description, section))
        if description.audio["seconds"] == "auto":
            raise AudioidError("audio.seconds: auto is no length; it must be a number")
        samples = description.audio["seconds"] * description.audio["sample_rate"]
        if samples > MOST_SAMPLES:
            raise AudioidError(f"audio.seconds: is too long, {samples:,.0f} samples; it must be shorter")
        n_fft, n_mels = (description.transform.get(key) for key in ("n_fft", "n_mels"))
        if isinstance(n_fft, int) and isinstance(n_mels, int) and n_fft * n_mels > MOST_WEIGHTS:
            raise AudioidError(f"transform.n_mels: is too large beside n_fft {n_fft}; it must be lower")
    except AudioidError as error:
        raise AudioidError(_told(file, error)) from error
    if (target := description.model.get("target")) is not None and target not in trust:
        raise AudioidError(f"{file}: runs the code of {target}; if you trust it, --trust {target}")


def _refuse_endless(file: Path) -> None:
    """Raises OSError for what is there and no file: a pipe or a device may have no end."""
    if file.exists() and not file.is_file():
        raise OSError(None, "is no file")


def _told(file: Path, error: AudioidError) -> str:
    text = str(error).removesuffix("; correct it")
    return f"{file}: {text}" + ("" if "--trust" in text else "; copy the model folder again")


def _of_today(found: dict[str, Any]) -> dict[str, Any]:
    """A description of format 1 with today's keys."""

    def renamed(section: str, values: Any) -> Any:
        if section not in SECTIONS or not isinstance(values, dict):
            return values
        names = {key: RENAMED.get(f"{section}.{key}", f".{key}").partition(".")[2] for key in values}
        return {names[key]: value for key, value in values.items()}

    return {key: renamed(key, value) for key, value in found.items()}


def _refuse_labels(labels: list[str]) -> None:
    if not labels:
        raise AudioidError("labels: there are none")
    if len(set(labels)) < len(labels):
        raise AudioidError("labels: holds a name twice")
    if any(label != label.encode(errors="ignore").decode() for label in labels):
        raise AudioidError("labels: holds a name that is no Unicode text")
