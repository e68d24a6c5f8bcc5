"""Slow courses of pitch, loudness and resonance: told at points some milliseconds apart, straight between them."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from audioid.generator.takes import FALL, Takes

STEP = 64  # samples between the points of a course


def points(takes: Takes) -> Tensor:
    """The times of the points in seconds, `(points,)`; the last is not before the end."""
    count = math.ceil(takes.n_samples / STEP) + 1
    return torch.arange(count, device=takes.time.device) * (STEP / takes.sample_rate)


def drawn(takes: Takes, course: Tensor) -> Tensor:
    """The line `(batch, time)` through a course's points `(batch, points)`."""
    part = torch.arange(STEP, device=course.device) / STEP
    return torch.lerp(course[:, :-1, None], course[:, 1:, None], part).flatten(1)[:, : takes.n_samples]


def periods(takes: Takes, hertz: Tensor) -> Tensor:
    """Periods since the start, `(batch, time)`, of a frequency's course `(batch, points)`: the exact integral."""
    part = torch.arange(STEP, device=hertz.device) / STEP
    whole = torch.cumsum((hertz[:, 1:] + hertz[:, :-1]) / 2, 1)
    before, change = functional.pad(whole[:, :-1], (1, 0)), (hertz[:, 1:] - hertz[:, :-1]) / 2
    within = (hertz[:, :-1, None] + change[..., None] * part) * part
    return ((before[..., None] + within) * (STEP / takes.sample_rate)).flatten(1)[:, : takes.n_samples]


def wander(takes: Takes, rate: float) -> Tensor:
    """Chance's way between -1 and 1, the recording's own, with `rate` turns a second at most, `(batch, points)`."""
    at = points(takes)
    turns = takes.fresh(-1, 1, math.ceil(rate * takes.n_samples / takes.sample_rate) + 1)
    return functional.interpolate(turns[:, None], len(at), mode="linear", align_corners=True)[:, 0]


def vibrato(takes: Takes, deepest: float) -> Tensor:
    """A factor of pitch `(batch, points)` that swings, after a while for some, and is never quite steady."""
    at = points(takes)
    swing = torch.sin(2 * math.pi * (takes.even(4, 7.5) * at + takes.fresh(0, 1)))
    begun = -torch.expm1(-at / takes.draw(0.03, 0.6))
    depth = takes.maybe(0.75) * takes.draw(deepest / 20, deepest)
    return 1 + depth * begun * swing + takes.draw(0.0003, 0.003) * wander(takes, 12)


def note(takes: Takes, attack: tuple[float, float], release: tuple[float, float]) -> Tensor:
    """Loudness `(batch, points)` of a held tone: it rises, swells or sags, and falls by 60 dB when let go."""
    at, end = points(takes), takes.draw(0.15, 3)
    rise = takes.draw(*attack)
    begun = torch.where(at < rise, torch.sin(math.pi / 2 * at / rise).square(), 1.0)
    sag = torch.exp(takes.even(-1, 0.4) * at + 0.08 * wander(takes, 8))
    return begun * sag * torch.exp(-FALL / takes.draw(*release) * (at - end).clamp(min=0))


def resonated(takes: Takes, signal: Tensor, frequencies: Tensor, widths: Tensor) -> Tensor:
    """The signal through a chain of poles that move, as in a vocal tract (Fant 1960): 1 at 0 Hz.

    `frequencies` and `widths` (hertz at half the power) are `(batch, points or 1, poles)`.
    """
    hop = 2 ** round(math.log2(takes.sample_rate / 86))  # near 12 ms, in which a mouth does not move far
    count = math.ceil(takes.n_samples / hop) + 1
    if frequencies.shape[1] > 1:
        nearest = torch.arange(0, count * hop, hop, device=signal.device).div(STEP, rounding_mode="floor")
        nearest = nearest.clamp(max=frequencies.shape[1] - 1)
        frequencies, widths = frequencies[:, nearest], widths[:, nearest]
    padded = functional.pad(signal, (hop, count * hop - takes.n_samples)).unfold(1, 2 * hop, hop)
    frames = torch.fft.rfft(padded * torch.hann_window(2 * hop, device=signal.device), 4 * hop)
    pieces = torch.fft.irfft(frames / _chain(takes, frequencies, widths, 2 * hop + 1), 4 * hop)
    laid = signal.new_zeros(len(signal), count + 3, hop)
    for part in range(4):
        laid[:, part : part + count] += pieces[..., part * hop : (part + 1) * hop]
    return laid.flatten(1)[:, hop : hop + takes.n_samples]


def _chain(takes: Takes, frequencies: Tensor, widths: Tensor, n_bins: int) -> Tensor:
    """By what the poles divide, `(batch, frames, n_bins)`; but for a delay, which no one hears.

    One product after another: coefficients of the whole polynomial would be too large for float32.
    """
    radius = torch.exp(-math.pi / takes.sample_rate * widths)
    turn = 2 * math.pi / takes.sample_rate * frequencies.clamp(max=0.47 * takes.sample_rate)
    bins = torch.linspace(0, math.pi, n_bins, device=frequencies.device)
    cosine, sine = torch.cos(bins), torch.sin(bins)
    chain = torch.ones(1, dtype=torch.complex64, device=frequencies.device)
    for r, angle in zip(radius.split(1, -1), turn.split(1, -1), strict=True):
        at_zero = 1 + r.square() - 2 * r * torch.cos(angle)
        real = torch.addcmul(-2 * r * torch.cos(angle) / at_zero, (1 + r.square()) / at_zero, cosine)
        chain = chain * torch.complex(real, (1 - r.square()) / at_zero * sine)
    return chain
