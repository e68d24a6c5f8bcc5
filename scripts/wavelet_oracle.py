"""The wavelet transform by its definition, in float64 and without audioid: what the engine is measured against.

The recording is a band-limited signal, silent beyond its ends: it is interpolated to `OVERSAMPLING` times its rate and
convolved there with the wavelet's formula in time, which is followed as far as `REACH` periods.
"""

import math
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
    count = len(waveform) * OVERSAMPLING + 1
    powers = (np.abs(coefficients(waveform, sample_rate, f, wavelet)[:count]) ** 2 for f in frequencies)
    return np.array([_columns(power, size) for power in powers])


def squeezed_power(waveform: FloatArray, sample_rate: float, frequencies: FloatArray, size: int) -> FloatArray:
    """Mean power of the synchrosqueezed transform by the wavelet `gmw20-3` in each of `size` columns.

    By its definition (Daubechies, Lu and Wu, Appl. Comput. Harmon. Anal. 30 (2011) 243, equations 1.3 to 1.5), with the
    closed forms of the wavelet and of its integral over log frequency. Rows meet halfway in log frequency; the wavelets
    must be shorter than the recording.
    """
    n, beta, gamma = len(waveform), 20, 3
    count = n * OVERSAMPLING + 1
    spectrum = np.fft.rfft(waveform, 2 * n)
    hertz = np.arange(n + 1) * sample_rate / (2 * n)
    peak = (beta / gamma) ** (1 / gamma)
    admissibility = math.gamma(beta / gamma) / gamma / (peak**beta * np.exp(-(peak**gamma)))
    borders = np.sqrt(frequencies[1:] * frequencies[:-1])
    found, places = np.zeros((len(frequencies), count), np.complex128), np.arange(count)
    for frequency, step in zip(frequencies, np.gradient(np.log(frequencies)), strict=True):
        u = hertz / frequency
        both = spectrum * 2 * u**beta * np.exp(peak**gamma * (1 - u**gamma)) * np.stack([np.ones(n + 1), hertz])
        value, derivative = np.fft.ifft(both, 2 * n * OVERSAMPLING)[:, :count] * OVERSAMPLING
        size_squared = np.maximum(np.abs(value) ** 2, np.finfo(float).tiny)
        rows = np.searchsorted(borders, (derivative * value.conj()).real / size_squared)
        found[rows, places] += value * step / admissibility
    return np.array([_columns(power, size) for power in np.abs(found) ** 2])


def _columns(power: FloatArray, size: int) -> FloatArray:
    """The mean of `(time,)`, from the first to the last value, in each of `size` columns by the trapezoidal rule."""
    integral = np.concatenate([[0], np.cumsum((power[1:] + power[:-1]) / 2)])
    edges = np.linspace(0, len(power) - 1, size + 1)
    return np.diff(np.interp(edges, np.arange(len(power)), integral)) * size / (len(power) - 1)
