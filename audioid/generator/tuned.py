"""Bars, blocks and bells: stiff bodies with a pitch, struck."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from audioid.generator.drums import click
from audioid.generator.takes import Takes, loudest

# Modes over the lowest. A uniform bar with free ends; bars cut below so that the second mode is a twelfth or two
# octaves above (Rossing 2000, ch. 5 to 7); a church bell's hum, prime, tierce, quint, nominal and above (ch. 11).
FREE_BAR = (1.0, 2.756, 5.404, 8.933, 13.344)
XYLOPHONE = (1.0, 3.0, 6.1, 9.8, 14.2)
MARIMBA = (1.0, 4.0, 9.8, 16.0)
CHURCH_BELL = (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.66, 3.01, 4.17, 5.43, 6.8, 8.2)
HANDBELL = (1.0, 3.0, 4.2, 5.9, 7.6, 9.5)


def ringing(takes: Takes, pitch: Tensor, ratios: Sequence[float], seconds: Tensor, hardness: Tensor) -> Tensor:
    """A struck body: modes at about those ratios of its pitch; the higher ones fall sooner."""
    count = len(ratios)
    tuned = torch.tensor(ratios, device=pitch.device) * takes.even(0.99, 1.01, count)
    gains = torch.cat([torch.ones_like(pitch), takes.draw(0.08, 1, count - 1)], 1)
    return loudest(takes.struck(pitch * tuned, seconds * tuned ** -takes.even(0.2, 1.4), gains, hardness * pitch))


def _bar(takes: Takes, low: float, high: float, ratios: Sequence[float], seconds: tuple[float, float]) -> Tensor:
    pitch = takes.draw(low, high)
    fall = takes.draw(*seconds) * (pitch / low) ** -0.5
    body = ringing(takes, pitch, ratios, fall, takes.draw(0.8, 12))
    return body + takes.draw(0.01, 0.4) * click(takes, 500, 5000, (0.005, 0.05))


def xylophone(takes: Takes) -> Tensor:
    return _bar(takes, 350, 2100, XYLOPHONE, (0.12, 1.0))


def marimba(takes: Takes) -> Tensor:
    return _bar(takes, 65, 1000, MARIMBA, (0.4, 3.5))


def glockenspiel(takes: Takes) -> Tensor:
    return _bar(takes, 700, 3200, FREE_BAR, (1.0, 9))


def vibraphone(takes: Takes) -> Tensor:
    """Discs turn in the resonators of most, so that they open and close."""
    body = _bar(takes, 170, 1400, MARIMBA, (2, 14))
    turning = 1 + takes.sine(takes.draw(2, 9) * takes.time + takes.fresh(0, 1))
    return body * (1 - takes.maybe(0.7) * takes.even(0.05, 0.4) * turning)


def woodblock(takes: Takes) -> Tensor:
    """A hollow block: the air's resonance and some modes of wood, over within a tenth of a second."""
    pitch = takes.draw(300, 1800)
    ratios = torch.cat([torch.ones_like(pitch), takes.even(1.3, 2, 1), takes.even(2, 6, 5)], 1)
    gains = torch.cat([torch.ones_like(pitch), takes.draw(0.05, 0.8, 6)], 1)
    seconds = takes.draw(0.05, 0.35) * torch.cat([torch.ones_like(pitch), takes.draw(0.2, 0.9, 6)], 1)
    body = loudest(takes.struck(pitch * ratios, seconds, gains, pitch * takes.draw(1, 6)))
    return body + takes.draw(0.02, 0.6) * click(takes, 800, 6000, (0.003, 0.025))


def claves(takes: Takes) -> Tensor:
    """Two hardwood rods: little but the lowest mode of a free bar."""
    pitch = takes.draw(1100, 3300)
    body = ringing(takes, pitch, FREE_BAR[:3], takes.draw(0.04, 0.4), takes.draw(0.4, 3))
    return body + takes.draw(0.01, 0.3) * click(takes, 1500, 8000, (0.002, 0.02))


def _twins(takes: Takes, frequencies: Tensor, seconds: Tensor, gains: Tensor, hardness: Tensor) -> Tensor:
    """A round body that is not quite round: each mode is two, whose difference beats."""
    apart = takes.draw(0.05, 4, frequencies.shape[1])
    both = torch.cat([frequencies, frequencies + apart], 1)
    second = gains * takes.draw(0.05, 1, frequencies.shape[1])
    return loudest(takes.struck(both, seconds.repeat(1, 2), torch.cat([gains, second], 1), hardness))


def church_bell(takes: Takes) -> Tensor:
    count = len(CHURCH_BELL)
    ratios = torch.tensor(CHURCH_BELL, device=takes.time.device) * takes.even(0.97, 1.03, count)
    seconds = takes.draw(2.5, 20) * ratios ** -takes.even(0.5, 1.5)
    body = _twins(takes, takes.draw(150, 1300) * ratios, seconds, takes.draw(0.15, 1, count), takes.draw(900, 9000))
    return body + takes.draw(0.02, 0.4) * click(takes, 700, 5000, (0.01, 0.08))


def handbell(takes: Takes) -> Tensor:
    """Handbells and doorbells: the fundamental and its twelfth."""
    pitch = takes.draw(400, 2800)
    ratios = torch.tensor(HANDBELL, device=pitch.device) * takes.even(0.98, 1.02, len(HANDBELL))
    gains = torch.cat([torch.ones_like(pitch), takes.draw(0.05, 0.8, len(HANDBELL) - 1)], 1)
    seconds = takes.draw(0.7, 7) * ratios ** -takes.even(0.4, 1.3)
    body = _twins(takes, pitch * ratios, seconds, gains, takes.draw(1500, 12000))
    return body + takes.draw(0.01, 0.3) * click(takes, 1500, 8000, (0.003, 0.04))


def tubular_bell(takes: Takes) -> Tensor:
    """A long free tube: modes near the squares of odd numbers; the ear hears 9, 11 and 13 as 2, 3 and 4 of a pitch."""
    odd = 2 * takes.partials(8) + 1
    ratios = (odd / 9).square() * takes.even(0.985, 1.01, 8)
    seconds = takes.draw(2, 12) * ratios ** -takes.even(0.3, 1)
    pitch = 2 * takes.draw(180, 700)
    body = loudest(takes.struck(pitch * ratios, seconds, takes.draw(0.2, 1, 8), takes.draw(1200, 8000)))
    return body + takes.draw(0.02, 0.3) * click(takes, 800, 5000, (0.005, 0.06))


def bowl(takes: Takes) -> Tensor:
    """A singing bowl, a glass: rings of 2, 3, ... waves, near the squares of their number, in beating pairs."""
    waves = takes.partials(6) + 1
    ratios = (waves / 2) ** takes.even(1.6, 2.1)
    seconds = takes.draw(2, 20) * ratios ** -takes.even(0.4, 1.2)
    gains = takes.draw(0.1, 1, 6) * ratios ** -takes.even(0, 1)
    body = _twins(takes, takes.draw(120, 1800) * ratios, seconds, gains, takes.draw(600, 7000))
    return body * torch.sin(math.pi / 2 * takes.rise(takes.draw(0.0005, 0.02))) + takes.draw(0.005, 0.2) * click(
        takes, 500, 4000, (0.004, 0.05)
    )
