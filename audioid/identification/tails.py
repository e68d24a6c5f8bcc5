"""What still sounds of the hit before, taken out of the next one."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from audioid.data.audio import Waveform

WINDOW = 0.046  # seconds


def window_length(sample_rate: int) -> int:
    """Samples of the windows of `without_tail`, a power of two."""
    return 2 ** math.ceil(math.log2(max(16, WINDOW * sample_rate)))


def without_tail(wave: Waveform, before: Waveform) -> Waveform:
    """A sound `(time,)` less the power spectrum of `before`, the window of sound that it follows.

    Power spectral subtraction (Boll, IEEE TASSP 1979; Berouti et al., ICASSP 1979), as if the tail did not die away
    any more: nothing is known of how it does.
    """
    length = len(before)
    hop = length // 4
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    tail = np.square(np.abs(np.fft.rfft(window * before)))
    around = np.concatenate([before, wave, np.zeros(length + hop, np.float32)])
    spectra = np.fft.rfft(window * sliding_window_view(around, length)[::hop], axis=1)
    power = np.square(np.abs(spectra))
    kept = np.sqrt(np.maximum(power - tail, 0) / np.maximum(power, np.finfo(np.float32).tiny))
    frames = (np.fft.irfft(spectra * kept, axis=1) * window).reshape(len(spectra), 4, hop)
    # Frames overlap by three quarters; the squares of the window then add up to 3 / 2.
    sums = np.zeros((len(frames) + 3, hop), np.float32)
    for quarter in range(4):
        sums[quarter : quarter + len(frames)] += frames[:, quarter]
    return (sums.reshape(-1)[length : length + len(wave)] / 1.5).astype(np.float32)
