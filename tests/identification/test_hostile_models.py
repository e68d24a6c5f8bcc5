"""Altered model folders: one clear line, or a model that answers; nothing else."""

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from audioid import model_folder
from audioid.errors import AudioidError
from tests.identification.conftest import RATE

NASTY: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 1e308, float("inf"), "", "auto", "../../etc/passwd", [], {}, [[]], "\ud800",
    "0" * 5000, 3600, 768000, 65536,
]  # fmt: skip


def places(values: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where there is something to change, at any depth."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values[:3]) if isinstance(values, list) else ()
    for key, value in pairs:
        yield (*above, key)
        yield from places(value, (*above, key))


def altered(description: dict[str, Any], weights: bytes, rng: random.Random) -> tuple[dict[str, Any], bytes]:
    """One of both, changed at a place or cut, with a checksum that agrees more often than not."""
    description, kind = json.loads(json.dumps(description)), rng.choice(["value", "value", "bytes", "header", "cut"])
    if kind == "value":
        *above, last = rng.choice(list(places(description)))
        holder: Any = description
        for key in above:
            holder = holder[key]
        if rng.random() < 0.1:
            del holder[last]
        else:
            holder[last] = rng.choice(NASTY)
        return description, weights
    changed = bytearray(weights)
    for _ in range(rng.choice([1, 10, 300])):
        changed[rng.randrange(3000 if kind == "header" else len(changed))] = rng.randrange(256)
    weights = bytes(changed[: rng.randrange(len(changed))] if kind == "cut" else changed)
    if rng.random() < 0.9:
        description["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    return description, weights


@pytest.mark.parametrize("seed", range(5))
def test_altered_folders_are_told_or_answer(sure: Path, tmp_path: Path, seed: int) -> None:
    rng, told = random.Random(seed), list[str]()
    description = json.loads((sure / "model.json").read_text(encoding="utf-8"))
    weights = (sure / "weights.safetensors").read_bytes()
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        changed, bytes_of_weights = altered(description, weights, rng)
        (folder / "model.json").write_text(json.dumps(changed))
        (folder / "weights.safetensors").write_bytes(bytes_of_weights)
        try:
            model = model_folder.load(folder)
            length = round(model.audio["sample_rate"] * model.audio["seconds"])
            if length <= RATE:
                features, logits = model.classifier.judge(torch.randn(1, length))
                if model.sureness:
                    model.sureness(logits, features)
        except AudioidError as error:
            told.append(str(error))
        assert sorted(file.name for file in folder.iterdir()) == ["model.json", "weights.safetensors"]
        shutil.rmtree(folder)
    assert len(told) > 10
    assert not [line for line in told if "\n" in line]
    assert list(tmp_path.iterdir()) == []
