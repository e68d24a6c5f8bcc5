"""The continuous wavelet transform: full-resolution coefficients, and images by a shorter way.

The recording is taken as a band-limited signal, silent (or reflected) beyond its ends, and the wavelet as continuous:
a coefficient is W(f, t), the integral of x(u) psi*((u - t) / a) / a du with a = center_frequency / f. So it is computed
in the frequency domain, where multiplying by the closed-form response is exact (Mallat 2009, section 4.3).
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from audioid.errors import AudioidError
from audioid.transforms import wavelets
from audioid.transforms.image import Picture, check_below_nyquist, check_finite, row_frequencies
from audioid.transforms.wavelets import Wavelet

# Responses are cut where they fall below this part of their peak; wavelets likewise in time.
SUPPORT = 1e-4
# The power |W|^2 is sampled so densely that what aliases onto its mean is below this part of it.
ALIASING = 2e-3
# Values of one inverse FFT: large enough to keep the threads busy, small enough for the cache.
CHUNK = 2**17


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
    _warn_if_longer(mother, centers, n / sample_rate)
    halo = math.ceil(mother.radius(SUPPORT) * sample_rate / float(centers.min()))
    left, right = (halo, halo) if padding == "reflect" else (0, halo)
    padded = _pad(waveform, left, right, padding)
    n_fft = _smooth(padded.shape[-1])
    grid = torch.fft.fftfreq(n_fft, 1 / sample_rate, dtype=torch.float64, device=waveform.device)
    spectrum = torch.fft.fft(padded, n_fft) * mother.phase.conjugate()
    rows = []
    for center in centers:
        response = mother.response(grid, center, sample_rate, norm).to(waveform.dtype)
        row = torch.fft.ifft(spectrum * response)[..., left : left + n]
        rows.append(row if mother.is_complex else row.real)
    return torch.stack(rows, -2)


def check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises AudioidError where `value` is none of the `choices` for `key`."""
    if value not in choices:
        raise AudioidError(f"{key}: there is no {value!r}; choose {' or '.join(choices)}")


def check_frequencies(frequencies: Tensor | Sequence[float], sample_rate: float) -> Tensor:
    """Centre frequencies as a float64 tensor; raises AudioidError where one cannot occur at this sample rate."""
    centers = torch.as_tensor(frequencies, dtype=torch.float64)
    if centers.ndim != 1 or len(centers) == 0 or not bool((centers > 0).all()):
        raise AudioidError("frequencies: they must be a list of positive numbers in hertz; correct it")
    check_below_nyquist(float(centers.max()), sample_rate)
    return centers


def _warn_if_longer(mother: Wavelet, centers: Tensor, seconds: float) -> None:
    lowest = 2 * float(mother.cone_of_influence(torch.ones(1))) / seconds
    if float(centers.min()) < lowest:
        warnings.warn(
            f"{mother.name} at {float(centers.min()):.4g} Hz is longer than the clip of {seconds:.4g} s: rows below "
            f"{lowest:.4g} Hz show the clip's edges; that is the lowest usable frequency",
            stacklevel=3,
        )


def _pad(waveform: Tensor, left: int, right: int, padding: str) -> Tensor:
    """`(..., time)` with `left` and `right` samples more, silent or reflected (as often as needed) about the ends."""
    if padding == "zero":
        return functional.pad(waveform, (left, right))
    n = waveform.shape[-1]
    index = torch.arange(-left, n + right, device=waveform.device) % (2 * n - 2)
    return waveform[..., torch.minimum(index, 2 * n - 2 - index)]


def _smooth(n: int, factors: tuple[int, ...] = (2, 3, 5, 7)) -> int:
    """The smallest number from `n` on that has no prime factors but these: FFTs of such lengths are fast."""
    while not _is_smooth(n, factors):
        n += 1
    return n


def _is_smooth(n: int, factors: tuple[int, ...] = (2, 3, 5, 7)) -> bool:
    for factor in factors:
        while n % factor == 0:
            n //= factor
    return n == 1


class Grid(NamedTuple):
    """How a clip is cut: `blocks` of `shown` pieces each, transformed as `pieces` (with what lies around them).

    Every column of the image is `per_column` pieces; `left` pieces lie before the shown ones; `n_fft` samples make up
    the pieces, `start` is where the first block begins, `step` how far apart blocks are (in samples, not rounded).
    """

    blocks: int
    shown: int
    pieces: int
    per_column: int
    left: int
    n_fft: int
    start: float
    step: float


def plan_grid(n: int, size: int, halo: int, padding: str) -> Grid:
    """The cheapest grid for a clip of `n` samples whose wavelets reach `halo` samples to either side."""
    # Long clips go in blocks that stay in cache, but long enough that their halos weigh little.
    target = max(2**15, 6 * halo)
    blocks = max(1, round(n / target))
    per_column = 1 if blocks == 1 else max(1, round(n / size / 256))
    shown = math.ceil(size * per_column / blocks)
    blocks = math.ceil(size * per_column / shown)
    piece = n / (size * per_column)
    reach = math.ceil(halo / piece) + 1
    # Silence around a single block can serve both its ends, as the FFT is circular.
    left = 1 if blocks == 1 and padding == "zero" else reach
    least = shown + left + reach

    def cost(pieces: int) -> float:
        n_fft = round(pieces * piece)
        drift = abs(n_fft / pieces - piece) * shown / piece
        return pieces * (1 if _is_smooth(n_fft) else 1.3) * (1 + 20 * drift)

    candidates = [k for k in range(least, 2 * least + 64) if _is_smooth(k, (2, 3, 5))]
    pieces = min(candidates, key=cost)
    return Grid(blocks, shown, pieces, per_column, left, round(pieces * piece), -left * piece, shown * piece)


class Group(NamedTuple):
    """Bands that share an inverse FFT of `n_out` values, `per_piece` of them in a piece.

    Their responses are zero outside the bins from `low` on, `folds * n_out` of them.
    """

    low: int
    folds: int
    n_out: int
    per_piece: int


class BandPower(torch.nn.Module):
    """Mean power of wavelet bands in each column of an image: the engine behind `cwt` and `cqt`.

    The spectrum of a block is multiplied by each band's response and folded (aliased) to the few values that the
    band's power needs, so that the inverse FFT is short: decimation leaves exact samples of the coefficients
    (Andén and Mallat, IEEE Trans. Signal Process. 62 (2014) 4114, do likewise for scattering). Their power is averaged
    over the columns by the trapezoidal rule with Gregory's end corrections.
    """

    edge: Tensor

    def __init__(
        self,
        wavelet: Wavelet,
        frequencies: Tensor,
        *,
        sample_rate: int,
        n_samples: int,
        size: int,
        norm: str,
        padding: str,
        signed: bool,
    ) -> None:
        super().__init__()
        self.wavelet, self.padding, self.size, self.signed = wavelet, padding, size, signed
        halo = math.ceil(wavelet.radius(SUPPORT) * sample_rate / float(frequencies.min()))
        self.grid = plan_grid(n_samples, size, min(halo, n_samples), padding)
        self.piece = n_samples / (size * self.grid.per_column)
        responses = self._responses(frequencies, sample_rate, norm)
        self.groups: list[Group] = []
        self.negative = max(0, -min(low for low, _ in responses))
        for number, (group, values) in enumerate(self._grouped(responses)):
            self.groups.append(group)
            # Twice each value, for the real and the imaginary part that it multiplies: (band, folds, 2 * n_out).
            self.register_buffer(f"response{number}", values.repeat_interleave(2, -1).float(), persistent=False)
        # Per edge of a column, samples two before to two after it: the trapezoidal rule's half weight and Gregory's
        # central differences up to the third (Hildebrand, Introduction to Numerical Analysis, section 5.9).
        edge = torch.tensor([-11, 82, 720, -82, 11], dtype=torch.float64) / 1440
        self.register_buffer("edge", edge.float(), persistent=False)

    def _responses(self, frequencies: Tensor, sample_rate: int, norm: str) -> list[tuple[int, Tensor]]:
        """For each band its first bin and its response from there on, cut to its support."""
        n_fft = self.grid.n_fft
        first = -((n_fft - 1) // 2) if self.wavelet.is_complex else 0
        bins = torch.arange(first, (n_fft + 1) // 2, dtype=torch.float64)
        hertz = bins * sample_rate / n_fft
        bands = []
        for center in frequencies:
            values = self.wavelet.response(hertz, center, sample_rate, norm)
            if not self.wavelet.is_complex:
                # The real part of the analytic signal is the real wavelet's coefficient.
                values = values * torch.where(bins == 0, 1, 2)
            inside = torch.nonzero(values.abs() > SUPPORT * values.abs().max())
            low, high = int(inside[0]), int(inside[-1]) + 1
            if self.signed:
                # The mean over a piece is a filter too; the sample in the piece's middle is then all it takes.
                values = values * torch.sinc(hertz * self.piece / sample_rate)
            bands.append((first + low, values[low:high] / n_fft))
        return bands

    def _grouped(self, bands: list[tuple[int, Tensor]]) -> Iterator[tuple[Group, Tensor]]:
        pieces = self.grid.pieces
        members: dict[int, list[tuple[int, Tensor]]] = {}
        for low, values in bands:
            per_piece = next(m for m in _PER_PIECE if m * pieces >= self._needed(low, values))
            members.setdefault(per_piece, []).append((low, values))
        self.order = [0] * len(bands)
        position = {id(values): index for index, (_, values) in enumerate(bands)}
        done = 0
        for per_piece, group in members.items():
            for _, values in group:
                self.order[position[id(values)]] = done
                done += 1
            n_out = per_piece * pieces
            low = min(first for first, _ in group)
            low -= low % n_out if not self.wavelet.is_complex else 0
            high = max(first + len(values) for first, values in group)
            folds = math.ceil((high - low) / n_out)
            table = torch.zeros(len(group), folds * n_out, dtype=torch.float64)
            for row, (first, values) in enumerate(group):
                table[row, first - low : first - low + len(values)] = values
            yield Group(low, folds, n_out, per_piece), table.unflatten(1, (folds, n_out))

    def _needed(self, low: int, values: Tensor) -> int:
        """How many samples a block needs: for power the lag from which the response's autocorrelation stays small."""
        if self.signed:
            return len(values) // 4
        size = values.abs()
        if not self.wavelet.is_complex:
            size = torch.cat([size.flip(0), torch.zeros(max(2 * low - 1, 0)), size])
        n = _smooth(2 * len(size))
        correlation = torch.fft.irfft(torch.fft.rfft(size, n).abs().square(), n)[: len(size)]
        return int(torch.nonzero(correlation > ALIASING * correlation[0])[-1]) + 1

    def forward(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` to mean powers `(batch, bands, size)`, or mean coefficients where `signed`."""
        grid = self.grid
        start = grid.start + self.piece / 2 if self.signed else grid.start
        begins = [round(start + block * grid.step) for block in range(grid.blocks)]
        left, right = -begins[0], begins[-1] + grid.n_fft - waveform.shape[1]
        padded = _pad(waveform, left, max(right, 0), self.padding)
        at_once = max(1, 2**19 // grid.n_fft // len(waveform))
        parts = []
        for i in range(0, grid.blocks, at_once):
            blocks = [padded[:, begin + left : begin + left + grid.n_fft] for begin in begins[i : i + at_once]]
            parts.append(self._transform(torch.stack(blocks, 1)))
        values = torch.cat(parts, 1).transpose(1, 2).flatten(2)  # (batch, bands, blocks * shown)
        values = values[..., : self.size * grid.per_column]
        return values.unflatten(2, (self.size, grid.per_column)).mean(-1)

    def _transform(self, blocks: Tensor) -> Tensor:
        """`(batch, blocks, n_fft)` samples to `(batch, blocks, bands, shown)`."""
        spectrum = torch.fft.rfft(blocks.flatten(0, 1))
        high = max(group.low + group.folds * group.n_out for group in self.groups)
        spectrum = functional.pad(spectrum, (0, max(0, high - spectrum.shape[1])))
        if self.negative:
            spectrum = torch.cat([spectrum[:, 1 : self.negative + 1].flip(1).conj(), spectrum], 1)
        parts = []
        for number, group in enumerate(self.groups):
            response = self.get_buffer(f"response{number}")
            begin = group.low + self.negative
            window = torch.view_as_real(spectrum[:, begin : begin + group.folds * group.n_out])
            window = window.unflatten(1, (group.folds, group.n_out)).flatten(2)  # (units, folds, 2 * n_out)
            at_once = len(window)
            if not torch.compiler.is_compiling():
                at_once = max(1, CHUNK // (len(response) * group.n_out))
            units = [self._power(unit, response, group) for unit in window.split(at_once)]
            parts.append(torch.cat(units))
        values = torch.cat(parts, 1)[:, self.order]
        return values.unflatten(0, blocks.shape[:2])

    def _power(self, window: Tensor, response: Tensor, group: Group) -> Tensor:
        """Spectra `(units, folds, 2 * n_out)` to powers `(units, bands, shown)`."""
        folded = window[:, None, 0] * response[:, 0]
        for fold in range(1, group.folds):
            folded = torch.addcmul(folded, window[:, None, fold], response[:, fold])
        folded = torch.view_as_complex(folded.unflatten(-1, (group.n_out, 2)))
        samples = torch.fft.ifft(folded, norm="forward")  # (units, bands, n_out)
        m, left, shown = group.per_piece, self.grid.left, self.grid.shown
        if self.signed:
            middle = samples[:, :, left * m : (left + shown) * m : m]
            return (middle * self.wavelet.phase.conjugate()).real
        if self.wavelet.is_complex:
            parts = torch.view_as_real(samples)
        else:
            parts = (samples * self.wavelet.phase.conjugate()).real[..., None]
        inner = parts[:, :, left * m : (left + shown) * m].unflatten(2, (shown, m)).flatten(3)
        total = torch.linalg.vector_norm(inner, dim=-1).square()
        edges = parts[:, :, left * m - 2 : (left + shown) * m + 3].unfold(2, 5, m)  # (units, bands, shown + 1, ., 5)
        edges = edges.square().sum(-2) @ self.edge
        return ((total + edges.diff()) / m).clamp(min=0)


class Cwt(Picture):
    """Wavelet images; see `Picture`.

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
        spacing: str,
        scale: str,
        decibel_range: float,
        sample_rate: int,
        n_samples: int,
    ) -> None:
        mother = wavelets.parse(wavelet)
        check_choice("transform.norm", norm, ("l1", "l2"))
        check_choice("transform.padding", padding, ("zero", "reflect"))
        if scales is None:
            bands = row_frequencies(size, f_min, f_max, spacing)
        else:
            bands = mother.scale_to_frequency(torch.arange(scales[1], scales[0] - 1, -1.0), sample_rate).double()
        n_shown = min(n_samples, first_samples or n_samples)
        super().__init__(
            bands,
            size=size,
            scale=scale,
            decibel_range=decibel_range,
            sample_rate=sample_rate,
            n_samples=n_samples,
            n_shown=n_shown,
        )
        _warn_if_longer(mother, bands, n_shown / sample_rate)
        self.values = BandPower(
            mother,
            bands,
            sample_rate=sample_rate,
            n_samples=n_shown,
            size=size,
            norm=norm,
            padding=padding,
            signed=scale == "signed",
        )


_PER_PIECE = sorted(2**i * 3**j for i in range(2, 24) for j in range(2))
