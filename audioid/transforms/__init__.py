"""Pictures of sound: Fourier and wavelet images of recordings, on one contract."""

import importlib
from collections.abc import Mapping
from typing import Any

import torch

from audioid.errors import AudioidError
from audioid.transforms.cwt import cwt, icwt

__all__ = ["build", "cwt", "icwt"]

_CLASSES = {"fft": "Fft", "cwt": "Cwt", "ssq": "Ssq", "cqt": "Cqt"}


def build(
    transform: Mapping[str, Any], image: Mapping[str, Any], *, sample_rate: int, n_samples: int
) -> torch.nn.Module:
    """The module that turns waveforms `(batch, n_samples)` into images `(batch, 1, size, size)`; see `Picture`.

    Args:
        transform: `name` (fft, cwt, ssq, cqt) and the keys of that option.
        image: `size`, `f_min`, `f_max` (hertz), `spacing`, `scale`, `decibel_range`; other keys are not looked at.

    Raises:
        AudioidError: an unknown transform or key, a missing key, or a value that is not allowed.
    """
    options = dict(transform)
    name = options.pop("name", None)
    if name not in _CLASSES:
        raise AudioidError(f"transform: there is no {name!r}; choose one of {', '.join(_CLASSES)}")
    shared = {key: image[key] for key in ("size", "f_min", "f_max", "spacing", "scale", "decibel_range")}
    maker = getattr(importlib.import_module(f"audioid.transforms.{name}"), _CLASSES[name])
    module: torch.nn.Module = maker(**options, **shared, sample_rate=sample_rate, n_samples=n_samples)
    return module
