"""Synchrosqueezed images against the transform by its definition, and its physics."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audioid import transforms
from audioid.transforms.image import TimeFrequencyTransform
from audioid.transforms.scales import FREQUENCY_SCALES

RATE = 8000
TIME = torch.arange(RATE, dtype=torch.float64) / RATE


def build(image: dict[str, Any], options: dict[str, Any], name: str = "ssq") -> TimeFrequencyTransform:
    option = options[name] | {"wavelet": "gmw20-3"}
    return transforms.build(option, image | {"amplitude_scale": "magnitude"}, sample_rate=RATE, n_samples=RATE)


def tone(frequency: float, amplitude: float = 1) -> Tensor:
    return amplitude * torch.sin(2 * torch.pi * frequency * TIME)


def noise() -> Tensor:
    return torch.randn(RATE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def chirp() -> Tensor:
    rate = np.log(20.0)
    return torch.sin(2 * torch.pi * 120 * (torch.exp(rate * TIME) - 1) / rate)


def drum(start: float) -> Tensor:
    """A falling tone and a burst of noise from a moment on, after silence."""
    t = (TIME - start).clamp(min=0)
    body = torch.sin(2 * torch.pi * (150 * t + 20 * (1 - torch.exp(-t / 0.02)))) * torch.exp(-t / 0.12)
    return (start <= TIME) * (body + 0.3 * noise() * torch.exp(-t / 0.03))


SOUNDS = {
    "noise": (noise(), 0.03),
    "tones": (tone(180) + tone(700, 0.3) + tone(2500, 0.03), 0.005),
    "chirp": (chirp(), 0.01),
    "drums": (drum(0.1) + drum(0.55).flip(0), 0.02),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_image_is_the_definitions(
    name: str, image: dict[str, Any], options: dict[str, Any], oracle: ModuleType
) -> None:
    """Of the whole picture within what a few samples of a jumping power leave, of a column's energy within 3 %."""
    waveform, limit = SOUNDS[name]
    module = build(image, options)
    expected = oracle.squeezed_power(waveform.numpy(), RATE, module.frequencies.numpy(), 40)
    for picture in (module(waveform[None].float())[0, 0].double(), module.double()(waveform[None])[0, 0]):
        found = picture.numpy()
        assert np.linalg.norm(found - np.sqrt(expected)) < limit * np.linalg.norm(np.sqrt(expected))
        energy, right = (found**2).sum(0), expected.sum(0)
        assert (abs(energy - right) < 0.03 * np.maximum(right, 0.01 * right.max())).all()
        assert energy.sum() == pytest.approx(right.sum(), rel=5e-3)


def test_a_column_has_the_energy_of_the_tones_in_it(image: dict[str, Any], options: dict[str, Any]) -> None:
    """And so of the wavelet image's rows at their frequencies: squeezing moves what it finds, and loses none."""
    squeezed, plain = build(image, options), build(image, options, "cwt")
    rows = torch.tensor([6, 20, 33])  # in all tiers, and far enough apart not to beat
    waveform = sum(tone(float(squeezed.frequencies[row]), 1 / (1 + k)) for k, row in enumerate(rows))
    assert isinstance(waveform, Tensor)
    found = squeezed(waveform[None].float())[0, 0].square()[:, 8:-8]
    rows_of_cwt = plain(waveform[None].float())[0, 0].square()[rows, 8:-8]
    assert torch.allclose(found.sum(0), rows_of_cwt.sum(0), rtol=0.02)
    assert torch.allclose(found[rows], rows_of_cwt, rtol=0.03)
    assert torch.allclose(found[rows].sum(0), found.sum(0), rtol=1e-3)


@pytest.mark.parametrize("frequency_scale", FREQUENCY_SCALES)
def test_a_tone_is_all_in_the_nearest_row_of_any_scale(
    frequency_scale: str, image: dict[str, Any], options: dict[str, Any]
) -> None:
    module = build(image | {"frequency_scale": frequency_scale, "f_min": 300.0}, options)
    forward, inverse = FREQUENCY_SCALES[frequency_scale]
    step = (forward(3000.0) - forward(300.0)) / 39
    for row in range(1, 39, 3):
        for off in (-0.45, 0.45):
            frequency = inverse(forward(300.0) + (row + off) * step)
            column = module(tone(frequency)[None].float())[0, 0, :, 20].square()
            assert column[row] > 0.99 * column.sum(), (row, off)


def test_a_chirps_ridge_is_its_frequency(image: dict[str, Any], options: dict[str, Any]) -> None:
    """Row by row, and with nearly all of a column's energy within a row of it."""
    module = build(image, options)
    found = module(chirp()[None].float())[0, 0].square()
    places = torch.log(120 * torch.exp(np.log(20.0) * module.times) / 100) / np.log(30) * 39
    inner = range(4, 36)
    assert all(abs(int(found[:, k].argmax()) - float(places[k])) <= 1 for k in inner)
    for k in inner:
        near = slice(max(0, int(places[k].round()) - 2), int(places[k].round()) + 3)
        assert found[near, k].sum() > 0.95 * found[:, k].sum()


def test_gradients(image: dict[str, Any], options: dict[str, Any]) -> None:
    """Where coefficients go is not moved by gradients, which hold for the way that they went."""
    module = build(image, options).double()
    waveform = noise()[None].requires_grad_()
    found = module(waveform)
    (gradient,) = torch.autograd.grad(found.sum(), waveform)
    # Twice as loud is twice as bright (Euler's theorem).
    assert (gradient * waveform).sum().item() == pytest.approx(found.sum().item(), rel=1e-9)
    # Of a tone within a row that grows or fades, no coefficient changes its row.
    pure = tone(float(module.frequencies[20]))[None].requires_grad_()
    step = 1e-4 * pure.detach() * TIME**2

    def brightness(clip: Tensor) -> Tensor:
        return module(clip)[0, 0, 20, 8:-8].sum()

    (gradient,) = torch.autograd.grad(brightness(pure), pure)
    difference = brightness(pure.detach() + step) - brightness(pure.detach() - step)
    assert float(difference) == pytest.approx(2 * float((gradient * step).sum()), rel=1e-3)


def test_level_does_not_matter(image: dict[str, Any], options: dict[str, Any]) -> None:
    module, waveform = build(image, options), drum(0.2)[None].float()
    assert torch.allclose(module(waveform * 2.0**-12) * 2.0**12, module(waveform), rtol=1e-6)


def test_clips_do_not_depend_on_their_batch(image: dict[str, Any], options: dict[str, Any]) -> None:
    module = build(image, options)
    clips = torch.stack([sound for sound, _ in SOUNDS.values()]).float()
    together, alone = module(clips), torch.cat([module(clip[None]) for clip in clips])
    # Where a coefficient lies on the border of two rows, the last bit of an FFT decides.
    assert torch.linalg.vector_norm(together - alone) < 1e-3 * torch.linalg.vector_norm(alone)
