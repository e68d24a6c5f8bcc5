"""Which changes of pictures a configuration's pictures can show; nothing heavy is imported."""

from collections.abc import Mapping
from typing import Any

from audioid.errors import AudioidError

OF_LOG_DECIBELS = ("frequency_shift", "time_stretch", "tilt_db")
OF_IMAGES = ("time_shift", "gain_db", *OF_LOG_DECIBELS, "frequency_mask", "time_mask", "mixup")


def check_augment(
    augment: Mapping[str, Any], transform: Mapping[str, Any], image: Mapping[str, Any], level: str
) -> None:
    """Raises AudioidError where `augment` changes pictures in a way that no change of the sound would."""
    amplitude_scale = image["amplitude_scale"]
    if transform["name"] == "mfcc":
        for key in OF_IMAGES:
            if augment[key]:
                raise AudioidError(f"augment.{key}: works on bands of sound, and rows of mfcc are none; set it to 0")
    # Rows at whole scales of a wavelet are no logarithmic axis, whatever `frequency_scale` says.
    is_log = image["frequency_scale"] == "log" and not transform.get("scales")
    for key in OF_LOG_DECIBELS:
        if augment[key] and not (is_log and amplitude_scale == "decibel"):
            raise AudioidError(
                f"augment.{key}: is for decibels over a logarithmic frequency axis; set it to 0, or "
                "image.amplitude_scale=decibel, image.frequency_scale=log and no transform.scales"
            )
    if not augment["gain_db"]:
        return
    if amplitude_scale != "magnitude":
        raise AudioidError(
            f"augment.gain_db: {amplitude_scale} images do not show how loud a recording is; "
            "set it to 0, or image.amplitude_scale=magnitude"
        )
    if level != "none":
        raise AudioidError(
            f"augment.gain_db: audio.level={level} makes all recordings equally loud; set it to 0, or audio.level=none"
        )
