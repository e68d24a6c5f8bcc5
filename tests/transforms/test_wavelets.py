"""The closed-form responses against PyWavelets' wavelets in time."""

import math
import re

import numpy as np
import pytest
import pywt
import torch

from audioid.errors import AudioidError
from audioid.transforms import wavelets

GAUSSIANS = [f"{family}{n}" for family in ("gaus", "cgau") for n in range(1, 9)]
NAMES = ["mexh", "morl", *GAUSSIANS, "cmor1.5-1.0", "cmor0.5-2.0", "fbsp3-1.5-1.0", "fbsp2-1.0-1.5"]


@pytest.mark.parametrize("name", NAMES)
def test_response_is_the_integral_of_pywavelets_own_function(name: str) -> None:
    wavelet, peer = wavelets.parse(name), pywt.ContinuousWavelet(name)
    reach = 200 if name.startswith("fbsp") else 12
    peer.lower_bound, peer.upper_bound = -reach, reach
    psi, t = peer.wavefun(length=reach * 1000 + 1)
    if name.startswith("cgau"):
        psi = psi.conj()
    f = np.linspace(-2.4, 2.4, 31) * wavelet.center_frequency
    expected = np.array([np.trapezoid(psi * np.exp(-2j * np.pi * value * t), t) for value in f])
    found = wavelet.phase * wavelet.spectrum(torch.tensor(f)).numpy()
    # fbsp decays as a power of t, so the integral itself stops early.
    tolerance = 1e-3 if name.startswith("fbsp") else 1e-9
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


def test_shannon_is_a_band() -> None:
    f = torch.tensor([0.2, 0.3, 1.0, 1.7, 1.8], dtype=torch.float64)
    expected = torch.tensor([0, 1, 1, 1, 0]) / math.sqrt(1.5)
    assert torch.allclose(wavelets.parse("shan1.5-1.0").spectrum(f), expected.double())


@pytest.mark.parametrize("name", [*NAMES, "shan1.5-1.0", "gmw20-3", "gmw3-60", "hann17.5"])
def test_center_frequency_is_where_the_response_peaks(name: str) -> None:
    wavelet = wavelets.parse(name)
    f = torch.linspace(0, 3, 3001, dtype=torch.float64) * wavelet.center_frequency
    size = wavelet.spectrum(f).abs()
    at_center = wavelet.spectrum(torch.tensor([wavelet.center_frequency], dtype=torch.float64)).abs()
    assert size.max() <= at_center * (1 + 1e-9)


@pytest.mark.parametrize("name", ["mexh", "morl", *GAUSSIANS, "cmor1.5-1.0"])
def test_center_frequency_is_pywavelets_to_its_own_resolution(name: str) -> None:
    peer = pywt.ContinuousWavelet(name)
    resolution = 1 / (peer.upper_bound - peer.lower_bound)
    assert abs(wavelets.parse(name).center_frequency - pywt.central_frequency(name, precision=12)) <= resolution


def test_morse_is_lilly_and_olhedes() -> None:
    wavelet = wavelets.parse("gmw20-3")
    f = torch.linspace(0.01, 0.6, 50, dtype=torch.float64)
    w = 2 * np.pi * f.numpy()
    expected = w**20 * np.exp(-(w**3))
    found = wavelet.spectrum(f).numpy()
    assert np.allclose(found / found.max(), expected / expected.max(), atol=1e-12)
    energy = torch.trapezoid(wavelet.spectrum(torch.linspace(0, 2, 20001, dtype=torch.float64)).square(), dx=1e-4)
    assert float(energy) == pytest.approx(1, rel=1e-6)


def test_hann_is_the_spectrum_of_a_windowed_tone() -> None:
    t = np.linspace(-4, 4, 80001)
    psi = (1 + np.cos(2 * np.pi * t / 8)) / 8 * np.exp(2j * np.pi * t)
    f = np.linspace(0.5, 1.5, 33)
    expected = [np.trapezoid(psi * np.exp(-2j * np.pi * value * t), t) for value in f]
    assert np.allclose(wavelets.parse("hann8").spectrum(torch.tensor(f)), np.real(expected), atol=1e-6)


def test_radius_and_cone_of_influence_of_a_gaussian() -> None:
    wavelet = wavelets.parse("cmor1.5-1.0")
    assert wavelet.radius(1e-4) == pytest.approx(math.sqrt(1.5 * math.log(1e4)), abs=0.05)
    seconds = wavelet.cone_of_influence(torch.tensor([10.0, 100.0]))
    assert seconds.tolist() == pytest.approx([math.sqrt(1.5) / 10, math.sqrt(1.5) / 100], rel=0.05)


def test_bandwidth_of_a_gaussian() -> None:
    deviation = 1 / (math.pi * math.sqrt(3))
    expected = 2 * deviation * math.sqrt(math.log(1e3))
    assert wavelets.parse("cmor1.5-1.0").bandwidth(1e-3) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    "name", ["haar", "cmor", "cmor1.5", "cmor0-1", "gaus9", "cgau0", "gaus1.5", "fbsp0-1-1", "", "gmw3"]
)
def test_unknown_names_list_the_families(name: str) -> None:
    with pytest.raises(AudioidError, match=re.escape(f"there is no {name!r}; choose one of mexh, morl, gausN")):
        wavelets.parse(name)
