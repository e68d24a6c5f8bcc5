"""Frequencies spread evenly over a scale; without torch, so that the configuration is judged by the same rules."""

import math

from audioid.errors import AudioidError

# Where mel turns from linear to logarithmic, in hertz.
MEL_BREAK = 700
# The scale and its inverse. Mel is O'Shaughnessy's (1987), as in HTK.
FREQUENCY_SCALES = {
    "log": (math.log, math.exp),
    "mel": (lambda f: 2595 * math.log10(1 + f / MEL_BREAK), lambda m: MEL_BREAK * (10 ** (m / 2595) - 1)),
    "linear": (float, float),
}


def frequency_grid(count: int, f_min: float, f_max: float, frequency_scale: str) -> list[float]:
    """`count` frequencies in hertz from `f_min` to `f_max`, even on that scale."""
    forward, inverse = FREQUENCY_SCALES[frequency_scale]
    low = forward(f_min)
    step = (forward(f_max) - low) / (count - 1)
    return [inverse(low + step * place) for place in range(count)]


def check_below_nyquist(key: str, highest: float, sample_rate: float) -> None:
    """Raises AudioidError where a frequency in hertz, which stands under `key`, cannot occur in a recording."""
    if highest > sample_rate / 2 * (1 + 1e-9):
        raise AudioidError(f"{key}: {highest:g} Hz is above half the sample rate ({sample_rate / 2:g} Hz); lower it")
