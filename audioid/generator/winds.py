"""Winds: air columns blown through an edge, reeds or lips; organ pipes and free reeds."""

import torch
from torch import Tensor

from audioid.generator.courses import drawn, note, periods, points, vibrato
from audioid.generator.drums import click
from audioid.generator.takes import Takes, loudest


def sloped(takes: Takes, count: int, power: Tensor) -> Tensor:
    """Gains of harmonics that fall as a power of their number, each a little more or less, `(batch, count)`."""
    return takes.partials(count) ** -power * takes.draw(0.5, 1.6, count)


def either(takes: Takes, count: int) -> Tensor:
    """Signs by chance `(batch, count)`: partials of steady modes that all began alike would be a row of clicks."""
    return torch.where(takes.fresh(-1, 1, count) < 0, -1.0, 1.0)


def formant(frequencies: Tensor, centre: Tensor, quality: Tensor) -> Tensor:
    """How strongly a resonance answers at those frequencies, 1 at its centre."""
    ratio = frequencies / centre
    return torch.rsqrt(1 + (quality * (ratio - 1 / ratio)).square())


def _blown(takes: Takes, pitch: Tensor, gains: Tensor, attack: tuple[float, float], deepest: float) -> Tensor:
    """A tone held by breath."""
    scoop = 1 - takes.even(-0.01, 0.04) * torch.exp(-points(takes) / takes.draw(0.01, 0.06))
    course = pitch * scoop * vibrato(takes, deepest)
    tone = takes.tone(periods(takes, course), course.amax(1, keepdim=True), gains)
    return loudest(tone) * drawn(takes, note(takes, attack, (0.03, 0.4)))


def edge_tone(takes: Takes, pitch: Tensor, steepness: Tensor, breath: Tensor) -> Tensor:
    """Air that swings about an edge: few harmonics, and as much noise as `breath`, more at the start."""
    gains = sloped(takes, 16, steepness)
    tone = _blown(takes, pitch, gains, (0.01, 0.15), 0.012)
    air = takes.hiss(takes.peak(pitch * takes.draw(1, 3), takes.draw(0.4, 3)) + 0.1 * takes.high(1500.0))
    chiff = takes.draw(0.1, 4) * takes.decay(takes.draw(0.03, 0.2))
    held = drawn(takes, note(takes, (0.005, 0.05), (0.03, 0.3)))
    return tone + breath * air * held * (1 + chiff)


def flute(takes: Takes) -> Tensor:
    return edge_tone(takes, takes.draw(230, 2200), takes.even(1.2, 4), takes.draw(0.01, 0.25))


def whistle(takes: Takes) -> Tensor:
    """Recorders, ocarinas, tin whistles and lips: near a sine."""
    return edge_tone(takes, takes.draw(450, 3500), takes.even(2.5, 6), takes.draw(0.003, 0.12))


def clarinet(takes: Takes) -> Tensor:
    """A tube closed by the reed: odd harmonics; the even ones come in above the tone holes' cut-off."""
    pitch, number = takes.draw(130, 1300), takes.partials(40)
    even = 1 - number % 2
    leak = takes.draw(0.01, 0.15) * (1 + (number * pitch / 1500).square()).clamp(max=6)
    cut = torch.rsqrt(1 + (number * pitch / takes.draw(1200, 4000)) ** 4)
    gains = sloped(takes, 40, takes.even(0.4, 1.3)) * torch.where(even > 0, leak, 1.0) * cut
    return _blown(takes, pitch, gains, (0.01, 0.1), 0.004) + _breath(takes)


def oboe(takes: Takes) -> Tensor:
    """A narrow cone: all harmonics, and strongest near 1 and 3 kHz whatever the note. Oboes, bassoons, shawms."""
    pitch, number = takes.draw(60, 1400), takes.partials(64)
    scale = takes.draw(0.4, 1.1) * (pitch / 300).clamp(max=1) ** 0.3
    first = formant(number * pitch, 1100 * scale * takes.draw(0.85, 1.2), takes.draw(1, 4))
    second = formant(number * pitch, 3000 * scale * takes.draw(0.85, 1.2), takes.draw(1, 4))
    gains = takes.draw(0.5, 1.6, 64) * (0.1 + first + takes.draw(0.1, 0.7) * second) * number ** -takes.even(0, 0.6)
    return _blown(takes, pitch, gains, (0.008, 0.06), 0.01) + _breath(takes)


def saxophone(takes: Takes) -> Tensor:
    """A wide cone: strong low harmonics, a long slope, much air."""
    pitch, number = takes.draw(70, 900), takes.partials(64)
    broad = 0.3 + formant(number * pitch, takes.draw(350, 1800), takes.draw(0.5, 2))
    gains = sloped(takes, 64, takes.even(0.5, 1.4)) * broad
    gains = gains * torch.rsqrt(1 + (number * pitch / takes.draw(1500, 6000)) ** 2)
    return _blown(takes, pitch, gains, (0.01, 0.12), 0.015) + takes.draw(1, 4) * _breath(takes)


def _breath(takes: Takes) -> Tensor:
    """Air beside the reed, and the tongue or a pad at the start."""
    air = takes.hiss(takes.high(takes.draw(500, 3000)) * takes.low(takes.draw(3000, 9000)))
    level = takes.draw(0.001, 0.02) + takes.draw(0.002, 0.06) * takes.decay(takes.draw(0.02, 0.15))
    return level * air


def brass(takes: Takes, pitch: Tensor, cut: Tensor) -> Tensor:
    """Lips: the louder, the steeper the wave in the tube and the more high harmonics (Beauchamp 1975)."""
    number = takes.partials(64)
    soft = sloped(takes, 64, takes.even(0.6, 1.6)) * torch.rsqrt(1 + (number * pitch / cut) ** 4)
    loud = sloped(takes, 64, takes.even(0, 0.8)) * torch.rsqrt(1 + (number * pitch / (cut * takes.draw(2, 5))) ** 4)
    level = note(takes, (0.02, 0.2), (0.05, 0.5))
    wobble = torch.exp(-points(takes) / takes.draw(0.01, 0.05))
    course = pitch * vibrato(takes, 0.008) * (1 - takes.even(-0.02, 0.06) * wobble)
    place, highest = periods(takes, course), course.amax(1, keepdim=True)
    bright = drawn(takes, (level ** takes.even(2, 5)) * takes.draw(0.05, 1))
    return (loudest(takes.tone(place, highest, soft)) + bright * loudest(takes.tone(place, highest, loud))) * drawn(
        takes, level
    )


def trumpet(takes: Takes) -> Tensor:
    return brass(takes, takes.draw(160, 1100), takes.draw(700, 2500))


def horn(takes: Takes) -> Tensor:
    """Horns, trombones, tubas."""
    return brass(takes, takes.draw(40, 500), takes.draw(250, 1100))


# Ranks over the 8 foot one: 16, 8, 5 1/3, 4, 2 2/3, 2, 1 3/5, 1 1/3 and 1 foot.
FOOTAGES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)


def organ(takes: Takes) -> Tensor:
    """Pipes or tone wheels: several ranks, each of few harmonics, some of them out of tune with the others."""
    feet = torch.tensor(FOOTAGES, device=takes.time.device)
    count = len(FOOTAGES)
    drawbars = takes.draw(0.02, 1, count) * (takes.even(0, 1, count) < 0.7)
    drawbars = torch.cat([drawbars[:, :1], takes.draw(0.5, 1), drawbars[:, 2:]], 1)
    frequencies = takes.draw(65, 1000) * feet * (1 + takes.even(-0.002, 0.002, count) * takes.maybe(0.6))
    number = takes.partials(6)
    gains = (drawbars[..., None] * sloped(takes, 6, takes.even(1, 4))[:, None]).flatten(1)
    gains, still = gains * either(takes, 6 * count), torch.full_like(gains, 1e4)
    pipes = loudest(takes.modes((frequencies[..., None] * number).flatten(1), still, gains))
    tremulant = 1 + takes.maybe(0.4) * takes.draw(0.03, 0.4) * takes.sine(takes.draw(3, 8) * takes.time)
    held = drawn(takes, note(takes, (0.003, 0.12), (0.02, 0.3)))
    return pipes * held * tremulant + takes.draw(0.005, 0.2) * click(takes, 400, 5000, (0.01, 0.06))


def accordion(takes: Takes) -> Tensor:
    """Free reeds, mostly two or three for a note, a little apart so that they beat; harmonicas too."""
    count, reeds = 32, 3
    number = takes.partials(count)
    pitch = takes.draw(90, 900)
    apart = pitch * (1 + takes.even(-0.008, 0.008, reeds))
    there = torch.cat([torch.ones_like(pitch), takes.maybe(0.8), takes.maybe(0.4)], 1)
    gains = sloped(takes, count, takes.even(0.3, 1.4)) * formant(
        number * pitch, takes.draw(400, 3500), takes.draw(0.3, 2)
    )
    frequencies = (apart[..., None] * number).flatten(1)
    gains = (there[..., None] * gains[:, None]).flatten(1) * either(takes, count * reeds)
    made = takes.modes(frequencies, torch.full_like(frequencies, 1e4), gains)
    return loudest(made) * drawn(takes, note(takes, (0.01, 0.15), (0.02, 0.2)))
