"""Strings: plucked, struck and bowed."""

import math

import torch
from torch import Tensor

from audioid.generator.courses import drawn, note, periods, vibrato
from audioid.generator.drums import click
from audioid.generator.takes import Takes, loudest

PARTIALS = 64


def stretched(takes: Takes, pitch: Tensor, stiffness: Tensor) -> Tensor:
    """Partials of a stiff string in hertz, `(batch, PARTIALS)` (Fletcher 1964): `n f sqrt(1 + B n^2)`."""
    number = takes.partials(PARTIALS)
    return pitch * number * torch.sqrt((1 + stiffness * number**2) / (1 + stiffness))


def body(takes: Takes, frequencies: Tensor, low: float, high: float) -> Tensor:
    """How strongly a body of wood with six resonances radiates at those frequencies `(batch, partials)`."""
    gains = torch.ones_like(frequencies)
    for _ in range(6):
        ratio = frequencies / takes.draw(low, high)
        gains = gains + takes.draw(0.3, 4) / (1 + (takes.draw(3, 20) * (ratio - 1 / ratio)).square())
    return gains


def plucked(takes: Takes, pitch: Tensor, seconds: Tensor, place: Tensor, stiffness: Tensor, softness: Tensor) -> Tensor:
    """A plucked string: `place` is where (a share of its length), `softness` how much sooner high partials fall.

    A string drawn aside at one point pulls at the bridge with partials as `sin(pi n place) / n`; what plucks is wide
    and leaves the highest out.
    """
    number = takes.partials(PARTIALS)
    frequencies = stretched(takes, pitch, stiffness)
    gains = torch.sin(math.pi * number * place) / number * takes.draw(0.7, 1.4, PARTIALS)
    gains = gains * body(takes, frequencies, 80, 2500)
    fall = seconds / (1 + softness * (number - 1)) * takes.draw(0.7, 1.4, PARTIALS)
    return loudest(takes.struck(frequencies, fall, gains, takes.draw(800, 12000)))


def guitar(takes: Takes) -> Tensor:
    """Nylon or steel, by a finger or a plectrum."""
    pitch, seconds, place = takes.draw(80, 700), takes.draw(0.6, 7), takes.even(0.08, 0.4)
    string = plucked(takes, pitch, seconds, place, takes.draw(1e-6, 2e-4), takes.draw(0.02, 0.4))
    return string + takes.draw(0.01, 0.25) * click(takes, 600, 5000, (0.004, 0.04))


def harp(takes: Takes) -> Tensor:
    """Harps, kotos, lyres: soft fingers near the middle or nails near the end, little damping."""
    pitch, seconds, place = takes.draw(65, 1800), takes.draw(0.8, 6), takes.even(0.1, 0.5)
    string = plucked(takes, pitch, seconds, place, takes.draw(1e-6, 1e-4), takes.draw(0.1, 1))
    return string + takes.draw(0.005, 0.12) * click(takes, 300, 3000, (0.005, 0.05))


def harpsichord(takes: Takes) -> Tensor:
    """A quill near the end of a thin string, often of two choirs an octave apart; the jack falls back."""
    pitch, seconds, thin = takes.draw(65, 1000), takes.draw(0.8, 6), takes.draw(5e-6, 1e-4)
    string = plucked(takes, pitch, seconds, takes.even(0.06, 0.2), thin, takes.draw(0.02, 0.2))
    octave = plucked(
        takes, 2 * pitch * takes.even(0.998, 1.002), seconds / 2, takes.even(0.08, 0.25), thin, takes.draw(0.02, 0.2)
    )
    string = string + takes.maybe(0.5) * takes.draw(0.2, 1) * octave
    return string + takes.draw(0.02, 0.4) * click(takes, 1000, 6000, (0.003, 0.02))


def pizzicato(takes: Takes) -> Tensor:
    pitch, seconds, place = takes.draw(60, 900), takes.draw(0.12, 1.3), takes.even(0.15, 0.45)
    string = plucked(takes, pitch, seconds, place, takes.draw(1e-5, 5e-4), takes.draw(0.2, 2))
    return string + takes.draw(0.02, 0.3) * click(takes, 200, 2500, (0.005, 0.05))


def bass_guitar(takes: Takes) -> Tensor:
    """Electric and upright basses, fingered, picked or slapped against the frets."""
    pitch, seconds, place = takes.draw(32, 200), takes.draw(0.6, 8), takes.even(0.08, 0.35)
    string = plucked(takes, pitch, seconds, place, takes.draw(1e-5, 3e-4), takes.draw(0.05, 1))
    slap = takes.maybe(0.35) * takes.draw(0.1, 0.8)
    return string + (0.02 + slap) * click(takes, 800, 5000, (0.005, 0.05))


def piano(takes: Takes) -> Tensor:
    """A felt hammer an eighth or so along strings in twos and threes, first falling fast together, then slowly apart.

    (Weinreich 1977 for the two falls; stiffness grows toward both ends, Conklin 1999.)
    """
    pitch, number = takes.draw(40, 2000), takes.partials(PARTIALS)
    frequencies = stretched(takes, pitch, takes.draw(1e-4, 6e-4) * (pitch / 260).clamp(min=0.5) ** 1.5)
    gains = torch.sin(math.pi * number * takes.even(0.1, 0.14)) * takes.draw(0.6, 1.6, PARTIALS) / number**0.5
    gains = gains * body(takes, frequencies, 60, 1500) / (1 + (frequencies / takes.draw(600, 4500)).square())
    slow = takes.draw(3, 16) * (pitch / 130) ** -0.6 / (1 + takes.draw(0.05, 0.3) * (number - 1))
    apart = frequencies * (1 + takes.draw(1e-4, 2e-3))
    both = torch.cat([frequencies, apart], 1)
    seconds = torch.cat([slow * takes.draw(0.15, 0.5), slow], 1)
    strings = loudest(takes.modes(both, seconds, torch.cat([gains, gains * takes.draw(0.1, 0.5)], 1)))
    end = takes.maybe(0.4) * -1e3 + 1e3 + takes.draw(0.2, 1.5)
    thump = takes.draw(0.01, 0.25) * click(takes, 80, 700, (0.02, 0.15))
    return (strings + thump) * takes.gate(-1.0, end, takes.draw(0.01, 0.06))


def bowed(takes: Takes, pitch: Tensor, low: float, high: float) -> Tensor:
    """The string sticks to the bow and slips, a saw's partials (Helmholtz); vibrato moves them over the resonances."""
    number = takes.partials(96)
    course = pitch * vibrato(takes, 0.02)
    gains = number ** -takes.even(0.8, 1.5) * takes.draw(0.6, 1.6, 96)
    tone = takes.tone(periods(takes, course), course.amax(1, keepdim=True), gains)
    scrape = takes.draw(0.01, 0.12) * takes.noise()
    wood = 0.25 + takes.low(takes.draw(1200, 6000)) * 0.5
    for _ in range(6):
        wood = wood + takes.even(-1, 1.5) * takes.peak(takes.draw(low, high), takes.draw(3, 20))
    return takes.filtered(loudest(tone) + scrape, wood) * drawn(takes, note(takes, (0.01, 0.25), (0.05, 0.8)))


def violin(takes: Takes) -> Tensor:
    return bowed(takes, takes.draw(190, 1600), 260, 4500)


def cello(takes: Takes) -> Tensor:
    return bowed(takes, takes.draw(40, 500), 80, 2500)
