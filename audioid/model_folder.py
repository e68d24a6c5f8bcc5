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
from safetensors.torch import load as read_weights
from safetensors.torch import save as weights_as_bytes
from torch import Tensor

from audioid import registry
from audioid.classifier import AudioClassifier, build_classifier
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.models import from_format_1
from audioid.schema import Section
from audioid.validation import RENAMED, checked, checked_option

FORMAT = 2  # 1: images of one channel, keys of older names, weights of one flat row of layers
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"
SECTIONS = ("audio", "image", "transform", "model")  # groups of `audioid.schema.Settings`


class Description(Section):
    """What `model.json` holds."""

    format: int
    labels: list[str]
    audio: dict[str, Any]
    image: dict[str, Any]
    transform: dict[str, Any]
    model: dict[str, Any]
    weights_sha256: str


@dataclass(frozen=True)
class TrainedModel:
    """What turns recordings into names."""

    labels: list[str]
    audio: dict[str, Any]  # the keyword arguments of `audioid.data.audio.load`
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
    weights = weights_as_bytes(
        {name: values.detach().cpu().clone().contiguous() for name, values in classifier.state_dict().items()}
    )
    with replacing(folder / WEIGHTS) as part:
        part.write_bytes(weights)
    groups = {"audio": dict(audio), "image": dict(image), "transform": dict(transform), "model": dict(model)}
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
    if not (folder / DESCRIPTION).exists() and (folder / "model" / DESCRIPTION).exists():
        folder = folder / "model"
    file = folder / DESCRIPTION
    description = _read_description(file, trust)
    # Weights that a network would begin with are replaced by those of the folder.
    model = {**description.model, **({"pretrained": "none"} if "pretrained" in description.model else {})}
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
    weights = _read_weights(folder / WEIGHTS, description, classifier.state_dict())
    classifier.load_state_dict(weights, assign=True)
    return TrainedModel(description.labels, description.audio, classifier.eval().requires_grad_(False))


def _read_description(file: Path, trust: Collection[str]) -> Description:
    try:
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
        named = [(group, getattr(description, group).get("name")) for group in ("transform", "model")]
        for group, name in named:
            if isinstance(name, str) and name in registry.others(group):
                registry.refuse_untrusted(group, name, trust)
                registry.import_option(group, name)
        for section in SECTIONS:
            checked_option(section, getattr(description, section))
    except AudioidError as error:
        text = str(error).removesuffix("; correct it")
        remedy = "" if "--trust" in text else "; copy the model folder again"
        raise AudioidError(f"{file}: {text}{remedy}") from error
    if (target := description.model.get("target")) is not None and target not in trust:
        raise AudioidError(f"{file}: runs the code of {target}; if you trust it, --trust {target}")
    return description


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


def _read_weights(file: Path, description: Description, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, which have the description's checksum and the names, shapes and types of `wanted`."""
    try:
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != description.weights_sha256:
            raise AudioidError(
                f"{file}: is damaged, or of another model than {DESCRIPTION} beside it (its checksum is not the one "
                "given there); copy the model folder again"
            )
        weights: dict[str, Tensor] = read_weights(content)
    except OSError as error:
        raise AudioidError(f"{file}: {error.strerror}; copy the model folder again") from error
    except SafetensorError as error:
        raise AudioidError(f"{file}: is damaged ({error}); copy the model folder again") from error
    if description.format == 1 and all(name.partition(".")[0].isdecimal() for name in weights):
        weights = from_format_1(weights)
    for name in sorted(wanted.keys() | weights.keys()):
        found, meant = (
            f"{part[name].dtype} {tuple(part[name].shape)}" if name in part else "absent" for part in (weights, wanted)
        )
        if found != meant:
            raise AudioidError(
                f"{file}: does not belong to {DESCRIPTION} beside it ({name} is {found}, not {meant}); "
                "copy the model folder again"
            )
    return weights
