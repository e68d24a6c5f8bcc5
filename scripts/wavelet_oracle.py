"""The wavelet transform by its definition, in float64 and without audioid: what the engine is measured against.

The recording is a band-limited signal, silent beyond its ends: it is interpolated to `OVERSAMPLING` times its rate and
convolved there with the wavelet's formula in time, which is followed as far as `REACH` periods.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

OVERSAMPLING = 4
REACH = 6

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


def complex_morlet(t: FloatArray) -> ComplexArray:
    """PyWavelets' `cmor1.5-1.0` at `t` periods, scaled to give a tone of amplitude 1 coefficients of amplitude 1."""
    values: ComplexArray = 2 * np.exp(2j * np.pi * t - t**2 / 1.5) / np.sqrt(1.5 * np.pi)
    return values


def coefficients(
    waveform: FloatArray, sample_rate: float, frequency: float, wavelet: Callable[[FloatArray], ComplexArray]
) -> ComplexArray:
    """W(f, t), `(OVERSAMPLING * time,)`, for a wavelet whose centre frequency is 1 and that is conjugate-symmetric."""
    n, rate = len(waveform), sample_rate * OVERSAMPLING
    silence = np.zeros(n)
    spectrum = np.fft.rfft(np.concatenate([silence, waveform, silence]))
    fine = np.fft.irfft(spectrum, 3 * n * OVERSAMPLING) * OVERSAMPLING
    half = int(np.ceil(REACH * rate / frequency))
    kernel = wavelet(np.arange(-half, half + 1, dtype=np.float64) * (frequency / rate)) * frequency / rate
    # The same sums as a direct convolution's, in another order.
    found: ComplexArray = fftconvolve(fine, kernel, mode="same")[n * OVERSAMPLING :]
    return found


def mean_power(
    waveform: FloatArray,
    sample_rate: float,
    frequencies: FloatArray,
    size: int,
    wavelet: Callable[[FloatArray], ComplexArray] = complex_morlet,
) -> FloatArray:
    """Mean of |W|^2 in each of `size` columns, `(frequency, size)`."""
    edges = np.linspace(0, len(waveform) * OVERSAMPLING, size + 1)
    rows = []
    for frequency in frequencies:
        power = np.abs(coefficients(waveform, sample_rate, frequency, wavelet)) ** 2
        integral = np.concatenate([[0], np.cumsum((power[1:] + power[:-1]) / 2)])
        rows.append(np.diff(np.interp(edges, np.arange(len(integral)), integral)) * size / edges[-1])
    return np.array(rows)
