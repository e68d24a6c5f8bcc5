"""Wavelets as closed-form frequency responses, by PyWavelets' names. Nothing here knows of sampling.

A mother wavelet psi(t) has the spectrum Psi(f), the integral of psi(t) exp(-2i pi f t) dt, with t in the unit of
PyWavelets' `wavefun` and f in cycles per that unit. Each Psi below is a constant phase times a real function.
Complex wavelets point to positive frequencies (PyWavelets' `cgau` is the conjugate of the one here).

Sources: Mallat, A Wavelet Tour of Signal Processing (2009), ch. 4 (derivatives of Gaussians, Ricker); Teolis,
Computational Signal Processing with Wavelets (1998), p. 62 (complex Morlet, Shannon, frequency B-spline); Lilly and
Olhede, IEEE Trans. Signal Process. 57 (2009) 146 (generalised Morse); Brown, J. Acoust. Soc. Am. 89 (1991) 425 (the
Hann window of a constant number of periods).
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from audioid.transforms.wavelet_names import parse_name

Spectrum = Callable[[Tensor], Tensor]

# Slowly decaying wavelets (shan, fbsp) are followed for this many periods to either side.
MAX_RADIUS = 100.0


@dataclass(frozen=True)
class Wavelet:
    """One mother wavelet.

    `spectrum` maps frequencies (cycles per unit of t) to the real part of the response, `phase` times it is Psi;
    `center_frequency` is where its size is largest; a wavelet that is not `is_complex` is real in time.
    """

    name: str
    is_complex: bool
    center_frequency: float
    spectrum: Spectrum
    phase: complex = 1

    def response(self, frequencies: Tensor, center: Tensor, sample_rate: float, norm: str) -> Tensor:
        """What the wavelets centred on `center` (Hz) multiply a recording's `frequencies` (Hz) by, without the phase.

        `norm="l1"`: a tone of amplitude 1 gives coefficients of amplitude 1 at any frequency. `norm="l2"`:
        PyWavelets' convention, 1 / sqrt(scale) with the scale in samples.
        """
        values = self.spectrum(self.center_frequency * frequencies / center)
        if norm == "l1":
            return values * ((2 if self.is_complex else 1) / abs(self._peak))
        return values * (self.center_frequency * sample_rate / center).sqrt()

    @property
    def _peak(self) -> float:
        return float(self.spectrum(torch.tensor([self.center_frequency], dtype=torch.float64)))

    @property
    def admissibility(self) -> float:
        """The integral over log frequency of the response to a real tone, of both signs, relative to its peak."""
        u = torch.logspace(-4, 2, 2**16, dtype=torch.float64)
        f = u * self.center_frequency
        return float(torch.trapezoid(self.spectrum(f) + self.spectrum(-f), u.log())) / self._peak

    def scale_to_frequency(self, scale: Tensor, sample_rate: float) -> Tensor:
        """Centre frequency in hertz of a PyWavelets scale (in samples)."""
        return self.center_frequency * sample_rate / scale

    @lru_cache(maxsize=128)  # noqa: B019 (a wavelet is a small constant)
    def radius(self, level: float) -> float:
        """Half-length in periods of the centre frequency: beyond it |psi| stays below `level` times its maximum."""
        # 256 periods to either side, 64 points a period.
        n = 2**15
        spectrum = self.spectrum(torch.fft.fftfreq(n, 1 / 64, dtype=torch.float64) * self.center_frequency)
        size = torch.fft.ifft(spectrum).abs()[: n // 2]
        beyond = torch.nonzero(size > level * size.max())[-1]
        return min((float(beyond) + 1) / 64, MAX_RADIUS)

    @lru_cache(maxsize=128)  # noqa: B019
    def bandwidth(self, level: float) -> float:
        """Rate that the power |W|^2 must be sampled at, in units of the centre frequency.

        What aliases onto the mean power is then below `level` times it: the response's autocorrelation at this lag.
        """
        n = 2**15
        spectrum = self.spectrum(torch.fft.fftfreq(n, 1 / 64, dtype=torch.float64) * self.center_frequency)
        correlation = torch.fft.ifft(torch.fft.fft(spectrum.abs()).abs().square()).real[: n // 2]
        return (float(torch.nonzero(correlation > level * correlation[0])[-1]) + 1) * 64 / n

    def cone_of_influence(self, frequencies: Tensor) -> Tensor:
        """Seconds from either end of a clip within which the edge is felt, per frequency in hertz.

        Where the power of a click at the edge has fallen by exp(-2) (Torrence and Compo, Bull. Amer. Meteor. Soc. 79
        (1998) 61, section 3g).
        """
        return self.radius(math.exp(-1)) / frequencies

    def warn_if_longer(self, frequencies: Tensor, seconds: float) -> None:
        """Warns where even the middle of a clip is within the cone of influence of the lowest of the `frequencies`."""
        lowest = 2 * float(self.cone_of_influence(torch.ones(1))) / seconds
        if float(frequencies.min()) < lowest:
            warnings.warn(
                f"{self.name} at {float(frequencies.min()):.4g} Hz is longer than the clip of {seconds:.4g} s: rows "
                f"below {lowest:.4g} Hz show the clip's edges; that is the lowest usable frequency",
                stacklevel=3,
            )


def log_steps(frequencies: Tensor) -> Tensor:
    """How much of the log-frequency axis each of the rising `frequencies` stands for."""
    between = frequencies.log().diff()
    return torch.cat([between[:1], (between[1:] + between[:-1]) / 2, between[-1:]])


@lru_cache(maxsize=128)
def parse(name: str) -> Wavelet:
    """The wavelet called `name`.

    Raises:
        AudioidError: no such family, or parameters out of range.
    """
    known = parse_name(name)
    phase = 1j ** int(known.parameters[0]) if known.family in ("gaus", "cgau") else 1
    spectrum = _SPECTRA[known.family](*known.parameters)
    return Wavelet(name, known.is_complex, known.center_frequency, spectrum, phase)


def _mexh() -> Spectrum:
    gain = 2 / (math.sqrt(3) * math.pi**0.25) * math.sqrt(2 * math.pi)

    def spectrum(f: Tensor) -> Tensor:
        w2 = (2 * math.pi * f).square()
        return gain * w2 * torch.exp(-w2 / 2)

    return spectrum


def _morl() -> Spectrum:
    def spectrum(f: Tensor) -> Tensor:
        w = 2 * math.pi * f
        return math.sqrt(math.pi / 2) * (torch.exp(-((w - 5) ** 2) / 2) + torch.exp(-((w + 5) ** 2) / 2))

    return spectrum


def _gaus(order: float) -> Spectrum:
    n = int(order)
    # Unit energy; the signs are PyWavelets'.
    gain = math.sqrt(2 * math.pi / (math.sqrt(2 * math.pi) * _double_factorial(2 * n - 1)))
    sign = -1 if n % 4 in (2, 3) else 1

    def spectrum(f: Tensor) -> Tensor:
        w = 2 * math.pi * f
        return sign * gain * w**n * torch.exp(-(w**2) / 4)

    return spectrum


def _cgau(order: float) -> Spectrum:
    n = int(order)
    # The 2n-th moment of a normal variable of mean 1 and variance 1.
    moment = sum(math.comb(2 * n, 2 * k) * _double_factorial(2 * k - 1) for k in range(n + 1))
    gain = math.sqrt(2 * math.pi / (math.sqrt(2 * math.pi) * moment))

    def spectrum(f: Tensor) -> Tensor:
        w = 2 * math.pi * f
        return gain * w**n * torch.exp(-((w - 1) ** 2) / 4)

    return spectrum


def _cmor(bandwidth: float, center: float) -> Spectrum:
    return lambda f: torch.exp(-(math.pi**2) * bandwidth * (f - center) ** 2)


def _shan(bandwidth: float, center: float) -> Spectrum:
    return lambda f: ((f - center).abs() <= bandwidth / 2).to(f.dtype) / math.sqrt(bandwidth)


def _fbsp(order: float, bandwidth: float, center: float) -> Spectrum:
    n, step = int(order), bandwidth / order

    def spectrum(f: Tensor) -> Tensor:
        # The cardinal B-spline of degree n - 1, as a sum of truncated powers.
        u = (f - center).abs() / step
        total = torch.zeros_like(f)
        for k in range(n + 1):
            base = n / 2 - k - u
            power = base.clamp(min=0) ** (n - 1) if n > 1 else (base >= 0).to(f.dtype)
            total += (-1) ** k * math.comb(n, k) * power
        return total.clamp(min=0) * (math.sqrt(bandwidth) / step / math.factorial(n - 1))

    return spectrum


def _gmw(beta: float, gamma: float) -> Spectrum:
    # Unit energy: the integral of w^(2 beta) exp(-2 w^gamma) is a gamma function.
    r = (2 * beta + 1) / gamma
    log_energy = math.lgamma(r) - r * math.log(2) - math.log(gamma)
    log_gain = (math.log(2 * math.pi) - log_energy) / 2

    def spectrum(f: Tensor) -> Tensor:
        w = (2 * math.pi * f).clamp(min=1e-12)
        return torch.where(f > 0, torch.exp(log_gain + beta * w.log() - w**gamma), 0)

    return spectrum


def _hann(periods: float) -> Spectrum:
    def spectrum(f: Tensor) -> Tensor:
        u = periods * (f - 1)
        u = torch.where((u.abs() - 1).abs() < 1e-9, 1 - 1e-9, u)
        return torch.sinc(u) / (1 - u**2)

    return spectrum


def _double_factorial(n: int) -> int:
    return math.prod(range(n, 0, -2))


_SPECTRA: dict[str, Callable[..., Spectrum]] = {
    "mexh": _mexh,
    "morl": _morl,
    "gaus": _gaus,
    "cgau": _cgau,
    "cmor": _cmor,
    "shan": _shan,
    "fbsp": _fbsp,
    "gmw": _gmw,
    "hann": _hann,
}
