"""The continuous wavelet transform: full-resolution coefficients, and images by a shorter way.

The recording is taken as a band-limited signal, silent (or reflected) beyond its ends, and the wavelet as continuous:
a coefficient is W(f, t), the integral of x(u) psi*((u - t) / a) / a du with a = center_frequency / f. So it is computed
in the frequency domain, where multiplying by the closed-form response is exact (Mallat 2009, section 4.3).
"""

import math
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from audioid.errors import AudioidError
from audioid.transforms import wavelets
from audioid.transforms.bands import SUPPORT, BandPower, next_smooth, pad
from audioid.transforms.image import TimeFrequencyTransform, check_below_nyquist, check_finite, row_frequencies
from audioid.transforms.wavelets import Wavelet


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
    check_choice("norm", norm, ("l1", "l2"))
    check_choice("padding", padding, ("zero", "reflect"))
    n = waveform.shape[-1] if waveform.ndim else 0
    if n < 2:
        raise AudioidError(f"waveform: a clip of {n} samples has no wavelet transform; give at least 2")
    if not waveform.is_floating_point():
        raise AudioidError(f"waveform: {waveform.dtype} is not a type of sound here; convert it to float32 or float64")
    check_finite(waveform)
    centers = check_frequencies(frequencies, sample_rate).to(waveform.device)
    warn_if_longer(mother, centers, n / sample_rate)
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


def log_steps(frequencies: Tensor) -> Tensor:
    """How much of the log-frequency axis each of the rising `frequencies` stands for."""
    between = frequencies.log().diff()
    return torch.cat([between[:1], (between[1:] + between[:-1]) / 2, between[-1:]])


def check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises AudioidError where `value` is none of the `choices` for `key`."""
    if value not in choices:
        raise AudioidError(f"{key}: there is no {value!r}; choose {' or '.join(choices)}")


def check_frequencies(frequencies: Tensor | Sequence[float], sample_rate: float) -> Tensor:
    """Centre frequencies as a float64 tensor; raises AudioidError where one cannot occur at this sample rate."""
    centers = torch.as_tensor(frequencies, dtype=torch.float64)
    if centers.ndim != 1 or len(centers) == 0 or not bool((centers > 0).all()):
        raise AudioidError("frequencies: give a list of positive numbers in hertz, not what is there")
    check_below_nyquist(float(centers.max()), sample_rate)
    return centers


def warn_if_longer(mother: Wavelet, centers: Tensor, seconds: float) -> None:
    """Warns where even the middle of a clip is within the cone of influence of the lowest band."""
    lowest = 2 * float(mother.cone_of_influence(torch.ones(1))) / seconds
    if float(centers.min()) < lowest:
        warnings.warn(
            f"{mother.name} at {float(centers.min()):.4g} Hz is longer than the clip of {seconds:.4g} s: rows below "
            f"{lowest:.4g} Hz show the clip's edges; that is the lowest usable frequency",
            stacklevel=3,
        )


class Cwt(TimeFrequencyTransform):
    """Wavelet images; see `TimeFrequencyTransform`.

    Args:
        wavelet, norm, padding: as for `cwt`.
        scales: PyWavelets scales from the first to the last number, instead of the image's frequencies.
        first_samples: only this many samples from the start are shown.
    """

    def __init__(
        self,
        *,
        wavelet: str,
        norm: str,
        padding: str,
        scales: Sequence[int] | None,
        first_samples: int | None,
        size: int,
        f_min: float,
        f_max: float,
        frequency_scale: str,
        amplitude_scale: str,
        decibel_range: float,
        sample_rate: int,
        n_samples: int,
    ) -> None:
        mother = wavelets.parse(wavelet)
        check_choice("transform.norm", norm, ("l1", "l2"))
        check_choice("transform.padding", padding, ("zero", "reflect"))
        if scales is None:
            bands = row_frequencies(size, f_min, f_max, frequency_scale)
        else:
            if len(scales) != 2 or not 1 <= scales[0] < scales[1]:
                raise AudioidError(f"transform.scales: {list(scales)} must be [FIRST, LAST], from 1 on and rising")
            bands = mother.scale_to_frequency(torch.arange(scales[1], scales[0] - 1, -1).double(), sample_rate)
        n_shown = min(n_samples, first_samples or n_samples)
        super().__init__(
            bands,
            size=size,
            amplitude_scale=amplitude_scale,
            decibel_range=decibel_range,
            sample_rate=sample_rate,
            n_samples=n_samples,
            n_shown=n_shown,
        )
        warn_if_longer(mother, bands, n_shown / sample_rate)
        self.values = BandPower(
            mother,
            bands,
            sample_rate=sample_rate,
            n_samples=n_shown,
            size=size,
            norm=norm,
            padding=padding,
            signed=amplitude_scale == "signed",
        )
