"""The contract that every transform keeps, and what `build` refuses."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from audioid import transforms
from audioid.errors import AudioidError
from audioid.transforms.image import row_frequencies

RATE, N = 8000, 6000
NAMES = ["fft", "cwt", "ssq", "cqt"]


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, image: dict[str, Any], options: dict[str, Any]) -> None:
    module = transforms.build(options[name], image | {"standardize": "global"}, sample_rate=RATE, n_samples=N)
    waveform = torch.randn(3, N)
    waveform[1] *= 1e-3
    waveform[2] = 0
    found = module(waveform)
    assert found.shape == (3, 1, 40, 40)
    assert found.dtype == torch.float32
    assert (found.amin() >= 0).item()
    # Decibels are relative to each clip's own loudest value, and silence is zeros.
    assert found[:2].amax((1, 2, 3)).tolist() == pytest.approx([1, 1], abs=1e-6)
    assert (found[2] == 0).all()
    assert torch.allclose(found, torch.cat([module(clip[None]) for clip in waveform]), atol=1e-4)
    assert module.times.tolist() == pytest.approx(((np.arange(40) + 0.5) * N / 40 / RATE).tolist())
    assert module.frequencies[0] == pytest.approx(100)
    assert module.frequencies[-1] == pytest.approx(3000)
    assert not module.state_dict()


def test_arms_of_a_comparison_share_their_axes(image: dict[str, Any], options: dict[str, Any]) -> None:
    built = [transforms.build(options[name], image, sample_rate=RATE, n_samples=N) for name in NAMES]
    for module in built[1:]:
        assert torch.equal(module.frequencies, built[0].frequencies)
        assert torch.equal(module.times, built[0].times)


@pytest.mark.parametrize(
    ("frequency_scale", "middle"),
    [("log", 1000.0), ("linear", 5050.0), ("mel", 700 * ((800 / 700 * 10700 / 700) ** 0.5 - 1))],
)
def test_spacing(frequency_scale: str, middle: float) -> None:
    rows = row_frequencies(3, 100, 10000, frequency_scale)
    assert rows[1] == pytest.approx(middle, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize(
    ("name", "option", "setting", "message"),
    [
        ("cwt", {"name": "stft"}, {}, "transform: there is no 'stft'; choose one of fft, cwt, ssq, cqt"),
        ("cwt", {"hop": 3}, {}, "transform.hop: no such key of cwt"),
        ("cwt", {"wavelet": "sym4"}, {}, "there is no 'sym4'"),
        ("cwt", {"norm": "max"}, {}, "transform.norm"),
        ("cwt", {"scales": [5, 2]}, {}, "transform.scales"),
        ("fft", {}, {"f_max": 4001.0}, "4001 Hz is above half the sample rate"),
        ("cwt", {}, {"f_max": 4001.0}, "4001 Hz is above half the sample rate"),
        ("cwt", {}, {"f_min": 0.0}, "image.f_min"),
        ("cqt", {}, {"frequency_scale": "bark"}, "image.frequency_scale: there is no 'bark'"),
        ("cwt", {}, {"amplitude_scale": "power"}, "image.amplitude_scale: there is no 'power'"),
        ("ssq", {"wavelet": "mexh"}, {}, "mexh has no phase"),
        ("ssq", {}, {"amplitude_scale": "signed"}, "ssq has no signed"),
    ],
)
def test_bad_settings(
    name: str,
    option: dict[str, Any],
    setting: dict[str, Any],
    message: str,
    image: dict[str, Any],
    options: dict[str, Any],
) -> None:
    with pytest.raises(AudioidError, match=message):
        transforms.build(options[name] | option, image | setting, sample_rate=RATE, n_samples=N)


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
