"""A model of tones that several tests ask, and one that tells them from noise."""

import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audioid import model_folder
from audioid.classifier import build_classifier
from audioid.sureness import Sureness, placed

RATE = 8000
LABELS = ["high", "low", "middle"]
PITCHES = {"high": 2000.0, "low": 150.0, "middle": 600.0}
SETTINGS: dict[str, Any] = {
    "audio": {
        "sample_rate": RATE, "seconds": 0.25, "start": "beginning", "padding": "end", "remove_dc": True, "level": "none"
    },
    "image": {
        "size": 32, "f_min": 50.0, "f_max": 3500.0, "frequency_scale": "log", "amplitude_scale": "decibel",
        "decibel_range": 80.0,
        "standardize": "global",
    },
    "transform": {"name": "fft", "n_fft": "auto", "win_length": "auto", "window": "hann", "n_mels": None},
    "model": {"name": "cnn", "width": 4, "depth": 2, "dropout": 0.0},
}  # fmt: skip


def tone(label: str, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(RATE // 4) / RATE
    return 0.5 * np.sin(2 * np.pi * PITCHES[label] * rng.uniform(0.8, 1.25) * time) + 0.01 * rng.standard_normal(
        time.size
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that tells tones of three registers apart."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    targets = torch.arange(96) % 3
    waves = torch.tensor(np.array([tone(LABELS[target], rng) for target in targets]), dtype=torch.float32)
    classifier = build_classifier(**SETTINGS, n_classes=3)
    images = classifier.transform(waves)
    classifier.normalize.fit([images], over="global")
    optimizer = torch.optim.Adam(classifier.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(classifier.classify(images), targets).backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("trained") / "model"
    model_folder.save(folder, classifier, labels=LABELS, **SETTINGS)
    return folder


@pytest.fixture(scope="session")
def sure(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `trained`, which tells tones from noise."""
    rng = np.random.default_rng(2)
    classifier = model_folder.load(trained).classifier
    known, heard = (np.array([tone(LABELS[n % 3], rng) for n in range(60)], np.float32) for _ in range(2))
    noise = rng.standard_normal((40, RATE // 4)).astype(np.float32)
    features = [classifier.judge(torch.from_numpy(each))[0] for each in (known, noise, heard)]
    basis = torch.linalg.svd(torch.cat(features[:2]), full_matrices=False)[2][:16].T.half().float().contiguous()
    sureness = Sureness(
        temperature=0.5,
        basis=basis,
        known=placed(features[0], basis),
        background=placed(features[1], basis),
        threshold=None,
    )
    sureness.threshold.copy_(sureness.unknown_scores(features[2]).max())
    paths = [model_folder.KnownRecording(f"{n}.wav", LABELS[n % 3]) for n in range(60)]
    shares = ("false_rejections", "known_rejected", "generated_rejected", "unknown_rejected")
    folder = tmp_path_factory.mktemp("sure") / "model"
    known_so = model_folder.Sure(sureness, paths, dict.fromkeys(shares, 0.0))
    model_folder.save(folder, classifier, labels=LABELS, sure=known_so, **SETTINGS)
    return folder


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the `SCRIPT` of the module that asks in this process, where torch is imported already."""
    script = str(request.module.SCRIPT)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            if isinstance(end.code, str):  # as the interpreter does
                print(end.code, file=sys.stderr)
        return Done(code, *capfd.readouterr())

    return run
