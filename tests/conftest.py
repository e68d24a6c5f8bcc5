"""Corpora and commands that several tests use."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import train
from audioid import pretrained
from audioid.config import compose
from audioid.model_description import SECTIONS
from audioid.pipeline import background

Command = Callable[..., int]
Ship = Callable[..., Path]
RATE = 22050


def write_tones(root: Path, per_class: int = 12) -> Path:
    """A corpus that is easy to tell apart: noisy tones of two pitches, in folders `high` and `low`."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE // 4) / RATE
    for label, pitch in (("high", 3000.0), ("low", 300.0)):
        (root / label).mkdir(parents=True)
        for number in range(per_class):
            tone = np.sin(2 * np.pi * pitch * rng.uniform(0.8, 1.25) * time) * np.exp(-8 * time)
            noise = 0.05 * rng.standard_normal(len(time))
            soundfile.write(root / label / f"kit{number % 4}_{number}.wav", 0.5 * tone + noise, RATE)
    return root


@pytest.fixture(autouse=True)
def nothing_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command keeps what it has imported to the end of its process; here many share one, and leave garbage."""
    monkeypatch.setattr(gc, "freeze", lambda: None)


@pytest.fixture(autouse=True)
def small_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few sounds beside which it is told what is unknown: what they come to is of no interest to most tests."""
    monkeypatch.setattr(background, "MOST", 4)


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    """The folder of a small corpus of two classes."""
    return write_tones(tmp_path / "tones")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """`train.py` in this process, working in an empty folder: takes its arguments, returns its exit status."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        try:
            return train.main()
        except SystemExit as stop:
            return int(stop.code or 0)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ship:
    """Puts a model folder where shipped weights are looked for, in place of those of the package: random weights for
    the picture and the network of the overrides, with running statistics that have moved, and five labels."""
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "weights")

    def write(name: str, *overrides: str) -> Path:
        import torch

        from audioid import model_folder
        from audioid.classifier import build_classifier

        groups = {group: getattr(compose(overrides), group).model_dump() for group in SECTIONS}
        classifier = build_classifier(**groups, n_classes=5)
        size = groups["image"]["size"]
        with torch.no_grad():
            classifier.train().classify(torch.randn(4, classifier.transform.channels, size, size))
        model_folder.save(tmp_path / "weights" / name, classifier, labels=list("abcde"), **groups)
        return tmp_path / "weights" / name

    return write
