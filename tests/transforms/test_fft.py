"""Fourier images against librosa, and their calibration."""

from typing import Any

import librosa
import numpy as np
import pytest
import torch

from audioid import transforms
from audioid.errors import AudioidError
from audioid.transforms.fft import triangular_filters
from audioid.transforms.image import TimeFrequencyTransform, row_frequencies

RATE = 22050


def build(image: dict[str, Any], n: int = RATE, **changes: Any) -> TimeFrequencyTransform:
    option = {"name": "fft", "n_fft": "auto", "win_length": "auto", "window": "hann", "n_mels": None} | changes
    return transforms.build(option, image, sample_rate=RATE, n_samples=n)


def test_mel_filters_are_librosas() -> None:
    expected = librosa.filters.mel(sr=RATE, n_fft=2048, n_mels=40, fmin=0, fmax=8000, htk=True, norm=None)
    points = librosa.mel_frequencies(42, fmin=0, fmax=8000, htk=True)
    centers = row_frequencies(40, points[1], points[-2], "mel")
    found = triangular_filters(centers, (0, 8000), 2048, RATE).numpy()
    # Those that are narrower than a bin on a side are widened here.
    wide = np.diff(points).min(initial=np.inf) >= 0
    keep = (np.diff(points)[:-1] > RATE / 2048) & (np.diff(points)[1:] > RATE / 2048)
    assert wide
    assert keep.sum() > 30
    assert np.allclose(found[keep], expected[keep], atol=1e-5)


def test_image_is_librosas_spectrogram(image: dict[str, Any]) -> None:
    n, size = 22000, 40  # columns of 550 samples
    waveform = torch.randn(1, n, generator=torch.Generator().manual_seed(0))
    module = build(image | {"frequency_scale": "mel", "amplitude_scale": "magnitude"}, n, n_fft=2048, win_length=2048)
    padded = np.pad(waveform[0].numpy(), (0, 4096))
    power = np.abs(librosa.stft(padded, n_fft=2048, hop_length=275, pad_mode="constant")) ** 2
    centers = module.frequencies
    edges = (float(2 * centers[0] - centers[1]), float(2 * centers[-1] - centers[-2]))
    filters = triangular_filters(centers, edges, 2048, RATE).numpy()
    expected = filters @ power[:, 1 : 2 * size : 2]
    found = module(waveform)[0, 0].square().numpy()
    scales = (expected * found).sum(1) / (found * found).sum(1)  # the calibration of each row
    assert np.linalg.norm(scales[:, None] * found - expected) < 1e-3 * np.linalg.norm(expected)


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
    filters = triangular_filters(row_frequencies(512, 20, 11000, "mel"), (0, 11025), 2048, RATE)
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": "boxcar"}, "transform.window: there is no 'boxcar'"),
        ({"n_fft": 512, "win_length": 1024}, "1024 must be at least 2 and no longer than an even n_fft"),
        ({"n_fft": 2047}, "even n_fft"),
        ({"win_length": "long"}, "transform.win_length: 'long' is neither auto nor a number"),
    ],
)
def test_bad_settings(changes: dict[str, Any], message: str, image: dict[str, Any]) -> None:
    with pytest.raises(AudioidError, match=message):
        build(image, **changes)


def test_no_signed_spectrum(image: dict[str, Any]) -> None:
    with pytest.raises(AudioidError, match="fft has no signed values"):
        build(image | {"amplitude_scale": "signed"})
