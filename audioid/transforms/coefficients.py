"""The continuous wavelet transform at full resolution, and its inverse.

The recording is taken as a band-limited signal, silent (or reflected) beyond its ends, and the wavelet as continuous:
a coefficient is W(f, t), the integral of x(u) psi*((u - t) / a) / a du with a = center_frequency / f. So it is computed
in the frequency domain, where multiplying by the closed-form response is exact (Mallat 2009, section 4.3).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from audioid.errors import AudioidError, check_choice
from audioid.transforms import wavelets
from audioid.transforms.bands import SUPPORT, next_smooth, pad
from audioid.transforms.image import check_finite
from audioid.transforms.scales import check_below_nyquist
from audioid.transforms.wavelet_names import NORMS, PADDINGS
from audioid.transforms.wavelets import Wavelet, log_steps


def cwt(
    waveform: Tensor,
    sample_rate: float,
    frequencies: Tensor | Sequence[float],
    wavelet: str = "cmor1.5-1.0",
    norm: str = "l1",
    padding: str = "zero",
) -> Tensor:
    """Wavelet coefficients at full resolution.

    Args:
        waveform: `(..., time)`, float32 or float64, at least 2 samples.
        sample_rate: hertz.
        frequencies: centre frequencies in hertz `(frequency,)`, up to half the sample rate.
        wavelet: a PyWavelets name, or `gmwBETA-GAMMA`, `hannPERIODS`.
        norm: `l1` (a tone of amplitude 1 has coefficients of amplitude 1 at any frequency) or `l2` (PyWavelets').
        padding: what lies beyond the ends, `zero` or `reflect`.

    Returns:
        `(..., frequency, time)`: complex for analytic wavelets, real for real ones.

    Raises:
        AudioidError: an unknown wavelet, norm or padding, a frequency out of range, a clip that is empty or holds NaN.
    """
    mother = wavelets.parse(wavelet)
    check_choice("norm", norm, NORMS)
    check_choice("padding", padding, PADDINGS)
    n = waveform.shape[-1] if waveform.ndim else 0
    if n < 2:
        raise AudioidError(f"waveform: a clip of {n} samples has no wavelet transform; give at least 2")
    if not waveform.is_floating_point():
        raise AudioidError(f"waveform: {waveform.dtype} is not a type of sound here; convert it to float32 or float64")
    check_finite(waveform)
    centers = check_frequencies(frequencies, sample_rate).to(waveform.device)
    mother.warn_if_longer(centers, n / sample_rate)
    return coefficients(waveform, sample_rate, centers, mother, norm, padding)


def coefficients(
    waveform: Tensor, sample_rate: float, centers: Tensor, mother: Wavelet, norm: str, padding: str
) -> Tensor:
    """As `cwt`, without its checks."""
    n = waveform.shape[-1]
    halo = math.ceil(mother.radius(SUPPORT) * sample_rate / float(centers.min()))
    left, right = (halo, halo) if padding == "reflect" else (0, halo)
    padded = pad(waveform, left, right, padding)
    n_fft = next_smooth(padded.shape[-1])
    grid = torch.fft.fftfreq(n_fft, 1 / sample_rate, dtype=torch.float64, device=waveform.device)
    spectrum = torch.fft.fft(padded, n_fft) * mother.phase.conjugate()
    rows = []
    for center in centers:
        response = mother.response(grid, center, sample_rate, norm).to(waveform.dtype)
        row = torch.fft.ifft(spectrum * response)[..., left : left + n]
        rows.append(row if mother.is_complex else row.real)
    return torch.stack(rows, -2)


def icwt(
    coefficients: Tensor, sample_rate: float, frequencies: Tensor | Sequence[float], wavelet: str = "cmor1.5-1.0"
) -> Tensor:
    """The waveform `(..., time)` whose L1 coefficients `(..., frequency, time)` these are.

    The sum of the coefficients' real parts over log frequency (Mallat 2009, equation 4.67; Torrence and Compo 1998,
    equation 11). It gives back what lies well inside the range of `frequencies` (rising, in hertz, dense enough that
    neighbouring bands overlap); sound beyond it is lost.

    Raises:
        AudioidError: a wavelet that is not complex, or frequencies that are not the coefficients' own.
    """
    mother = wavelets.parse(wavelet)
    if not mother.is_complex:
        raise AudioidError(f"wavelet: {wavelet} is real, and only complex wavelets are inverted; choose another")
    centers = check_frequencies(frequencies, sample_rate)
    if coefficients.ndim < 2 or coefficients.shape[-2] != len(centers) or not bool((centers.diff() > 0).all()):
        raise AudioidError(
            f"frequencies: {len(centers)} rising values are to go with coefficients (..., frequency, time) of shape "
            f"{tuple(coefficients.shape)}; give those of the transform"
        )
    steps = (log_steps(centers) / mother.admissibility).to(coefficients.real)
    return ((coefficients * mother.phase).real * steps[:, None]).sum(-2)


def check_frequencies(frequencies: Tensor | Sequence[float], sample_rate: float) -> Tensor:
    """Centre frequencies as a float64 tensor; raises AudioidError where one cannot occur at this sample rate."""
    centers = torch.as_tensor(frequencies, dtype=torch.float64)
    if centers.ndim != 1 or len(centers) == 0 or not bool((centers > 0).all()):
        raise AudioidError("frequencies: give a list of positive numbers in hertz, not what is there")
    check_below_nyquist("frequencies", float(centers.max()), sample_rate)
    return centers
