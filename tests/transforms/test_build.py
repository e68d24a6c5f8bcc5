"""The contract that every transform keeps, and what `build` refuses."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from audioid import transforms
from audioid.errors import AudioidError
from audioid.transforms.scales import frequency_grid

RATE, N = 8000, 6000
SPECTRAL = ["fft", "cwt", "ssq", "cqt", "both"]
NAMES = [*SPECTRAL, "mfcc"]


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, image: dict[str, Any], options: dict[str, Any]) -> None:
    module = transforms.build(options[name], image | {"standardize": "global"}, sample_rate=RATE, n_samples=N)
    waveform = torch.randn(3, N)
    waveform[1] *= 1e-3
    waveform[2] = 0
    found = module(waveform)
    assert found.shape == (3, module.channels, 40, 40)
    assert found.dtype == torch.float32
    assert (found.amin() < 0).item() == module.is_signed
    # Decibels are relative to each clip's own loudest value, and silence is zeros.
    assert found.abs().max() <= 1 + 1e-6
    if name != "mfcc":
        assert found[:2].amax((2, 3)).flatten().tolist() == pytest.approx([1] * 2 * module.channels, abs=1e-6)
    assert (found[2] == 0).all()
    assert torch.allclose(found, torch.cat([module(clip[None]) for clip in waveform]), atol=1e-4)
    assert module.times.tolist() == pytest.approx(((np.arange(40) + 0.5) * N / 40 / RATE).tolist())
    first, last = (0, 39) if name == "mfcc" else (100, 3000)
    assert module.row_values[0] == pytest.approx(first)
    assert module.row_values[-1] == pytest.approx(last)
    assert not module.state_dict()


def test_rows_say_what_they_are(image: dict[str, Any], options: dict[str, Any]) -> None:
    for name in NAMES:
        module = transforms.build(options[name], image, sample_rate=RATE, n_samples=N)
        assert module.row_label == ("cepstral coefficient" if name == "mfcc" else "frequency / Hz")
        assert hasattr(module, "frequencies") == (name != "mfcc")


def test_both_is_the_two_pictures(image: dict[str, Any], options: dict[str, Any]) -> None:
    waveform = torch.randn(3, N)
    found, fourier, wavelet = (
        transforms.build(options[name], image, sample_rate=RATE, n_samples=N)(waveform)
        for name in ("both", "fft", "cwt")
    )
    assert torch.equal(found, torch.cat([fourier, wavelet], 1))


def test_arms_of_a_comparison_share_their_axes(image: dict[str, Any], options: dict[str, Any]) -> None:
    built = [transforms.build(options[name], image, sample_rate=RATE, n_samples=N) for name in SPECTRAL]
    for module in built[1:]:
        assert torch.equal(module.frequencies, built[0].frequencies)
        assert torch.equal(module.times, built[0].times)


@pytest.mark.parametrize(
    ("frequency_scale", "middle"),
    [("log", 1000.0), ("linear", 5050.0), ("mel", 700 * ((800 / 700 * 10700 / 700) ** 0.5 - 1))],
)
def test_spacing(frequency_scale: str, middle: float) -> None:
    assert frequency_grid(3, 100, 10000, frequency_scale) == pytest.approx([100, middle, 10000], rel=1e-6)


@pytest.mark.parametrize("name", SPECTRAL)
def test_a_long_clip_is_the_mean_of_its_columns(name: str, image: dict[str, Any], options: dict[str, Any]) -> None:
    """What sounds in one column of a long clip is seen there, and as bright as in a short clip."""
    n = 20 * RATE
    module = transforms.build(options[name], image | {"amplitude_scale": "magnitude"}, sample_rate=RATE, n_samples=n)
    waveform = torch.zeros(1, n)
    tone = torch.sin(2 * torch.pi * module.frequencies[25] * torch.arange(n // 40) / RATE).float()
    waveform[0, 12 * n // 40 : 13 * n // 40] = tone
    found = module(waveform)[0, 0]
    assert found.argmax() == 25 * 40 + 12
    assert float(found[25, 12]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_exports(name: str, image: dict[str, Any], options: dict[str, Any]) -> None:
    module = transforms.build(options[name], image, sample_rate=RATE, n_samples=N)
    waveform = torch.randn(2, N)
    program = torch.export.export(module, (waveform,))
    assert torch.allclose(program.module()(waveform), module(waveform), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_bad_waveforms(name: str, image: dict[str, Any], options: dict[str, Any]) -> None:
    module = transforms.build(options[name], image, sample_rate=RATE, n_samples=N)
    with pytest.raises(AudioidError, match=r"the shape \(2, 50\) is not \(batch, 6000\)"):
        module(torch.zeros(2, 50))
    bad = torch.zeros(3, N)
    bad[1, 5] = torch.nan
    with pytest.raises(AudioidError, match="clip 1 holds NaN"):
        module(bad)
    for n in (0, 1):
        with pytest.raises(AudioidError, match=f"{n} samples make no picture"):
            transforms.build(options[name], image, sample_rate=RATE, n_samples=n)


def test_unknown_names_and_keys(image: dict[str, Any], options: dict[str, Any]) -> None:
    for change, message in (
        ({"name": "stft"}, "transform: there is no 'stft'; choose one of fft, cwt, "),
        ({"hop": 3}, "transform.hop: no such key of cwt"),
        ({"wavelet": "sym4"}, "transform.wavelet: there is no 'sym4'"),  # and all else that test_rules.py has
    ):
        with pytest.raises(AudioidError, match=message):
            transforms.build(options["cwt"] | change, image, sample_rate=RATE, n_samples=N)


def test_missing_key(image: dict[str, Any]) -> None:
    with pytest.raises(AudioidError, match=r"transform.padding: cqt needs it"):
        transforms.build({"name": "cqt", "filter_scale": 1.0}, image, sample_rate=RATE, n_samples=N)


def test_squeezing_sharpens(image: dict[str, Any], options: dict[str, Any]) -> None:
    tone = torch.sin(2 * torch.pi * 700 * torch.arange(N) / RATE)[None]
    widths = {}
    for name in ("cwt", "ssq"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            option = options[name] | {"wavelet": "gmw20-3"}
            module = transforms.build(option, image | {"amplitude_scale": "magnitude"}, sample_rate=RATE, n_samples=N)
        column = module(tone)[0, 0, :, 20]
        widths[name] = int((column > 0.5 * column.max()).sum())
        assert float(column.max()) == pytest.approx(1, abs=0.06)
    assert widths["ssq"] == 1
    assert widths["cwt"] >= 4
