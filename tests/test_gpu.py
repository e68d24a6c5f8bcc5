"""What a GPU computes: nothing stays behind on the processor, tried without a GPU; and the same values, with one."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch.nn import functional

from audioid import models, transforms
from audioid.config import compose
from audioid.model_folder import load
from audioid.training.augment import Augment
from audioid.transforms import image as image_module
from audioid.transforms.image import TimeFrequencyTransform
from tests.conftest import Command

TRANSFORMS = ("fft", "cwt", "cqt", "ssq", "mfcc", "both")
CLIPS = 3
META = torch.device("meta")  # of tensors without values, which PyTorch joins with those of no other device

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def transform_of(name: str, *overrides: str) -> tuple[TimeFrequencyTransform, int]:
    settings = compose([f"transform={name}", *overrides])
    rate = settings.audio.sample_rate
    image = settings.image.model_dump()
    return transforms.build(settings.transform.model_dump(), image, sample_rate=rate, n_samples=rate), rate


@pytest.fixture
def values_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "check_finite", lambda waveform: None)


@pytest.mark.usefixtures("values_are_not_looked_at")
@pytest.mark.parametrize(("name", "scale"), [*((name, "decibel") for name in TRANSFORMS), ("cwt", "signed")])
def test_a_picture_is_made_where_its_clip_is(name: str, scale: str) -> None:
    made, rate = transform_of(name, f"image.amplitude_scale={scale}")
    images = made.to(META)(torch.empty(CLIPS, rate, device=META))
    assert images.device == META
    assert images.shape == (CLIPS, made.channels, 100, 100)


@pytest.mark.parametrize("name", ["auto", "specaugment"])
def test_pictures_are_changed_where_they_are(name: str) -> None:
    settings = compose([f"augment={name}", "augment.frequency_shift=0.1", "augment.mixup=0.2"])
    changes: dict[str, Any] = settings.augment.model_dump()
    made, rate = transform_of("fft")
    augment = Augment(changes, made, image=settings.image.model_dump(), sample_rate=rate, n_classes=4).to(META)
    images, targets = augment(torch.empty(6, 1, 100, 100, device=META), torch.zeros(6, dtype=torch.long, device=META))
    assert (images.device, targets.device, targets.shape) == (META, META, (6, 4))


@pytest.mark.parametrize("name", ["cnn", "original"])
def test_a_network_learns_where_its_weights_are(name: str) -> None:
    settings = compose([f"model={name}", "model.width=8"])
    network = models.build(settings.model.model_dump(), in_channels=1, n_classes=4, image_size=100).to(META)
    logits = network(torch.empty(6, 1, 100, 100, device=META))
    functional.cross_entropy(logits, torch.zeros(6, dtype=torch.long, device=META)).backward()
    assert {weights.grad.device for weights in network.parameters() if weights.grad is not None} == {META}


@needs_gpu
@pytest.mark.parametrize("name", TRANSFORMS)
def test_pictures_are_those_of_the_processor(name: str) -> None:
    made, rate = transform_of(name)
    waveform = torch.randn(CLIPS, rate, generator=torch.Generator().manual_seed(0))
    expected = made(waveform)
    # In single precision squeezed energy may fall a row apart.
    close = (made.cuda()(waveform.cuda()).cpu() - expected).abs() < 1e-3
    assert close.float().mean() > (0.99 if name == "ssq" else 1 - 1e-6)


@pytest.fixture
def runs(tones: Path, command: Command) -> dict[str, Path]:
    """The same run on the processor and on the GPU."""
    chosen = ["data=folder", f"data.root={tones}", "trainer.max_epochs=20", "model.width=8", "image.size=32"]
    for device in ("cpu", "gpu"):
        assert command(*chosen, f"trainer.accelerator={device}", f"hydra.run.dir={device}") == 0
    return {device: Path(device) for device in ("cpu", "gpu")}


@needs_gpu
def test_a_run_learns_as_on_the_processor_and_its_model_answers_there(runs: dict[str, Path]) -> None:
    found = {device: json.loads((run / "metrics.json").read_text(encoding="utf-8")) for device, run in runs.items()}
    assert found["gpu"]["test_accuracy"] == pytest.approx(found["cpu"]["test_accuracy"], abs=0.26)  # one of four
    table = pd.read_csv(runs["gpu"] / "predictions.csv")
    model = load(runs["gpu"] / "model")
    assert {weights.device.type for weights in model.classifier.parameters()} == {"cpu"}
    assert len(table) == found["gpu"]["n_test"]


@needs_gpu
def test_seeds_at_once_leave_as_many_runs(tones: Path, command: Command) -> None:
    chosen = ["-m", "data=folder", f"data.root={tones}", "trainer.max_epochs=2", "model.width=8", "image.size=32"]
    assert command(*chosen, "seed=0,1,2", "trainer.parallel_seeds=3", "hydra.sweep.dir=sweep") == 0
    assert len(list(Path("sweep").glob("*/metrics.json"))) == 3
