"""The folder in which a trained network is kept: weights as safetensors, everything else as plain JSON.

Loading needs neither the recordings nor the configuration, and nothing in the folder can run code.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_weights
from safetensors.torch import save as weights_as_bytes
from torch import nn

from audioid import models, transforms
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.schema import checked_option

FORMAT = 1
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"
SECTIONS = ("audio", "image", "transform", "model")  # groups of `audioid.schema.Settings`


@dataclass(frozen=True)
class TrainedModel:
    """What turns recordings into names."""

    labels: list[str]
    audio: dict[str, Any]  # the keyword arguments of `audioid.data.audio.load`
    transform: nn.Module  # waveforms (batch, time) to images (batch, 1, size, size)
    network: nn.Module  # images to logits (batch, len(labels)), in evaluation mode


def build_network(model: Mapping[str, Any], *, n_classes: int, image_size: int) -> nn.Sequential:
    """Images to logits: `normalize`, which holds the statistics of the training images, then `network`."""
    network = models.build(model, in_channels=1, n_classes=n_classes, image_size=image_size)
    return nn.Sequential(OrderedDict(normalize=models.Normalize(1, image_size), network=network))


def save(
    folder: Path,
    network: nn.Module,
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
        {name: values.detach().cpu().contiguous() for name, values in network.state_dict().items()}
    )
    with replacing(folder / WEIGHTS) as part:
        part.write_bytes(weights)
    description = {
        "format": FORMAT,
        "labels": list(labels),
        "audio": dict(audio),
        "image": dict(image),
        "transform": dict(transform),
        "model": dict(model),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    with replacing(folder / DESCRIPTION) as part:
        part.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path, trust: Collection[str] = ()) -> TrainedModel:
    """The model that `save` left in `folder`, on the CPU.

    A network of somebody's own (`model=custom`) is code: its `target` must be among `trust`.

    Raises:
        AudioidError: a file is missing or damaged, of another format, the two do not belong together, or the target
            is not trusted.
    """
    file = folder / DESCRIPTION
    description = _read_description(file)
    labels, audio, image = description["labels"], description["audio"], description["image"]
    model = {key: value for key, value in description["model"].items() if key != "pretrained"}  # weights are here
    if model["name"] == "custom" and model["target"] not in trust:
        raise AudioidError(f"{file}: runs the code of {model['target']}; if you trust it, --trust {model['target']}")
    # Of our own networks shapes alone, until the weights are known to fit; others hold more than their weights.
    device = "meta" if model["name"] in ("cnn", "original") else "cpu"
    try:
        transform = transforms.build(
            description["transform"],
            image,
            sample_rate=audio["sample_rate"],
            n_samples=round(audio["sample_rate"] * audio["seconds"]),
        )
        with torch.device(device), torch.random.fork_rng(devices=[]):
            network = build_network(model, n_classes=len(labels), image_size=image["size"])
    except (AudioidError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise AudioidError(
            f"{file}: holds settings that cannot be used ({reason}); copy the model folder again"
        ) from error
    network.load_state_dict(_read_weights(folder / WEIGHTS, network, description["weights_sha256"]), assign=True)
    return TrainedModel(labels, audio, transform.eval(), network.eval().requires_grad_(False))


def _read_description(file: Path) -> dict[str, Any]:
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AudioidError(f"{file}: {error.strerror}; name the model folder of a finished run, RUN/model") from error
    except (ValueError, RecursionError) as error:
        raise AudioidError(f"{file}: is no JSON ({error}); copy the model folder again") from error
    found = description.get("format") if isinstance(description, dict) else None
    if isinstance(found, int) and found != FORMAT:
        raise AudioidError(f"{file}: is of format {found}, and this program reads {FORMAT}; use the one that wrote it")
    problem = "format: is not a whole number" if type(found) is not int else _problem(description)
    if problem:
        raise AudioidError(f"{file}: {problem}; copy the model folder again")
    return cast(dict[str, Any], description)


def _problem(description: dict[str, Any]) -> str | None:
    """What is wrong with the description, if anything."""
    labels = description.get("labels")
    if not (isinstance(labels, list) and labels and all(isinstance(label, str) for label in labels)):
        return "labels: is no list of names"
    if len(set(labels)) < len(labels):
        return "labels: holds a name twice"
    if any(label != label.encode(errors="ignore").decode() for label in labels):
        return "labels: holds a name that is no Unicode text"
    if not isinstance(description.get("weights_sha256"), str):
        return "weights_sha256: is no text"
    try:
        for section in SECTIONS:
            checked_option(section, description.get(section))
    except AudioidError as error:
        return str(error).removesuffix("; correct it")
    return None


def _read_weights(file: Path, network: nn.Module, sha256: str) -> dict[str, torch.Tensor]:
    """The weights, which have this checksum and fit `network` in names, shapes and types."""
    try:
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise AudioidError(
                f"{file}: is damaged, or of another model than {DESCRIPTION} beside it (its checksum is not the one "
                "given there); copy the model folder again"
            )
        weights: dict[str, torch.Tensor] = read_weights(content)
        if "0.mean" in weights:
            weights = models.from_format_1(weights)
    except OSError as error:
        raise AudioidError(f"{file}: {error.strerror}; copy the model folder again") from error
    except SafetensorError as error:
        raise AudioidError(f"{file}: is damaged ({error}); copy the model folder again") from error
    wanted = network.state_dict()
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
