"""Pictures of sound: Fourier and wavelet images of recordings, on one contract."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from audioid.errors import AudioidError
from audioid.transforms.cwt import cwt, icwt
from audioid.transforms.image import TimeFrequencyTransform

__all__ = ["build", "cwt", "icwt"]

_CLASSES = {"fft": "Fft", "cwt": "Cwt", "ssq": "Ssq", "cqt": "Cqt"}


def build(
    transform: Mapping[str, Any], image: Mapping[str, Any], *, sample_rate: int, n_samples: int
) -> TimeFrequencyTransform:
    """The module that turns waveforms `(batch, n_samples)` into images; see `TimeFrequencyTransform`.

    Args:
        transform: `name` (fft, cwt, ssq, cqt) and the keys of that option.
        image: `size`, `f_min`, `f_max` (hertz), `frequency_scale`, `amplitude_scale`,
            `decibel_range`; other keys are not looked at.

    Raises:
        AudioidError: an unknown transform or key, a missing key, or a value that is not allowed.
    """
    options = dict(transform)
    name = options.pop("name", None)
    if name not in _CLASSES:
        raise AudioidError(f"transform: there is no {name!r}; choose one of {', '.join(_CLASSES)}")
    shared = {
        key: image[key] for key in ("size", "f_min", "f_max", "frequency_scale", "amplitude_scale", "decibel_range")
    }
    maker = getattr(importlib.import_module(f"audioid.transforms.{name}"), _CLASSES[name])
    known = set(inspect.signature(maker).parameters) - set(shared) - {"sample_rate", "n_samples"}
    for key in known.symmetric_difference(options):
        problem = f"{name} needs it; give it a value" if key in known else f"no such key of {name}; leave it out"
        raise AudioidError(f"transform.{key}: {problem}")
    module: TimeFrequencyTransform = maker(**options, **shared, sample_rate=sample_rate, n_samples=n_samples)
    return module
