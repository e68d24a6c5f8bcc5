"""Altered model folders: one clear line, or a model that answers; nothing else."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from audioid import model_folder
from audioid.errors import AudioidError
from scripts.bench_hostile_models import altered
from tests.identification.conftest import RATE


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


@pytest.mark.slow
@pytest.mark.parametrize("bench", ["bench_hostile_models.py", "bench_hostile_page.py"])
def test_what_strangers_made_does_nothing_but_being_answered(bench: str, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    pytest.importorskip("captum")
    script, file = Path(__file__).parents[2] / "scripts" / bench, tmp_path / "figures.json"
    subprocess.run([sys.executable, script, "--quick", "--json", file], check=True, capture_output=True)
    figures = json.loads(file.read_text(encoding="utf-8"))
    bad = {"crashes", "hangs", "wrong", "deeds", "folders_changed", "failed", "uploads_left", "tracebacks"}
    assert not {name: figures[name] for name in bad & figures.keys() if figures[name]}
    assert figures.get("page_alive", 1) == 1
    assert figures["answered"] > 5
