"""Cepstral images against torchaudio's MFCC."""

from typing import Any

import numpy as np
import pytest
import torch
import torchaudio

from audioid import transforms
from audioid.transforms.scales import frequency_grid

RATE, N, SIZE, N_MELS = 16000, 16000, 40, 48


def test_coefficients_are_torchaudios(image: dict[str, Any], options: dict[str, Any]) -> None:
    waveform = torch.randn(1, N, generator=torch.Generator().manual_seed(0))
    waveform[0, 6000:] *= 1e-5  # below the decibel range
    # torchaudio's filters end at f_min and f_max, where the next centres would be.
    centers = frequency_grid(N_MELS + 2, 300, 7000, "mel")[1:-1]
    option = options["mfcc"] | {"n_fft": 1024, "win_length": 1024, "n_mels": N_MELS}
    module = transforms.build(
        option, image | {"f_min": centers[0], "f_max": centers[-1]}, sample_rate=RATE, n_samples=N
    )
    mel = {"n_fft": 1024, "hop_length": N // SIZE, "f_min": 300.0, "f_max": 7000.0, "n_mels": N_MELS}
    peer = torchaudio.transforms.MFCC(RATE, SIZE, melkwargs=mel | {"pad_mode": "constant"})
    # Rows are calibrated to give a tone of amplitude 1 the power 1; so are torchaudio's here, by its own spectra.
    tones = torch.cos(2 * torch.pi * torch.tensor(centers)[:, None] * torch.arange(N) / RATE)
    peer.MelSpectrogram.mel_scale.fb /= peer.MelSpectrogram(tones)[..., 20].diagonal()
    # Half a column of silence before the clip puts torchaudio's frames in the middles of the columns.
    shifted = torch.nn.functional.pad(waveform, (N // SIZE // 2, 0))
    decibels = peer.amplitude_to_DB(peer.MelSpectrogram(shifted))
    # It takes decibels, from 80 below the largest up; here they are 0 to 1, and so is their mean.
    expected = peer(shifted)[0, :, 1 : SIZE + 1] / np.sqrt(N_MELS)
    expected[0] -= decibels.max() - 80
    expected /= 80
    found = module(waveform)[0, 0]
    assert found[:, 25:].abs().max() == 0
    # The lowest and highest filter's outer edges differ by a hertz or two, and torchaudio's filters are float32.
    for rows, tolerance in ((slice(0, 1), 1e-4), (slice(1, SIZE), 1e-2)):  # the mean, and the shape that edges are in
        assert torch.linalg.norm((found - expected)[rows]) < tolerance * torch.linalg.norm(expected[rows])


def test_coefficients_fewer_than_rows_are_spread_over_them(image: dict[str, Any], options: dict[str, Any]) -> None:
    waveform = torch.randn(2, N)
    few, rows = options["mfcc"] | {"n_mfcc": 5}, image | {"size": 40}
    found = transforms.build(few, rows, sample_rate=RATE, n_samples=N)
    every = transforms.build(options["mfcc"], rows, sample_rate=RATE, n_samples=N)
    assert found.row_values[0] == 0
    assert found.row_values[-1] == 4
    assert torch.allclose(found(waveform)[:, 0, [0, -1]], every(waveform)[:, 0, [0, 4]], atol=1e-6)
    # More rows than bands: there are no more coefficients than bands.
    module = transforms.build(options["mfcc"] | {"n_mels": 16}, rows, sample_rate=RATE, n_samples=N)
    assert module.row_values[-1] == 15


def test_louder_is_the_same_and_brighter_raises_the_first_shape(image: dict[str, Any], options: dict[str, Any]) -> None:
    module = transforms.build(options["mfcc"], image, sample_rate=RATE, n_samples=N)
    t = torch.arange(N) / RATE
    low, high = (torch.cos(2 * torch.pi * f * t)[None] for f in (150.0, 2500.0))
    assert torch.allclose(module(low), module(7 * low), atol=1e-5)
    # The first cosine is positive on the low half of the bands.
    assert module(low)[0, 0, 1, 20] > 0.05
    assert module(high)[0, 0, 1, 20] < -0.05


def test_gradients(image: dict[str, Any], options: dict[str, Any]) -> None:
    setting = image | {"size": 8, "f_min": 1000.0}
    option = options["mfcc"] | {"n_mels": 8}
    module = transforms.build(option, setting, sample_rate=RATE, n_samples=400).double()
    waveform = torch.randn(1, 400, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (waveform,), atol=1e-4)


@pytest.mark.parametrize("axis", ["log", "linear"])
def test_bands_are_mel_on_any_axis(axis: str, image: dict[str, Any], options: dict[str, Any]) -> None:
    waveform = torch.randn(1, N)
    found, expected = (
        transforms.build(options["mfcc"], image | {"frequency_scale": scale}, sample_rate=RATE, n_samples=N)(waveform)
        for scale in (axis, "mel")
    )
    assert torch.equal(found, expected)
