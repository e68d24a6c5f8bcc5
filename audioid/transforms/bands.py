"""The engine of all wavelet images: the mean power (or coefficient) of each band in each column, and no more.

A block of the recording is transformed once; each band multiplies the spectrum by its response, folds (aliases) it to
the few values that its power needs, and transforms them back: folding leaves exact samples of the coefficients, fewer
of them (as in scattering: Andén and Mallat, IEEE Trans. Signal Process. 62 (2014) 4114). Their power is summed over the
columns by the trapezoidal rule with Gregory's end corrections.

The recording is cut into pieces, a column or an equal part of one. High bands hear only what is near, so they go in
short blocks of pieces; all inverse FFTs stay short, and what each step leaves is still in cache for the next.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from audioid.transforms.image import ImageSpec
from audioid.transforms.wavelets import Wavelet

# Responses are cut where they fall below this part of their peak (-90 dB), wavelets likewise in time.
SUPPORT = 3e-5
# Power is sampled so densely that what aliases onto its mean is below this part of it, plus MARGIN samples a piece for
# the ends of the pieces.
ALIASING = 1e-3
MARGIN = 4
# Gregory's central differences at the end of an integral, for 1, 2, ... samples beyond it, and minus as many before it
# (Hildebrand, Introduction to Numerical Analysis, 1974, section 5.9).
GREGORY = (-252769 / 3628800, 68119 / 3628800, -1469 / 403200, 2497 / 7257600)
# Octaves of bands that share their blocks, at most.
TIER = 2.7
# The longest inverse FFT, where the wavelets allow it, and the values of those that each thread does at once.
LONGEST = 2048
CHUNK = 2**19
# Samples of all blocks that are transformed at once, which bounds the memory that long clips take.
BLOCKS = 2**19
# Samples at least over which a block's ends are faded out: a cut is a click, which bands near half the sample rate hear
# from afar, since the response that ends there rings.
TAPER = 64
# Samples in a piece, where columns are long enough to be cut.
PIECE = 256


class Grid(NamedTuple):
    """How a clip is cut: `blocks` of `shown` pieces each, transformed with others around them, `pieces` in all.

    A column of the image is `per_column` pieces; `left` pieces lie before the shown ones; `n_fft` samples make up a
    block; blocks begin at the samples `begins`, counted from the start of the clip.
    """

    per_column: int
    shown: int
    pieces: int
    left: int
    n_fft: int
    begins: tuple[int, ...]


def plan_grid(n: int, size: int, halo: int, per_piece: int, padding: str, offset: float) -> Grid:
    """The cheapest grid for a clip of `n` samples whose wavelets reach `halo` samples to either side.

    `per_piece` is the largest number of values that a band needs in a piece, `offset` (in pieces) where blocks begin.
    """
    piece = piece_length(n, size)
    total = round(n / piece)
    reach = math.ceil((halo + TAPER) / piece + len(GREGORY) / per_piece)

    def grids() -> Iterator[tuple[float, Grid]]:
        for blocks in sorted({max(1, round(total / shown)) for shown in range(8, total + 8)}):
            shown = math.ceil(total / blocks)
            # The FFT is circular: where there is silence around a single block, one side serves both ends.
            is_shared = blocks == 1 and padding == "zero"
            first = 1 if is_shared else reach
            # Blocks begin on a sample, so the pieces before the shown ones should add up to a whole number.
            left = min(range(first, first + 5), key=lambda k: abs(k * piece - round(k * piece)))
            least = shown + left + (max(1, reach - left) if is_shared else reach)
            for pieces in range(least, 5 * least // 4 + 8):
                if not is_smooth(pieces, (2, 3, 5)):
                    continue
                n_fft = round(pieces * piece)
                exact = [(offset + block * shown - left) * piece for block in range(blocks)]
                begins = tuple(round(begin) for begin in exact)
                # How far, in columns, the grid strays from the image's as everything falls on whole samples.
                stray = abs(n_fft / pieces - piece) * shown + max(
                    abs(a - b) for a, b in zip(exact, begins, strict=True)
                )
                length = max(1.0, math.log2(pieces * per_piece / LONGEST) + 1)
                cost = blocks * pieces * length * (1 if is_smooth(n_fft) else 1.2) * (1 + 100 * stray * size / n)
                yield cost, Grid(total // size, shown, pieces, left, n_fft, begins)

    return min(grids(), key=lambda item: item[0])[1]


class Group(NamedTuple):
    """Bands that share an inverse FFT; their responses are zero but for `folds` times its length from bin `low` on."""

    low: int
    folds: int


class Tier(torch.nn.Module, ABC):
    """Bands whose wavelets are of similar length and that share their blocks.

    A subclass adds groups of bands, and says in `pooled` what their samples come to in each piece.

    Args:
        lowest: the lowest centre frequency in hertz.
        per_piece: the largest number of values that a band needs in a piece.
        offset: as for `plan_grid`.
    """

    taper: Tensor

    def __init__(
        self, wavelet: Wavelet, image: ImageSpec, *, lowest: float, per_piece: int, padding: str, offset: float = 0
    ) -> None:
        super().__init__()
        self.size, self.sample_rate = image.size, image.sample_rate
        self.piece = piece_length(image.n_samples, image.size)
        halo = min(math.ceil(wavelet.radius(SUPPORT) * image.sample_rate / lowest), image.n_samples)
        self.grid = plan_grid(image.n_samples, image.size, halo, per_piece, padding, offset)
        self.register_buffer("taper", self._taper(halo).float(), persistent=False)
        self.groups: list[Group] = []

    def _taper(self, halo: int) -> Tensor:
        """What a block `(n_fft,)` is multiplied by: 1 as far as its shown pieces reach."""
        grid = self.grid

        def fade(pieces: int) -> Tensor:
            length = max(0, int((pieces - len(GREGORY) / PER_PIECE[0]) * self.piece) - halo)
            return torch.sin(math.pi / 2 * (torch.arange(length, dtype=torch.float64) + 0.5) / max(length, 1)).square()

        start, end = fade(grid.left), fade(grid.pieces - grid.shown - grid.left).flip(0)
        return torch.cat([start, torch.ones(grid.n_fft - len(start) - len(end)), end])

    def add(self, per_piece: int, respond: Callable[[Tensor], Tensor], *, in_phase: bool) -> None:
        """Bands that share an inverse FFT of `per_piece` values a piece.

        `respond` gives their responses `(bands, bins)` at the frequencies `(bins,)` in hertz. Power does not mind at
        which bin a fold begins, since that is but a phase; coefficients do, and come right where it is `in_phase`.
        """
        n_fft, n_out = self.grid.n_fft, per_piece * self.grid.pieces

        def response(bins: Tensor) -> Tensor:
            return respond(bins.double() * self.sample_rate / n_fft) * (bins.abs() < n_fft / 2) / n_fft

        bins = torch.arange(-(n_fft // 2), n_fft // 2)
        size = response(bins).abs()
        # "At least", since a band that lies between two bins is 0 in all of them.
        used = bins[(size >= SUPPORT * size.amax(1, keepdim=True)).any(0)]
        low = int(used[0])
        if in_phase:
            low -= low % n_out
        folds = math.ceil((int(used[-1]) + 1 - low) / n_out)
        # Twice each value, for the real and the imaginary part that it multiplies: (band, folds * 2 * n_out).
        values = response(torch.arange(low, low + folds * n_out)).repeat_interleave(2, 1).float()
        self.register_buffer(f"response{len(self.groups)}", values, persistent=False)
        self.groups.append(Group(low, folds))

    @abstractmethod
    def pooled(self, samples: Tensor) -> Tensor:
        """Coefficients of a group `(units, bands, n_out)` to what is wanted of shown pieces `(units, rows, shown)`."""

    def forward(self, padded: Tensor, left: int) -> Tensor:
        """`(batch, time)` with `left` samples before the clip to the means of the columns `(batch, rows, size)`."""
        grid = self.grid
        at_once = max(1, BLOCKS // len(padded) // grid.n_fft)
        parts = []
        for i in range(0, len(grid.begins), at_once):
            starts = [begin + left for begin in grid.begins[i : i + at_once]]
            blocks = torch.stack([padded[:, k : k + grid.n_fft] for k in starts], 1)
            parts.append(self._transform(blocks * self.taper))
        values = torch.cat(parts, 1).transpose(1, 2).flatten(2)[..., : self.size * grid.per_column]
        return values.unflatten(2, (self.size, grid.per_column)).mean(-1)

    def _transform(self, blocks: Tensor) -> Tensor:
        """`(batch, blocks, n_fft)` samples to `(batch, blocks, rows, shown)`."""
        spectrum = torch.fft.rfft(blocks.flatten(0, 1))
        parts = []
        for number, group in enumerate(self.groups):
            response: Tensor = getattr(self, f"response{number}")  # torch 2.6 cannot export get_buffer
            window = torch.view_as_real(_window(spectrum, group.low, response.shape[1] // 2)).flatten(1)[:, None]
            at_once = len(window) if torch.compiler.is_compiling() else units_at_once(response, group.folds)
            chunks = window.split(at_once)
            parts.append(torch.cat([self.pooled(_samples(chunk, response, group.folds)) for chunk in chunks]))
        return torch.cat(parts, 1).unflatten(0, blocks.shape[:2])


class PowerTier(Tier):
    """The mean powers or coefficients of bands, lowest first."""

    edge: Tensor

    def __init__(self, wavelet: Wavelet, frequencies: Tensor, image: ImageSpec, *, norm: str, padding: str) -> None:
        signed, sample_rate = image.amplitude_scale == "signed", image.sample_rate
        piece = piece_length(image.n_samples, image.size)
        per_piece = values_per_piece(wavelet.bandwidth(ALIASING) * frequencies * piece / sample_rate + MARGIN)
        super().__init__(
            wavelet,
            image,
            lowest=float(frequencies[0]),
            per_piece=max(per_piece),
            padding=padding,
            offset=0.5 if signed else 0,
        )
        self.wavelet, self.signed = wavelet, signed
        # What the power of the samples about the edge of a piece, or of their real and imaginary parts, weighs.
        edge = torch.tensor([*(-value for value in reversed(GREGORY)), 0.5, *GREGORY])
        self.parts = 2 if wavelet.is_complex else 1
        self.register_buffer("edge", edge.repeat_interleave(self.parts), persistent=False)
        for m in dict.fromkeys(per_piece):
            centers = frequencies[[value == m for value in per_piece]]

            def respond(hertz: Tensor, centers: Tensor = centers) -> Tensor:
                values = wavelet.response(hertz, centers[:, None], sample_rate, norm)
                if signed:
                    # The mean over a piece is a filter too; the sample in the piece's middle is then all it takes.
                    values = values * torch.sinc(hertz * piece / sample_rate)
                if not wavelet.is_complex:
                    # Positive frequencies alone; the real part of the result is the real wavelet's coefficient.
                    values = values * (hertz.sign() + 1)
                return values

            self.add(m, respond, in_phase=signed or not wavelet.is_complex)

    def pooled(self, samples: Tensor) -> Tensor:
        if self.wavelet.is_complex and not self.signed:
            values = torch.view_as_real(samples).flatten(2)
        else:
            values = (samples * self.wavelet.phase.conjugate()).real
        width = values.shape[2] // self.grid.pieces  # values of a piece
        begin, end = self.grid.left * width, (self.grid.left + self.grid.shown) * width
        if self.signed:
            return values[..., begin:end:width]
        # The sum from the piece's first sample on, and at either end the trapezoidal rule's half and Gregory's weights.
        total = torch.linalg.vector_norm(values[..., begin:end].unflatten(2, (-1, width)), dim=-1).square()
        reach = len(GREGORY) * self.parts
        edges = values[..., begin - reach : end + len(self.edge) - reach].unfold(2, len(self.edge), width)
        return ((total + (edges.square() @ self.edge).diff()) * (self.parts / width)).clamp(min=0)


def units_at_once(response: Tensor, folds: int) -> int:
    """How many blocks a group of bands, with these responses `(bands, folds * 2 * n_out)`, is computed of at once."""
    return max(1, CHUNK * torch.get_num_threads() * folds // response.numel())


def _samples(window: Tensor, response: Tensor, folds: int) -> Tensor:
    """Spectra `(units, 1, folds * 2 * n_out)` to the coefficients of bands `(units, bands, n_out)`."""
    windows, responses = window.chunk(folds, -1), response.chunk(folds, -1)
    folded = windows[0] * responses[0]  # (units, bands, 2 * n_out)
    for part, values in zip(windows[1:], responses[1:], strict=True):
        folded.addcmul_(part, values)
    return torch.fft.ifft(torch.view_as_complex(folded.unflatten(-1, (-1, 2))), norm="forward")


def _window(spectrum: Tensor, low: int, width: int) -> Tensor:
    """Bins `low` to `low + width` of the two-sided spectrum whose non-negative half is given, zero beyond it."""
    high = low + width
    if low >= 0 and high <= spectrum.shape[1]:
        return spectrum[:, low:high]
    parts = [spectrum[:, max(low, 0) : high]]
    if low < 0:
        parts.insert(0, spectrum[:, max(1, 1 - high) : 1 - low].flip(1).conj())
    there = spectrum.shape[1]
    return functional.pad(torch.cat(parts, 1), (max(0, 1 - low - there), max(0, high - there)))


class Tiers(torch.nn.Module):
    """Rows of an image, lowest first, from tiers of them: `(batch, time)` to `(batch, rows, size)`."""

    def __init__(self, tiers: Sequence[Tier], *, padding: str) -> None:
        super().__init__()
        self.tiers = torch.nn.ModuleList(tiers)
        self.padding = padding
        grids = [tier.grid for tier in tiers]
        self.left = max(-grid.begins[0] for grid in grids)
        self.end = max(grid.begins[-1] + grid.n_fft for grid in grids)

    def forward(self, waveform: Tensor) -> Tensor:
        padded = pad(waveform, self.left, max(0, self.end - waveform.shape[1]), self.padding)
        return torch.cat([tier(padded, self.left) for tier in self.tiers], 1)


class BandPower(Tiers):
    """Mean power of wavelet bands in each column of an image, `(batch, time)` to `(batch, bands, size)`.

    Args:
        frequencies: centre frequencies in hertz, lowest first.
        image: where its amplitude scale is signed, mean coefficients (their real part) instead.
        norm: as for `audioid.transforms.cwt`.
        padding: as for `audioid.transforms.cwt`.
    """

    def __init__(self, wavelet: Wavelet, frequencies: Tensor, image: ImageSpec, *, norm: str, padding: str) -> None:
        tiers = [PowerTier(wavelet, bands, image, norm=norm, padding=padding) for bands in by_octaves(frequencies)]
        super().__init__(tiers, padding=padding)


def by_octaves(frequencies: Tensor) -> list[Tensor]:
    """Rising frequencies cut into ranges of `TIER` octaves at most, all equally wide."""
    octaves = (frequencies / frequencies[0]).log2()
    number = max(1, math.ceil(float(octaves[-1]) / TIER))
    places = (octaves / octaves[-1].clamp(min=1e-9) * number).ceil().clamp(min=1)
    chosen = [frequencies[places == place] for place in range(1, number + 1)]
    return [part for part in chosen if len(part)]


def values_per_piece(least: Tensor) -> list[int]:
    """The smallest of the numbers of values that a piece may have, for at least as many as each of `least`."""
    return [next(m for m in PER_PIECE if m >= float(value)) for value in least]


def pad(waveform: Tensor, left: int, right: int, padding: str) -> Tensor:
    """`(..., time)` with `left` and `right` samples more, silent or reflected (as often as needed) about the ends."""
    if padding == "zero":
        return functional.pad(waveform, (left, right))
    n = waveform.shape[-1]
    index = torch.arange(-left, n + right, device=waveform.device) % (2 * n - 2)
    return waveform[..., torch.minimum(index, 2 * n - 2 - index)]


def piece_length(n: int, size: int) -> float:
    """Samples in a piece: a column of the image, or an equal part of it near `PIECE`."""
    return n / (size * max(1, round(n / size / PIECE)))


def is_smooth(n: int, factors: tuple[int, ...] = (2, 3, 5, 7)) -> bool:
    """Whether `n` has no prime factors but these: FFTs of such lengths are fast."""
    for factor in factors:
        while n % factor == 0:
            n //= factor
    return n == 1


def next_smooth(n: int) -> int:
    """The smallest length from `n` on that FFTs are fast at."""
    while not is_smooth(n):
        n += 1
    return n


# Samples in a piece that a band may have.
PER_PIECE = sorted(2**i * 3**j for i in range(1, 24) for j in range(2) if 2**i * 3**j > len(GREGORY))
