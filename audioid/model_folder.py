"""A trained network as two files that hold plain values alone: nothing in them can run code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from audioid.files import replacing

FORMAT = 1


def save(
    folder: Path,
    network: nn.Module,
    *,
    labels: list[str],
    audio: Mapping[str, Any],
    image: Mapping[str, Any],
    transform: Mapping[str, Any],
    model: Mapping[str, Any],
) -> None:
    """Writes `weights.safetensors` and `model.json`, all that identification needs."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with replacing(folder / "weights.safetensors") as part:
        save_file(weights, part)
    settings = {
        "format": FORMAT,
        "labels": labels,
        "audio": dict(audio),
        "image": dict(image),
        "transform": dict(transform),
        "model": dict(model),
    }
    with replacing(folder / "model.json") as part:
        part.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
