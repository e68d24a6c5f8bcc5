"""The folder in which a trained network is kept: weights as safetensors, everything else as plain JSON.

Loading needs neither the recordings nor the configuration, and nothing in the folder can run code. Where the network
is code that does not come with audioid, the folder only names it, and whoever loads it must name it too.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    check_options,
    checked_weights,
    place_of,
    read_description,
)
from audioid.models import from_format_1
from audioid.registry import BUILT_IN


@dataclass(frozen=True)
class TrainedModel:
    """What turns recordings into names."""

    labels: list[str]
    audio: dict[str, Any]  # the keyword arguments of `audioid.data.clips.load_clips`
    classifier: AudioClassifier  # in evaluation mode


def save(
    folder: Path,
    classifier: AudioClassifier,
    *,
    labels: Sequence[str],
    audio: Mapping[str, Any],
    image: Mapping[str, Any],
    transform: Mapping[str, Any],
    model: Mapping[str, Any],
) -> None:
    """Writes `weights.safetensors` and `model.json`; the mappings are those that built what was trained.

    Raises:
        AudioidError: the folder cannot be written.
    """
    weights = as_bytes(
        {name: values.detach().cpu().clone().contiguous() for name, values in classifier.state_dict().items()}
    )
    with replacing(folder / WEIGHTS) as part:
        part.write_bytes(weights)
    groups = {"audio": dict(audio), "image": dict(image), "transform": dict(transform)}
    groups["model"] = _without_beginning(model)
    description = {"format": FORMAT, "labels": list(labels), **groups}
    description["weights_sha256"] = hashlib.sha256(weights).hexdigest()
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
    weights = read_weights(folder, description, classifier.state_dict())
    classifier.load_state_dict(weights, assign=True)
    return TrainedModel(description.labels, description.audio, classifier.eval().requires_grad_(False))


def _without_beginning(model: Mapping[str, Any]) -> dict[str, Any]:
    """What the network is: what weights it began with does not matter any more."""
    is_ours = model["name"] in BUILT_IN["model"]  # of others it may be what they build by
    return {key: value for key, value in model.items() if not (is_ours and key == "pretrained")}


def read_weights(
    folder: Path, description: Description, wanted: Mapping[str, Tensor], within: str = ""
) -> dict[str, Tensor]:
    """The weights whose names begin with `within`, by the rest of their names.

    Raises:
        AudioidError: the file is missing or damaged, or what is in it has not the description's checksum, or not the
            names, shapes and types of `wanted`.
    """
    file = folder / WEIGHTS
    try:
        weights: dict[str, Tensor] = from_bytes(checked_weights(folder, description))
    except SafetensorError as error:
        raise AudioidError(f"{file}: is damaged ({error}); copy the model folder again") from error
    if description.format == 1 and all(name.partition(".")[0].isdecimal() for name in weights):
        weights = from_format_1(weights)
    weights = {name.removeprefix(within): each for name, each in weights.items() if name.startswith(within)}
    for name in sorted(wanted.keys() | weights.keys()):
        found, meant = (
            f"{part[name].dtype} {tuple(part[name].shape)}" if name in part else "absent" for part in (weights, wanted)
        )
        if found != meant:
            raise AudioidError(
                f"{file}: does not belong to {DESCRIPTION} beside it ({within}{name} is {found}, not {meant}); "
                "copy the model folder again"
            )
    return weights
