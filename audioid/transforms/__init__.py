"""Pictures of sound: Fourier and wavelet images of recordings, on one contract.

Importing this loads no torch: the configuration is checked by `audioid.transforms.rules` before anything heavy is.
"""

import inspect
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from audioid.errors import AudioidError
from audioid.registry import maker_of
from audioid.transforms.rules import check_transform

if TYPE_CHECKING:
    from audioid.transforms.coefficients import cwt, icwt
    from audioid.transforms.image import TimeFrequencyTransform

__all__ = ["build", "check_transform", "cwt", "icwt", "transform_class"]


def __getattr__(name: str) -> Any:
    if name in ("cwt", "icwt"):
        return getattr(import_module("audioid.transforms.coefficients"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def transform_class(name: str) -> "type[TimeFrequencyTransform]":
    """The class of the transform of that name, which knows its `channels`.

    Raises:
        AudioidError: there is none.
    """
    return cast("type[TimeFrequencyTransform]", maker_of("transform", name))


def build(
    transform: Mapping[str, Any], image: Mapping[str, Any], *, sample_rate: int, n_samples: int
) -> "TimeFrequencyTransform":
    """The module that turns waveforms `(batch, n_samples)` into images; see `TimeFrequencyTransform`.

    Args:
        transform: `name` (of an option) and the keys of that option.
        image: `size`, `f_min`, `f_max` (hertz), `frequency_scale`, `amplitude_scale`,
            `decibel_range`; other keys are not looked at.

    Raises:
        AudioidError: an unknown transform or key, a missing key, or a value that is not allowed.
    """
    from audioid.transforms.image import ImageSpec

    options = {key: value for key, value in transform.items() if key != "name"}
    name = transform.get("name", "")
    maker = transform_class(name)
    known = set(inspect.signature(maker).parameters) - {"image"}
    for key in known.symmetric_difference(options):
        problem = f"{name} needs it; give it a value" if key in known else f"no such key of {name}; leave it out"
        raise AudioidError(f"transform.{key}: {problem}")
    check_transform(transform, image, {"sample_rate": sample_rate, "seconds": n_samples / sample_rate})
    shared = {item.name: image[item.name] for item in fields(ImageSpec) if item.name in image}
    return maker(**options, image=ImageSpec(**shared, sample_rate=sample_rate, n_samples=n_samples))
