"""Which changes of pictures a configuration's pictures can show; nothing heavy is imported."""

from collections.abc import Mapping
from typing import Any

from audioid.errors import AudioidError

OF_SOUNDS = ("pitch_semitones", "speed", "eq_db", "reverb_seconds", "min_snr_db")
OF_LOG_DECIBELS = ("frequency_shift", "time_stretch", "tilt_db")
OF_IMAGES = ("time_shift", "gain_db", *OF_LOG_DECIBELS, "frequency_mask", "time_mask", "mixup")


def as_shown(
    augment: Mapping[str, Any],
    defaults: Mapping[str, Any],
    transform: Mapping[str, Any],
    image: Mapping[str, Any],
    level: str,
) -> dict[str, Any]:
    """What `augment=auto` comes to: changes that such pictures cannot show are left out, where nobody chose others.

    `defaults` are the option's values where nobody chose others.
    """
    problems = _problems(augment, transform, image, level)
    left_out = [key for key in problems if augment["name"] == "auto" and augment[key] == defaults.get(key)]
    return {**augment, **dict.fromkeys(left_out, 0.0)}


def told(augment: Mapping[str, Any]) -> str:
    """Such as `learns from recordings changed anew each time: tilt_db 12`."""
    off = dict.fromkeys((*OF_SOUNDS, *OF_IMAGES), 0.0) | {"min_snr_db": None}
    changes = [f"{key} {augment[key]:g}" for key, value in off.items() if augment[key] != value]
    if not changes:
        return "learns from the recordings as they are"
    return f"learns from recordings changed anew each time: {', '.join(changes)}"


def check_augment(
    augment: Mapping[str, Any], transform: Mapping[str, Any], image: Mapping[str, Any], level: str
) -> None:
    """Raises AudioidError where `augment` changes pictures in a way that no change of the sound would."""
    for key, problem in _problems(augment, transform, image, level).items():
        raise AudioidError(f"augment.{key}: {problem}")


def _problems(
    augment: Mapping[str, Any], transform: Mapping[str, Any], image: Mapping[str, Any], level: str
) -> dict[str, str]:
    """What is wrong with each key that changes something, the first first."""
    amplitude_scale, found = image["amplitude_scale"], dict[str, str]()
    if transform["name"] == "mfcc":
        found |= dict.fromkeys(OF_IMAGES, "works on bands of sound, and rows of mfcc are none; set it to 0")
    # Rows at whole scales of a wavelet are no logarithmic axis, whatever `frequency_scale` says.
    is_log = image["frequency_scale"] == "log" and not transform.get("scales")
    if not (is_log and amplitude_scale == "decibel"):
        wanted = "image.amplitude_scale=decibel, image.frequency_scale=log and no transform.scales"
        for key in OF_LOG_DECIBELS:
            found.setdefault(key, f"is for decibels over a logarithmic frequency axis; set it to 0, or {wanted}")
    if amplitude_scale != "magnitude":
        unseen = f"{amplitude_scale} images do not show how loud a recording is"
        found.setdefault("gain_db", f"{unseen}; set it to 0, or image.amplitude_scale=magnitude")
    elif level != "none":
        equal = f"audio.level={level} makes all recordings equally loud"
        found.setdefault("gain_db", f"{equal}; set it to 0, or audio.level=none")
    return {key: problem for key, problem in found.items() if augment[key]}
