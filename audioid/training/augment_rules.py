"""Which changes of pictures a configuration's pictures can show; nothing heavy is imported."""

from collections.abc import Mapping
from typing import Any

from audioid.errors import AudioidError

OF_IMAGES = ("time_shift", "gain_db", "frequency_mask", "time_mask", "mixup")


def check_augment(augment: Mapping[str, Any], transform: str, amplitude_scale: str, level: str) -> None:
    """Raises AudioidError where `augment` changes pictures in a way that no change of the sound would."""
    if transform == "mfcc":
        for key in OF_IMAGES:
            if augment[key]:
                raise AudioidError(f"augment.{key}: works on bands of sound, and rows of mfcc are none; set it to 0")
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
