"""Fourier images against librosa, and their calibration."""

from typing import Any

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from audioid import transforms
from audioid.transforms.image import TimeFrequencyTransform
from audioid.transforms.images.fft import triangular_filters
from audioid.transforms.scales import frequency_grid

RATE = 22050


def build(image: dict[str, Any], n: int = RATE, **changes: Any) -> TimeFrequencyTransform:
    option = {"name": "fft", "n_fft": "auto", "win_length": "auto", "window": "hann", "n_mels": None} | changes
    return transforms.build(option, image, sample_rate=RATE, n_samples=n)


def grid(*arguments: Any) -> torch.Tensor:
    return torch.tensor(frequency_grid(*arguments), dtype=torch.float64)


def test_mel_filters_are_librosas_and_torchaudios() -> None:
    expected = librosa.filters.mel(sr=RATE, n_fft=2048, n_mels=40, fmin=0, fmax=8000, htk=True, norm=None)
    peer = torchaudio.functional.melscale_fbanks(1025, 0.0, 8000.0, 40, RATE).T.numpy()
    points = librosa.mel_frequencies(42, fmin=0, fmax=8000, htk=True)
    found = triangular_filters(grid(40, points[1], points[-2], "mel"), (0, 8000), 2048, RATE).numpy()
    # Those that are narrower than a bin on a side are widened here.
    keep = (np.diff(points)[:-1] > RATE / 2048) & (np.diff(points)[1:] > RATE / 2048)
    assert keep.sum() > 30
    assert np.allclose(found[keep], expected[keep], atol=1e-5)
    assert np.allclose(found[keep], peer[keep], atol=1e-3)  # which counts in float32


def test_filters_of_any_axis_are_triangles() -> None:
    centers = grid(30, 200, 9000, "log")
    ratio = float(centers[1] / centers[0])
    found = triangular_filters(centers, (200 / ratio, 9000 * ratio), 8192, RATE).numpy()
    bins = np.fft.rfftfreq(8192, 1 / RATE)
    for row, center in enumerate(centers.tolist()):
        expected = np.interp(bins, [center / ratio, center, center * ratio], [0, 1, 0])
        assert np.allclose(found[row], expected, atol=1e-6)


def test_image_is_librosas_mel_spectrogram(image: dict[str, Any]) -> None:
    n, size = 22000, 40  # columns of 550 samples
    waveform = torch.randn(1, n, generator=torch.Generator().manual_seed(0))
    # The 42 points that librosa spreads from 200 to 8,000 Hz: filters end at the first and the last.
    points = librosa.mel_frequencies(size + 2, fmin=200, fmax=8000, htk=True)
    setting = {"frequency_scale": "mel", "amplitude_scale": "magnitude", "f_min": points[1], "f_max": points[-2]}
    module = build(image | setting, n, n_fft=2048, win_length=2048)
    power = librosa.feature.melspectrogram(
        y=np.pad(waveform[0].numpy(), (0, 4096)),
        sr=RATE,
        n_fft=2048,
        hop_length=275,
        n_mels=size,
        fmin=200,
        fmax=8000,
        htk=True,
        norm=None,
        pad_mode="constant",
    )
    expected = power[:, 1 : 2 * size : 2]
    found = module(waveform)[0, 0].square().numpy()
    scales = (expected * found).sum(1) / (found * found).sum(1)  # the calibration of each row
    # The lowest and highest filter end half a mel step's curvature away, which these edges are extrapolated from.
    assert np.linalg.norm(scales[:, None] * found - expected) < 3e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("frequency_scale", ["log", "mel", "linear"])
def test_tones_of_one_amplitude_are_as_bright_in_every_row(frequency_scale: str, image: dict[str, Any]) -> None:
    module = build(
        image | {"frequency_scale": frequency_scale, "amplitude_scale": "magnitude", "f_min": 40.0, "f_max": 9000.0}
    )
    t = torch.arange(RATE) / RATE
    tones = torch.cos(2 * torch.pi * module.frequencies[:, None] * t).float()
    images = module(tones)[:, 0]
    # The lowest row's period is half a window long, so the tone's mirror image disturbs it a little.
    assert torch.allclose(images[torch.arange(40), torch.arange(40), 20], torch.ones(40), atol=0.02)


def test_no_row_is_empty_where_bands_are_narrower_than_a_bin() -> None:
    setting = {
        "size": 100,
        "f_min": 40.0,
        "f_max": 10000.0,
        "frequency_scale": "log",
        "amplitude_scale": "decibel",
        "decibel_range": 80,
    }
    found = build(setting)(torch.randn(1, RATE))
    assert (found.amax(-1) > 0.3).all()
    filters = triangular_filters(grid(512, 20, 11000, "mel"), (0, 11025), 2048, RATE)
    assert (filters.sum(1) > 0.4).all()


def test_the_originals_setting(image: dict[str, Any]) -> None:
    setting = image | {"size": 100, "f_min": 20.0, "f_max": 11000.0, "frequency_scale": "mel"}
    module = build(setting, n_fft=2048, win_length=1024, n_mels=512)
    found = module(torch.randn(2, RATE))
    assert found.shape == (2, 1, 100, 100)
    assert len(module.frequencies) == 100
    assert (module.frequencies.diff() > 0).all()


def test_long_columns_leave_no_gaps(image: dict[str, Any]) -> None:
    n = 60 * RATE
    module = build(image | {"f_min": 500.0}, n)
    waveform = torch.zeros(1, n)
    waveform[0, torch.arange(200, n, 41117)] = 1
    clicks = (torch.arange(200, n, 41117) * 40 // n).unique()
    assert (module(waveform)[0, 0, 20, clicks] > 0.5).all()


def test_clips_shorter_than_the_window(image: dict[str, Any]) -> None:
    assert build(image, 66)(torch.randn(3, 66)).isfinite().all()


@pytest.mark.parametrize("changes", [{}, {"win_length": 300, "window": "blackman"}])
def test_gradients(changes: dict[str, Any], image: dict[str, Any]) -> None:
    module = build(image | {"size": 8, "amplitude_scale": "magnitude", "f_min": 1000.0}, 400, **changes).double()
    waveform = torch.randn(1, 400, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (waveform,), atol=1e-4)
