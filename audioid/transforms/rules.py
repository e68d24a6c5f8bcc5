"""What can be said of a transform's settings without data and without torch, before any work is done."""

import sys
from collections.abc import Mapping
from typing import Any

from audioid.errors import AudioidError, check_choice
from audioid.transforms.scales import FREQUENCY_SCALES, check_below_nyquist
from audioid.transforms.wavelet_names import NORMS, PADDINGS, constant_q, parse_name
from audioid.transforms.windows import WINDOWS, window_lengths

_CHOICES = {"window": WINDOWS, "norm": NORMS, "padding": PADDINGS}
_UNSIGNED = ("fft", "ssq", "mfcc", "both")


def check_transform(transform: Mapping[str, Any], image: Mapping[str, Any], audio: Mapping[str, Any]) -> None:
    """Holds the settings `transform.*`, `image.*` and `audio.*` of one run against one another.

    Keys are judged by their names, so that a transform of one's own has the rules of the keys that it shares.
    `audio` needs `sample_rate` in hertz and `seconds`, which is a number or `auto`.

    Raises:
        AudioidError: a value that no recording could make an image with.
    """
    name, sample_rate, seconds = transform["name"], audio["sample_rate"], audio["seconds"]
    n_samples = sys.maxsize if seconds == "auto" else round(sample_rate * seconds)
    if n_samples < 2:
        raise AudioidError(f"audio.seconds: {n_samples} samples make no picture; give a clip of at least 2 samples")
    _check_image(name, image)
    for key, choices in _CHOICES.items():
        if key in transform:
            check_choice(f"transform.{key}", transform[key], choices)
    if transform.get("scales") is None:
        check_below_nyquist("image.f_max", image["f_max"], sample_rate)
    if "n_fft" in transform:
        window_lengths(transform["n_fft"], transform["win_length"], sample_rate, n_samples)
    if "wavelet" in transform:
        _check_wavelet(name, transform, sample_rate)
    if name == "cqt":
        wavelet = constant_q(transform["filter_scale"], image["size"], image["f_min"], image["f_max"])
        parse_name(wavelet, "transform.filter_scale")
    if (
        name == "mfcc"
        and transform["n_mfcc"]
        and transform["n_mfcc"] > (n_mels := transform["n_mels"] or image["size"])
    ):
        raise AudioidError(
            f"transform.n_mfcc: {n_mels} mel bands give no {transform['n_mfcc']} coefficients; raise transform.n_mels"
        )


def _check_image(name: str, image: Mapping[str, Any]) -> None:
    f_min, f_max, amplitude_scale = image["f_min"], image["f_max"], image["amplitude_scale"]
    check_choice("image.frequency_scale", image["frequency_scale"], FREQUENCY_SCALES)
    check_choice("image.amplitude_scale", amplitude_scale, ("decibel", "magnitude", "signed"))
    if not 0 < f_min < f_max:
        raise AudioidError(f"image.f_min: {f_min:g} Hz must lie between 0 and image.f_max ({f_max:g} Hz); change one")
    if amplitude_scale == "signed" and name in _UNSIGNED:
        raise AudioidError(f"image.amplitude_scale: {name} has no signed values; choose decibel or magnitude")
    if amplitude_scale != "decibel" and name == "mfcc":
        raise AudioidError(f"image.amplitude_scale: mfcc is of decibels, not of {amplitude_scale}; choose decibel")


def _check_wavelet(name: str, transform: Mapping[str, Any], sample_rate: int) -> None:
    wavelet = parse_name(transform["wavelet"], "transform.wavelet")
    if name == "ssq" and not wavelet.is_complex:
        raise AudioidError(f"transform.wavelet: {wavelet.name} has no phase to squeeze by; choose a complex one")
    scales, first_samples = transform.get("scales"), transform.get("first_samples")
    if name == "both" and (scales or first_samples):
        key = "scales" if scales else "first_samples"
        raise AudioidError(f"transform.{key}: the channels of both share their rows and columns; leave it at null")
    if first_samples is not None and first_samples < 2:
        raise AudioidError(f"transform.first_samples: {first_samples} make no picture; give at least 2, or null")
    if scales is None:
        return
    if len(scales) != 2 or not 1 <= scales[0] < scales[1]:
        raise AudioidError(f"transform.scales: {list(scales)} must be [FIRST, LAST], from 1 on and rising; correct it")
    highest = wavelet.center_frequency * sample_rate / scales[0]
    if highest > sample_rate / 2:
        raise AudioidError(
            f"transform.scales: {wavelet.name} at scale {scales[0]} has {highest:g} Hz, which is above half the sample "
            f"rate ({sample_rate / 2:g} Hz); begin at a larger one"
        )
