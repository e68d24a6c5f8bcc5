"""A model as one module of real arithmetic, held to what `identify` makes of the model itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audioid import model_folder
from audioid.classifier import build_classifier
from audioid.data.audio import levelled
from audioid.errors import AudioidError
from audioid.identification.answers import Model, joined
from audioid.identification.graph import Graph, Part
from audioid.identification.identify import judged, tells_unknown
from audioid.identification.together import Together
from audioid.model_folder import TrainedModel
from audioid.sureness import Sureness, placed

RATE, SAMPLES = 8000, 2000
AUDIO: dict[str, Any] = {
    "sample_rate": RATE, "seconds": 0.25, "start": "beginning", "padding": "end", "remove_dc": True, "level": "none"
}  # fmt: skip
IMAGE: dict[str, Any] = {
    "size": 32, "f_min": 50.0, "f_max": 3500.0, "frequency_scale": "log", "amplitude_scale": "decibel",
    "decibel_range": 80.0,
}  # fmt: skip
FOURIER: dict[str, Any] = {"n_fft": "auto", "win_length": "auto", "window": "hann", "n_mels": None}
WAVELET: dict[str, Any] = {
    "wavelet": "cmor1.5-1.0",
    "norm": "l1",
    "padding": "zero",
    "scales": None,
    "first_samples": None,
}
PICTURES: dict[str, dict[str, Any]] = {
    "fft": FOURIER,
    "cwt": WAVELET,
    "cqt": {"filter_scale": 1.0, "padding": "zero"},
    "mfcc": FOURIER | {"n_mels": 40, "n_mfcc": 20},  # fewer than the image has rows
    "both": FOURIER | WAVELET | {"wavelet": "mexh"},
    "ssq": {"wavelet": "gmw20-3", "padding": "zero"},
}
NETWORK = {"name": "cnn", "width": 4, "depth": 2, "dropout": 0.0}


def model_of(picture: str, *, seed: int = 0, audio: dict[str, Any] = AUDIO, **image: Any) -> TrainedModel:
    """A network of random weights that tells what is unknown."""
    torch.manual_seed(seed)
    transform = {"name": picture} | PICTURES[picture]
    classifier = build_classifier(audio=audio, image=IMAGE | image, transform=transform, model=NETWORK, n_classes=3)
    classifier.eval().requires_grad_(False)
    features, _ = classifier.judge(torch.randn(30, SAMPLES))
    basis = torch.linalg.qr(features.T)[0][:, :16].contiguous()
    places = placed(features, basis)
    sureness = Sureness(temperature=0.3, basis=basis, known=places[:18], background=places[18:], threshold=-0.2)
    return TrainedModel(list("abc"), audio, classifier, sureness)


def clips(count: int = 6) -> np.ndarray:
    rng = np.random.default_rng(3)
    fading = np.exp(-np.linspace(0, 12, SAMPLES))
    made = rng.standard_normal((count, SAMPLES)).astype(np.float32) * fading.astype(np.float32)
    made[1] = 0
    made[2] *= 1e-3
    return made - made.mean(1, keepdims=True)


def answers_of(model: Model, waves: np.ndarray) -> list[np.ndarray]:
    found, every = judged(model, [[wave] for wave in waves])
    return [found.exp().numpy(), *([torch.stack([score for _, score in every if score is not None]).mean(0).numpy()])]


def agrees(model: Model, waves: np.ndarray) -> None:
    with torch.no_grad():
        found = Graph(model)(torch.from_numpy(waves))
    for one, other in zip(found, answers_of(model, waves), strict=True):
        assert np.abs(one.numpy() - other).max() < 1e-4


@pytest.mark.parametrize("picture", ["fft", "cwt", "cqt", "mfcc", "both"])
def test_it_answers_as_the_model(picture: str) -> None:
    agrees(model_of(picture), clips())


def test_several_models_answer_together() -> None:
    agrees(Together([model_of("fft"), model_of("cwt", seed=1)]), clips())


def test_classes_that_are_joined_are_one() -> None:
    model = model_of("fft")
    agrees(joined(model, {"a": "x", "c": "x"}), clips())
    agrees(Together([joined(model, {"a": "b"}), joined(model_of("cwt"), {"a": "b"})]), clips())


def test_what_cannot_tell_the_unknown_gives_probabilities_alone() -> None:
    model = model_of("fft")
    assert model.sureness is not None
    model.sureness.threshold.fill_(torch.inf)
    assert not tells_unknown(model)
    with torch.no_grad():
        (found,) = Graph(model)(torch.from_numpy(clips()))
    assert np.abs(found.numpy() - judged(model, [[wave] for wave in clips()])[0].exp().numpy()).max() < 1e-4


@pytest.mark.parametrize(("remove_dc", "level"), [(True, "none"), (True, "peak"), (False, "peak"), (False, "rms")])
def test_offset_and_peak_are_the_graphs_own(remove_dc: bool, level: str) -> None:
    """The root mean square is not: it is that of the sound before it is padded."""
    model = model_of("fft", audio=AUDIO | {"remove_dc": remove_dc, "level": level}, amplitude_scale="magnitude")
    raw = clips() + np.float32(0.25)
    raw[1] = 0.25  # a constant is silence
    heard = np.stack([levelled(wave, remove_dc=remove_dc, level="peak" if level == "peak" else "none") for wave in raw])
    with torch.no_grad():
        once, again = (Graph(model)(torch.from_numpy(waves))[0].numpy() for waves in (raw, heard))
    assert np.abs(once - answers_of(model, heard)[0]).max() < 1e-4
    assert np.abs(again - once).max() < 1e-4


def test_half_precision_leaves_the_model_as_it_is() -> None:
    model = model_of("cwt")
    graph = Graph(model, in_half=True)
    (part,) = graph.parts
    assert isinstance(part, Part)
    assert {each.dtype for each in part.classifier.network.parameters()} == {torch.float16}
    assert {each.dtype for each in model.classifier.parameters()} == {torch.float32}
    assert {each.dtype for each in part.classifier.transform.buffers()} == {torch.float32}
    with torch.no_grad():
        found = graph(torch.from_numpy(clips()))[0].numpy()
    assert 0 < np.abs(found - answers_of(model, clips())[0]).max() < 0.02


def test_a_model_folder_of_before_answers_alike(trained: Path) -> None:
    """Nothing there says how sure answers are."""
    agrees_without = model_folder.load(trained)
    with torch.no_grad():
        (found,) = Graph(agrees_without)(torch.from_numpy(clips()))
    assert np.abs(found.numpy() - judged(agrees_without, [[w] for w in clips()])[0].exp().numpy()).max() < 1e-4


def test_a_squeezed_picture_is_refused() -> None:
    with pytest.raises(AudioidError, match="transform=ssq: cannot be exported"):
        Graph(model_of("ssq"))
