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
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from audioid.errors import AudioidError

FAMILIES = "mexh, morl, gausN, cgauN (N from 1 to 8), cmorB-C, shanB-C, fbspM-B-C, gmwBETA-GAMMA, hannPERIODS"

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
    spectrum: Callable[[Tensor], Tensor]
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


@lru_cache(maxsize=128)
def parse(name: str) -> Wavelet:
    """The wavelet called `name`.

    Raises:
        AudioidError: no such family, or parameters out of range.
    """
    match = re.fullmatch(r"([a-z]+?)((?:\d+(?:\.\d+)?)(?:-\d+(?:\.\d+)?)*)?", name)
    if match and match[1] in _MAKERS:
        values = [float(text) for text in match[2].split("-")] if match[2] else []
        maker, count, is_valid = _MAKERS[match[1]]
        if len(values) == count and is_valid(*values):
            return maker(name, *values)
    raise AudioidError(f"wavelet: there is no {name!r}; choose one of {FAMILIES}")


def _mexh(name: str) -> Wavelet:
    gain = 2 / (math.sqrt(3) * math.pi**0.25) * math.sqrt(2 * math.pi)

    def spectrum(f: Tensor) -> Tensor:
        w2 = (2 * math.pi * f).square()
        return gain * w2 * torch.exp(-w2 / 2)

    return Wavelet(name, False, math.sqrt(2) / (2 * math.pi), spectrum)


def _morl(name: str) -> Wavelet:
    def spectrum(f: Tensor) -> Tensor:
        w = 2 * math.pi * f
        return math.sqrt(math.pi / 2) * (torch.exp(-((w - 5) ** 2) / 2) + torch.exp(-((w + 5) ** 2) / 2))

    return Wavelet(name, False, 5 / (2 * math.pi), spectrum)


def _gaus(name: str, order: float) -> Wavelet:
    n = int(order)
    # Unit energy; the signs are PyWavelets'.
    gain = math.sqrt(2 * math.pi / (math.sqrt(2 * math.pi) * _double_factorial(2 * n - 1)))
    sign = -1 if n % 4 in (2, 3) else 1

    def spectrum(f: Tensor) -> Tensor:
        w = 2 * math.pi * f
        return sign * gain * w**n * torch.exp(-(w**2) / 4)

    return Wavelet(name, False, math.sqrt(2 * n) / (2 * math.pi), spectrum, 1j**n)


def _cgau(name: str, order: float) -> Wavelet:
    n = int(order)
    # The 2n-th moment of a normal variable of mean 1 and variance 1.
    moment = sum(math.comb(2 * n, 2 * k) * _double_factorial(2 * k - 1) for k in range(n + 1))
    gain = math.sqrt(2 * math.pi / (math.sqrt(2 * math.pi) * moment))

    def spectrum(f: Tensor) -> Tensor:
        w = 2 * math.pi * f
        return gain * w**n * torch.exp(-((w - 1) ** 2) / 4)

    return Wavelet(name, True, (1 + math.sqrt(1 + 8 * n)) / (4 * math.pi), spectrum, 1j**n)


def _cmor(name: str, bandwidth: float, center: float) -> Wavelet:
    def spectrum(f: Tensor) -> Tensor:
        return torch.exp(-(math.pi**2) * bandwidth * (f - center) ** 2)

    return Wavelet(name, True, center, spectrum)


def _shan(name: str, bandwidth: float, center: float) -> Wavelet:
    def spectrum(f: Tensor) -> Tensor:
        return ((f - center).abs() <= bandwidth / 2).to(f.dtype) / math.sqrt(bandwidth)

    return Wavelet(name, True, center, spectrum)


def _fbsp(name: str, order: float, bandwidth: float, center: float) -> Wavelet:
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

    return Wavelet(name, True, center, spectrum)


def _gmw(name: str, beta: float, gamma: float) -> Wavelet:
    peak = (beta / gamma) ** (1 / gamma)
    # Unit energy: the integral of w^(2 beta) exp(-2 w^gamma) is a gamma function.
    r = (2 * beta + 1) / gamma
    log_energy = math.lgamma(r) - r * math.log(2) - math.log(gamma)
    log_gain = (math.log(2 * math.pi) - log_energy) / 2

    def spectrum(f: Tensor) -> Tensor:
        w = (2 * math.pi * f).clamp(min=1e-12)
        return torch.where(f > 0, torch.exp(log_gain + beta * w.log() - w**gamma), 0)

    return Wavelet(name, True, peak / (2 * math.pi), spectrum)


def _hann(name: str, periods: float) -> Wavelet:
    def spectrum(f: Tensor) -> Tensor:
        u = periods * (f - 1)
        u = torch.where((u.abs() - 1).abs() < 1e-9, 1 - 1e-9, u)
        return torch.sinc(u) / (1 - u**2)

    return Wavelet(name, True, 1.0, spectrum)


def _double_factorial(n: int) -> int:
    return math.prod(range(n, 0, -2))


def _is_order(n: float) -> bool:
    return n.is_integer() and 1 <= n <= 8


def _is_positive(*values: float) -> bool:
    return min(values) > 0


# Family: (maker, number of parameters, whether they are allowed).
_MAKERS: dict[str, tuple[Callable[..., Wavelet], int, Callable[..., bool]]] = {
    "mexh": (_mexh, 0, lambda: True),
    "morl": (_morl, 0, lambda: True),
    "gaus": (_gaus, 1, _is_order),
    "cgau": (_cgau, 1, _is_order),
    "cmor": (_cmor, 2, _is_positive),
    "shan": (_shan, 2, _is_positive),
    "fbsp": (_fbsp, 3, lambda order, *others: _is_order(order) and _is_positive(*others)),
    "gmw": (_gmw, 2, _is_positive),
    "hann": (_hann, 1, _is_positive),
}
