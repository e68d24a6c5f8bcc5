"""What a GPU computes: nothing stays behind on the processor, tried without a GPU; and the same values, with one."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from pytorch_lightning.trainer.connectors import accelerator_connector
from torch.nn import functional

from audioid import models, transforms
from audioid.classifier import build_classifier
from audioid.config import compose
from audioid.errors import AudioidError
from audioid.generator.generator import Generator
from audioid.model_description import SECTIONS
from audioid.model_folder import load
from audioid.search import trial
from audioid.training import run as run_alone
from audioid.training.augment import Augment
from audioid.training.cost import cost
from audioid.training.module import ClassifierModule
from audioid.training.parallel import run as run_in_parallel
from audioid.training.run_folder import Plan
from audioid.transforms import image as image_module
from audioid.transforms.image import TimeFrequencyTransform
from scripts import bench_gpu
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


@pytest.mark.usefixtures("values_are_not_looked_at")
@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_a_picture_costs_is_measured_where_the_classifier_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: None)
    settings = compose([f"transform={name}", "audio.seconds=1", "model.width=8"])
    groups = {group: getattr(settings, group).model_dump() for group in SECTIONS}
    classifier = build_classifier(**groups, n_classes=3).eval().to(META)  # as the evaluation leaves it
    without_files: Any = SimpleNamespace(index=SimpleNamespace(has_files=False))
    found = cost(classifier, without_files, settings.audio)
    assert found["transform_ms_per_clip"]
    assert found["multiply_adds"]


def test_lightning_trains_on_the_device_that_all_else_is_computed_on(
    tones: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of `auto` it would take what Apple's machines have, where pictures are made and networks judged on the CPU."""
    monkeypatch.setattr(accelerator_connector, "_select_auto_accelerator", lambda: "mps")
    chosen = ["data=folder", f"data.root={tones}", "trainer.max_epochs=1", "model.width=4", "image.size=32"]
    assert command(*chosen, "hydra.run.dir=run") == 0


@pytest.mark.parametrize(
    ("module", "run"),
    [
        (run_alone, run_alone.run),
        (run_in_parallel, lambda *plan: run_in_parallel.run([Plan(*plan)])),
        (trial, trial._run),
    ],
    ids=["alone", "in parallel", "on trial"],
)
def test_the_order_of_sums_is_fixed_before_the_first_of_them(
    module: ModuleType, run: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch looks at the first product whether it is, which are pictures, and would refuse to train."""
    variable, found = "CUBLAS_WORKSPACE_CONFIG", list[str | None]()
    monkeypatch.setenv(variable, "to be restored")
    monkeypatch.delenv(variable)

    def prepare_data(*_: object, **__: object) -> None:
        found.append(os.environ.get(variable))
        raise AudioidError("enough")

    monkeypatch.setattr(module, "prepare_data", prepare_data)
    with pytest.raises(AudioidError, match="enough"):
        run(compose(["data=synthetic", "logger=csv"]), tmp_path, [])
    assert found == [":4096:8"]


def test_only_training_takes_deterministic_algorithms_alone(
    tones: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU has none to make sounds by, with which those of the background are made once a network has learned."""
    sounds, training_step, found = Generator.sounds, ClassifierModule.training_step, dict[str, bool]()

    def watched_sounds(*arguments: Any) -> torch.Tensor:
        found["sounds"] = torch.are_deterministic_algorithms_enabled()
        return sounds(*arguments)

    def watched_step(module: ClassifierModule, batch: Any) -> torch.Tensor:
        found["training"] = torch.are_deterministic_algorithms_enabled()
        return training_step(module, batch)

    monkeypatch.setattr(Generator, "sounds", watched_sounds)
    monkeypatch.setattr(ClassifierModule, "training_step", watched_step)
    chosen = ["data=folder", f"data.root={tones}", "trainer.max_epochs=1", "model.width=4", "image.size=32"]
    assert command(*chosen, "hydra.run.dir=run") == 0
    assert found == {"training": True, "sounds": False}


def test_the_benchmark_tells_what_it_has_when_a_later_part_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> dict[str, float]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(bench_gpu, "bytes_per_second", lambda *_: 1e9)
    monkeypatch.setattr(bench_gpu, "pictures", lambda *_: {"fft_images_per_second": 1234.0})
    monkeypatch.setattr(bench_gpu, "training", fail)
    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["bench_gpu.py", "--quick", "--device", "cpu", "--json", str(file)])
    with pytest.raises(RuntimeError, match="out of memory"):
        bench_gpu.main()
    assert "1234" in capsys.readouterr().out
    assert json.loads(file.read_text()) == {"bytes_per_second": 1e9, "fft_images_per_second": 1234.0}


def test_the_benchmark_leaves_out_what_cannot_be_compiled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_compiler(*_: object) -> None:
        raise RuntimeError("Failed to find C compiler.\nPlease specify one")

    for name, value in {"NETWORKS": ("cnn",), "REPEATS": 1, "WARM": 0}.items():
        monkeypatch.setattr(bench_gpu, name, value)
    monkeypatch.setattr(torch, "compile", lambda network: without_compiler)
    monkeypatch.setattr(bench_gpu, "step", lambda network, images, *_: lambda: network(images))
    found = bench_gpu.training("cpu", (2,))
    ways = ("plain", "bfloat16", "channels_last")
    assert list(found) == [f"cnn_in_2s_{way}_images_per_second" for way in ways]
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("cnn in batches of 2, compiled: left out: RuntimeError: Failed to find C compiler.")


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
