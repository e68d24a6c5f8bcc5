"""What the tests of the transforms share: the settings of an image, and the oracle of scripts/."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def image() -> dict[str, Any]:
    """Settings of a small image."""
    return {
        "size": 40,
        "f_min": 100.0,
        "f_max": 3000.0,
        "frequency_scale": "log",
        "amplitude_scale": "decibel",
        "decibel_range": 80.0,
    }


@pytest.fixture
def options() -> dict[str, dict[str, Any]]:
    """Each transform with its own keys."""
    fourier = {"n_fft": "auto", "win_length": "auto", "window": "hann", "n_mels": None}
    wavelet = {"wavelet": "cmor1.5-1.0", "norm": "l1", "padding": "zero", "scales": None, "first_samples": None}
    return {
        "fft": {"name": "fft"} | fourier,
        "cwt": {"name": "cwt"} | wavelet,
        "ssq": {"name": "ssq", "wavelet": "gmw20-3", "padding": "zero"},
        "cqt": {"name": "cqt", "filter_scale": 1.0, "padding": "zero"},
        "mfcc": {"name": "mfcc"} | fourier | {"n_mels": 64, "n_mfcc": None},
        "both": {"name": "both"} | fourier | wavelet,
    }


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The wavelet transform by its definition."""
    path = Path(__file__).parents[2] / "scripts" / "wavelet_oracle.py"
    spec = importlib.util.spec_from_file_location("wavelet_oracle", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
