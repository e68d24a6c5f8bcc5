"""How long the windows and FFTs of Fourier images are; without torch, so that the configuration is judged alike."""

import math

from audioid.errors import AudioidError

WINDOWS = ("hann", "hamming", "blackman")
# `auto`: as long as the 1,024 samples at 22,050 Hz that music analysis commonly takes.
AUTO_SECONDS = 1024 / 22050


def window_lengths(n_fft: int | str, win_length: int | str, sample_rate: int, n_samples: int) -> tuple[int, int]:
    """`n_fft` and `win_length` in samples, for clips of `n_samples`, where either may be `auto`.

    Raises:
        AudioidError: a length is no number, or the window is longer than the FFT.
    """
    length = _samples("win_length", win_length, min(round(AUTO_SECONDS * sample_rate), n_samples))
    points = _samples("n_fft", n_fft, 2 ** math.ceil(math.log2(2 * max(length, 1))))
    if not 2 <= length <= points or points % 2:
        raise AudioidError(
            f"transform.win_length: {length} must be at least 2 and no longer than an even n_fft ({points}); "
            "change one, or set it to auto"
        )
    return points, length


def _samples(key: str, value: int | str, auto: int) -> int:
    if value == "auto":
        return auto
    if isinstance(value, int):
        return value
    raise AudioidError(f"transform.{key}: {value!r} is neither auto nor a number of samples; correct it")
