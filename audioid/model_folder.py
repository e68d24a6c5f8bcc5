"""The folder in which a trained network is kept: weights as safetensors, everything else as plain JSON.

Loading needs neither the recordings nor the configuration, and nothing in the folder can run code. Where the network
is code that does not come with audioid, the folder only names it, and whoever loads it must name it too.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as as_bytes
from torch import Tensor

from audioid.classifier import AudioClassifier, build_classifier
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.model_description import (
    DESCRIPTION,
    FORMAT,
    WEIGHTS,
    Description,
    TrainedOn,
    check_options,
    checked_weights,
    place_of,
    read_description,
)
from audioid.models import from_format_1
from audioid.registry import BUILT_IN
from audioid.sureness import Sureness


class KnownRecording(NamedTuple):
    """A recording that a model has learned from."""

    path: str
    label: str


@dataclass(frozen=True)
class Sure:
    """A model's sureness, the recordings that it holds others to, and what `model.json` says of it (0 to 1)."""

    sureness: Sureness
    known: Sequence[KnownRecording]
    figures: Mapping[str, float | None]


SURENESS = "sureness."  # what its tensors' names begin with


@dataclass(frozen=True)
class TrainedModel:
    """What turns recordings into names."""

    labels: list[str]
    audio: dict[str, Any]  # the keyword arguments of `audioid.data.clips.load_clips`
    classifier: AudioClassifier  # in evaluation mode
    sureness: Sureness | None = None  # older folders and some weights to start from have none
    known: list[KnownRecording] | None = None  # the recordings whose features `sureness` has, in its order


def save(
    folder: Path,
    classifier: AudioClassifier,
    *,
    labels: Sequence[str],
    audio: Mapping[str, Any],
    image: Mapping[str, Any],
    transform: Mapping[str, Any],
    model: Mapping[str, Any],
    sure: Sure | None = None,
    trained_on: TrainedOn | None = None,
) -> None:
    """Writes `weights.safetensors` and `model.json`; the mappings are those that built what was trained.

    Raises:
        AudioidError: the folder cannot be written.
    """
    kept = dict(classifier.state_dict())
    if sure:
        state = sure.sureness.state_dict()
        kept |= {f"{SURENESS}{name}": values.half() if values.ndim else values for name, values in state.items()}
    weights = as_bytes({name: values.detach().cpu().clone().contiguous() for name, values in kept.items()})
    with replacing(folder / WEIGHTS) as part:
        part.write_bytes(weights)
    groups = {"audio": dict(audio), "image": dict(image), "transform": dict(transform)}
    groups["model"] = _without_beginning(model)
    description = {"format": FORMAT, "labels": list(labels), **groups}
    description["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    description["sureness"] = {**sure.figures, "known": [list(each) for each in sure.known]} if sure else None
    description["trained_on"] = trained_on.model_dump() if trained_on else None
    with replacing(folder / DESCRIPTION) as part:
        part.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path, *, trust: Collection[str] = ()) -> TrainedModel:
    """The model that `save` left in `folder`, or in the folder `model` of that run, on the CPU.

    Args:
        trust: dotted names of networks, and names of options of other packages, that may be imported and run.

    Raises:
        AudioidError: a file is missing or damaged, of another format, or the two do not belong together; the network
            is code that is not trusted.
    """
    folder = place_of(folder)
    file = folder / DESCRIPTION
    description = read_description(file)
    check_options(description, file, trust)
    model = _without_beginning(description.model)  # older folders have it
    try:
        with torch.random.fork_rng(devices=[]):
            classifier = build_classifier(
                audio=description.audio,
                image=description.image,
                transform=description.transform,
                model=model,
                n_classes=len(description.labels),
                # Shapes alone, until the weights are known to fit; other networks hold more than their weights.
                device="meta" if model["name"] in ("cnn", "original") else "cpu",
            )
    except (AudioidError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise AudioidError(
            f"{file}: holds settings that cannot be used ({reason}); copy the model folder again"
        ) from error
    tensors = _tensors(folder, description)
    weights = {name: values for name, values in tensors.items() if not name.startswith(SURENESS)}
    _refuse_others(folder / WEIGHTS, weights, classifier.state_dict())
    classifier.load_state_dict(weights, assign=True)
    classifier.eval().requires_grad_(False)
    loaded = TrainedModel(description.labels, description.audio, classifier)
    if not description.sureness:
        return loaded
    sureness, known = _read_sureness(folder, description, classifier, _part(tensors, SURENESS))
    return replace(loaded, sureness=sureness, known=known)


def _read_sureness(
    folder: Path, description: Description, classifier: AudioClassifier, kept: Mapping[str, Tensor]
) -> tuple[Sureness, list[KnownRecording]]:
    assert description.sureness
    channels, size = classifier.transform.channels, classifier.transform.image.size
    n_features = classifier.network.features(torch.zeros(1, channels, size, size)).flatten(1).shape[1]
    try:
        sureness = Sureness.of({name: values.float() for name, values in kept.items()}, n_features)
    except ValueError as error:
        raise AudioidError(f"{folder / WEIGHTS}: is damaged ({error}); copy the model folder again") from error
    known = description.sureness.known
    if len(known) != len(sureness.known) or any(len(each) != 2 for each in known):
        told = f"sureness.known: does not name the {len(sureness.known)} recordings that the weights are of"
        raise AudioidError(f"{folder / DESCRIPTION}: {told}; copy the model folder again")
    return sureness, [KnownRecording(*each) for each in known]


def _without_beginning(model: Mapping[str, Any]) -> dict[str, Any]:
    """What the network is: what weights it began with does not matter any more."""
    is_ours = model["name"] in BUILT_IN["model"]  # of others it may be what they build by
    return {key: value for key, value in model.items() if not (is_ours and key == "pretrained")}


def read_weights(
    folder: Path, description: Description, wanted: Mapping[str, Tensor], within: str
) -> dict[str, Tensor]:
    """The weights whose names begin with `within`, by the rest of their names.

    Raises:
        AudioidError: the file is missing or damaged, or what is in it has not the description's checksum, or not the
            names, shapes and types of `wanted`.
    """
    weights = _part(_tensors(folder, description), within)
    _refuse_others(folder / WEIGHTS, weights, wanted, within)
    return weights


def _tensors(folder: Path, description: Description) -> dict[str, Tensor]:
    """All that `weights.safetensors` has, by names of today."""
    file = folder / WEIGHTS
    try:
        weights: dict[str, Tensor] = from_bytes(checked_weights(folder, description))
    except SafetensorError as error:
        raise AudioidError(f"{file}: is damaged ({error}); copy the model folder again") from error
    if description.format == 1 and all(name.partition(".")[0].isdecimal() for name in weights):
        weights = from_format_1(weights)
    return weights


def _part(tensors: Mapping[str, Tensor], within: str) -> dict[str, Tensor]:
    return {name.removeprefix(within): each for name, each in tensors.items() if name.startswith(within)}


def _refuse_others(file: Path, weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], within: str = "") -> None:
    for name in sorted(wanted.keys() | weights.keys()):
        found, meant = (
            f"{part[name].dtype} {tuple(part[name].shape)}" if name in part else "absent" for part in (weights, wanted)
        )
        if found != meant:
            raise AudioidError(
                f"{file}: does not belong to {DESCRIPTION} beside it ({within}{name} is {found}, not {meant}); "
                "copy the model folder again"
            )
