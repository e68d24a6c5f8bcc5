"""The pictures of `images` once more, without FFTs and complex numbers: for graphs that other programs run.

Each twin is made of the picture that it stands for, takes windows, filters, bands and cuts from there, and does the
same sums in another order, so that both agree to rounding.
"""

from copy import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioid.errors import AudioidError
from audioid.transforms.bands import BandPower, PowerTier, Tiers, pad
from audioid.transforms.dft import dft
from audioid.transforms.image import TimeFrequencyTransform
from audioid.transforms.images.both import Both
from audioid.transforms.images.fft import FilterPower


def in_real_arithmetic(picture: TimeFrequencyTransform) -> TimeFrequencyTransform:
    """The same picture of waveforms, in real arithmetic; what it does not change, both have in common.

    A picture of somebody else's is itself: whoever writes the graph finds out.

    Raises:
        AudioidError: that picture cannot be made so.
    """
    made = copy(picture)
    made._modules = dict(picture._modules)
    values = getattr(picture, "values", None)
    if isinstance(picture, Both):
        made._modules |= {name: in_real_arithmetic(part) for name, part in (("fft", picture.fft), ("cwt", picture.cwt))}
    elif isinstance(values, FilterPower):
        made.values = RealFilterPower(values)
    elif isinstance(values, BandPower):
        made.values = RealBandPower(values)
    elif isinstance(values, Tiers):  # synchrosqueezing moves coefficients by their phase, which jumps with rounding
        name = type(picture).__name__.lower()
        raise AudioidError(
            f"transform={name}: cannot be exported; train with transform=fft, cwt, cqt, mfcc or both instead"
        )
    return made


class RealFilterPower(nn.Module):
    """As `FilterPower`."""

    places: Tensor
    window: Tensor
    filters: Tensor

    def __init__(self, values: FilterPower) -> None:
        super().__init__()
        self.size, self.per_column, self.padding = values.size, values.per_column, (values.win_length, values.n_fft)
        self.register_buffer("window", values.window[: values.win_length])
        self.register_buffer("filters", values.filters)
        self.register_buffer("places", values.starts[:, None] + torch.arange(values.win_length))
        first, count = values.bins.start, values.bins.stop - values.bins.start
        self.spectrum = dft(values.n_fft, given=values.win_length, first=first, count=count, is_real=True)

    def forward(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` to `(batch, bands, size)`."""
        frames = functional.pad(waveform, self.padding)[:, self.places] * self.window  # (batch, frames, win_length)
        power = self.spectrum(frames[..., None, :]).square().sum(-2)
        power = power.unflatten(1, (self.size, self.per_column)).mean(2)
        return (power @ self.filters).transpose(1, 2)


class RealBandPower(nn.Module):
    """As `BandPower`."""

    def __init__(self, values: BandPower) -> None:
        super().__init__()
        self.left, self.end, self.padding = values.left, values.end, values.padding
        tiers = [tier for tier in values.tiers if isinstance(tier, PowerTier)]
        self.tiers = nn.ModuleList(RealTier(tier) for tier in tiers)

    def forward(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` to `(batch, bands, size)`."""
        padded = pad(waveform, self.left, max(0, self.end - waveform.shape[1]), self.padding)
        return torch.cat([tier(padded, self.left) for tier in self.tiers], 1)


class RealTier(nn.Module):
    """As `PowerTier`."""

    taper: Tensor

    def __init__(self, tier: PowerTier) -> None:
        super().__init__()
        self.grid, self.size = tier.grid, tier.size
        self.register_buffer("taper", tier.taper)
        self.groups = nn.ModuleList(RealGroup(tier, number) for number in range(len(tier.groups)))
        groups = [group for group in self.groups if isinstance(group, RealGroup)]
        first, end = min(group.low for group in groups), max(group.low + group.given for group in groups)
        self.windows = [slice(group.low - first, group.low - first + group.given) for group in groups]
        self.spectrum = dft(tier.grid.n_fft, given=tier.grid.n_fft, first=first, count=end - first, is_real=True)

    def forward(self, padded: Tensor, left: int) -> Tensor:
        """`(batch, time)` with `left` samples before the clip to the means of the columns `(batch, rows, size)`."""
        starts = [begin + left for begin in self.grid.begins]
        blocks = torch.stack([padded[:, start : start + self.grid.n_fft] for start in starts], 1)
        spectrum = self.spectrum((blocks * self.taper)[:, :, None, None])  # (batch, blocks, 1, 2, bins)
        every = [group(spectrum[..., window]) for group, window in zip(self.groups, self.windows, strict=True)]
        values = torch.cat(every, 2).transpose(1, 2).flatten(2)[..., : self.size * self.grid.per_column]
        return values.unflatten(2, (self.size, self.grid.per_column)).mean(-1)


class RealGroup(nn.Module):
    """The bands of a tier that share an inverse transform."""

    response: Tensor
    weights: Tensor

    def __init__(self, tier: PowerTier, number: int) -> None:
        super().__init__()
        grid, (low, folds), phase = tier.grid, tier.groups[number], tier.wavelet.phase
        response: Tensor = getattr(tier, f"response{number}")[:, ::2]  # of each part alike, there for both
        length = response.shape[1] // folds
        self.low, self.width = low, length // grid.pieces
        self.given = int(torch.nonzero(response.any(0))[-1]) + 1
        self.register_buffer("response", response[:, None, : self.given])  # (bands, 1, given)
        self.turn = None if tier.wavelet.is_complex and not tier.signed else (phase.real, phase.imag)
        self.signed = tier.signed
        # The shown pieces and one on either side.
        first, count = (grid.left - 1) * self.width, (grid.shown + 2) * self.width
        self.samples = dft(length, given=self.given, first=first, count=count, is_inverse=True)
        self.register_buffer("weights", _piece_weights(tier.edge[:: tier.parts], self.width))

    def forward(self, spectrum: Tensor) -> Tensor:
        """Spectra of blocks from bin `low` on, `(batch, blocks, 1, 2, given)`, to `(batch, blocks, bands, shown)`."""
        samples = self.samples(spectrum * self.response)  # (batch, blocks, bands, 2, time)
        if self.turn:
            real, imaginary = samples.unbind(-2)
            values = (real * self.turn[0] + imaginary * self.turn[1]).unflatten(-1, (-1, self.width))
            if self.signed:
                return values[..., 1:-1, 0]
            power = values.square()
        else:
            power = samples.square().sum(-2).unflatten(-1, (-1, self.width))
        before, own, after = (power @ self.weights).unbind(-1)  # (..., pieces)
        return (before[..., :-2] + own[..., 1:-1] + after[..., 2:]).clamp(min=0)


def _piece_weights(edge: Tensor, width: int) -> Tensor:
    """What the samples of the piece before, the piece and the one after add to its mean, `(width, 3)`.

    As in `PowerTier.pooled`: its samples, less `edge` about its beginning and with `edge` about its end.
    """
    weights, reach = torch.zeros(3 * width), len(edge) // 2
    weights[width : 2 * width] = 1
    weights[width - reach : width + reach + 1] -= edge
    weights[2 * width - reach : 2 * width + reach + 1] += edge
    return weights.reshape(3, width).T / width
