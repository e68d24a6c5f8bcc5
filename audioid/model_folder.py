"""The folder in which a trained network is kept: weights as safetensors, everything else as plain JSON.

Loading needs neither the recordings nor the configuration, and nothing in the folder can run code.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from audioid import models, transforms
from audioid.data.audio import load as load_audio
from audioid.errors import AudioidError
from audioid.files import replacing

FORMAT = 1
WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"


@dataclass(frozen=True)
class TrainedModel:
    """What turns recordings into names."""

    labels: list[str]
    audio: dict[str, Any]  # the keyword arguments of `audioid.data.audio.load`
    transform: nn.Module  # waveforms (batch, time) to images (batch, 1, size, size)
    network: nn.Module  # images to logits (batch, len(labels)), in evaluation mode


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
    weights = {name: values.detach().cpu().contiguous() for name, values in network.state_dict().items()}
    with replacing(folder / WEIGHTS) as part:
        save_file(weights, part)
    description = {
        "format": FORMAT,
        "labels": list(labels),
        "audio": dict(audio),
        "image": dict(image),
        "transform": dict(transform),
        "model": dict(model),
    }
    with replacing(folder / DESCRIPTION) as part:
        part.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path) -> TrainedModel:
    """The model that `save` left in `folder`, on the CPU.

    Raises:
        AudioidError: a file is missing or damaged, of another format, or the two do not belong together.
    """
    file = folder / DESCRIPTION
    description = _read_description(file)
    labels, audio, image = description["labels"], description["audio"], description["image"]
    try:
        inspect.signature(load_audio).bind(file, **audio)
        transform = transforms.build(
            description["transform"],
            image,
            sample_rate=audio["sample_rate"],
            n_samples=round(audio["sample_rate"] * audio["seconds"]),
        )
        with torch.device("meta"):  # shapes alone, until the weights are known to fit
            network = models.build(description["model"], n_classes=len(labels), image_size=image["size"])
    except KeyError as error:
        raise AudioidError(f"{file}: lacks the setting {error}; copy the model folder again") from error
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        reason = str(error).splitlines()[0]
        raise AudioidError(f"{file}: holds a setting that cannot be used ({reason}); copy it again") from error
    network.load_state_dict(_read_weights(folder / WEIGHTS, network), assign=True)
    return TrainedModel(labels, audio, transform.eval(), network.eval().requires_grad_(False))


def _read_description(file: Path) -> dict[str, Any]:
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AudioidError(f"{file}: {error.strerror}; name the model folder of a finished run, RUN/model") from error
    except ValueError as error:
        raise AudioidError(f"{file}: is no JSON ({error}); copy the model folder again") from error
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise AudioidError(f"{file}: is of format {found}, and this program reads {FORMAT}; use the one that wrote it")
    labels = description.get("labels")
    if not (isinstance(labels, list) and labels and all(isinstance(label, str) for label in labels)):
        raise AudioidError(f"{file}: holds no list of labels; copy the model folder again")
    for section in ("audio", "image", "transform", "model"):
        if not isinstance(description.get(section), dict):
            raise AudioidError(f"{file}: lacks the section {section}; copy the model folder again")
    return description


def _read_weights(file: Path, network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights, which fit `network` in names, shapes and types."""
    try:
        weights = load_file(file)
    except OSError as error:
        raise AudioidError(f"{file}: {error.strerror or error}; copy the model folder again") from error
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
