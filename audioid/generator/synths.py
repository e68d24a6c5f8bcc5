"""Synthesizers: oscillators through filters that move, tones that modulate tones, and what games and sirens use."""

import torch
from torch import Tensor

from audioid.generator.courses import drawn, note, periods, points, resonated, vibrato, wander
from audioid.generator.drums import click
from audioid.generator.takes import FALL, Takes, loudest


def oscillator(takes: Takes, course: Tensor, count: int = 128) -> Tensor:
    """Saw, pulse of some width, or between the two, of a course in hertz `(batch, points)`."""
    number = takes.partials(count)
    width = takes.even(0.05, 0.5)
    pulse = torch.sin(torch.pi * number * width).abs() / number
    gains = torch.lerp(1 / number, pulse, takes.even(-0.5, 1.5).clamp(0, 1))
    return loudest(takes.tone(periods(takes, course), course.amax(1, keepdim=True), gains))


def swept(takes: Takes, signal: Tensor, cut: Tensor, resonance: tuple[float, float]) -> Tensor:
    """Through a resonant low pass whose frequency takes a course `(batch, points)`; `resonance` in widths of it."""
    cut = cut.clamp(30, 0.45 * takes.sample_rate)[..., None]
    return loudest(resonated(takes, signal, cut, cut / takes.draw(*resonance)[..., None]))


def falling(takes: Takes, low: tuple[float, float], times: tuple[float, float], seconds: tuple[float, float]) -> Tensor:
    """A filter's frequency `(batch, points)`: from some times of `low` down to it, by 60 dB in `seconds`."""
    return takes.draw(*low) * (1 + takes.draw(*times) * torch.exp(-FALL / takes.draw(*seconds) * points(takes)))


def bass(takes: Takes) -> Tensor:
    pitch = takes.draw(28, 180)
    course = pitch * (1 + takes.maybe(0.3) * takes.draw(0.01, 1) * torch.exp(-points(takes) / takes.draw(0.01, 0.08)))
    source = oscillator(takes, course) + takes.draw(0.05, 1) * takes.sine(
        pitch / takes.even(0.9, 2.1).round() * takes.time
    )
    filtered = swept(takes, source, falling(takes, (80, 900), (0.3, 20), (0.1, 2)), (0.5, 6))
    return torch.tanh(takes.draw(0.3, 4) * filtered) * drawn(takes, note(takes, (0.001, 0.03), (0.02, 0.5)))


def wobble(takes: Takes) -> Tensor:
    """A bass whose filter swings."""
    source = oscillator(takes, takes.draw(30, 130).expand(-1, len(points(takes))))
    swing = 0.5 + 0.5 * takes.sine(takes.draw(1.5, 14) * points(takes) + takes.fresh(0, 1))
    low = takes.draw(60, 300)
    filtered = swept(takes, source, low * takes.draw(4, 40) ** swing, (0.7, 6))
    return torch.tanh(takes.draw(0.3, 6) * filtered) * drawn(takes, note(takes, (0.002, 0.03), (0.02, 0.3)))


def lead(takes: Takes) -> Tensor:
    """One or two oscillators, mostly with vibrato, some sliding from note to note."""
    pitch = takes.draw(110, 1800)
    slide = 1 + takes.maybe(0.35) * takes.even(-0.5, 1) * torch.exp(-points(takes) / takes.draw(0.01, 0.15))
    course = pitch * slide * vibrato(takes, 0.03)
    source = oscillator(takes, course, 64)
    source = source + takes.maybe(0.6) * oscillator(takes, course * takes.even(0.985, 1.015), 64)
    filtered = swept(takes, source, falling(takes, (600, 9000), (0.05, 5), (0.1, 2)), (0.5, 5))
    return filtered * drawn(takes, note(takes, (0.001, 0.06), (0.02, 0.5)))


def pluck(takes: Takes) -> Tensor:
    """Oscillators that a filter and a level close at once."""
    pitch = takes.draw(60, 1500)
    source = oscillator(takes, pitch.expand(-1, len(points(takes))))
    filtered = swept(takes, source, falling(takes, (100, 1500), (2, 40), (0.05, 0.8)), (0.5, 5))
    return filtered * takes.decay(takes.draw(0.12, 2)) * takes.rise(takes.draw(0.0003, 0.004))


def pad(takes: Takes) -> Tensor:
    """Two or three notes of a chord, each of two strings out of tune, rising slowly."""
    root, count = takes.draw(65, 500), 20
    steps = torch.cat([torch.zeros_like(root), takes.even(3, 5).round(), takes.even(5, 9).round()], 1)
    tuned = root * 2 ** (torch.cat([steps, steps + takes.even(-0.2, 0.2, 3)], 1) / 12)
    there = torch.cat([torch.ones_like(root), takes.maybe(0.6), takes.maybe(0.5)], 1).repeat(1, 2)
    number = takes.partials(count)
    frequencies = (tuned[..., None] * number).flatten(1)
    gains = (there[..., None] * number ** -takes.even(0.6, 2.2)[..., None] * takes.draw(0.5, 2, 6)[..., None]).flatten(
        1
    )
    low = (frequencies < takes.draw(500, 9000)).float()
    made = takes.modes(frequencies, torch.full_like(frequencies, 1e4), gains * (0.1 + low))
    return loudest(made) * drawn(takes, note(takes, (0.05, 0.7), (0.1, 1.5)))


def electric_piano(takes: Takes) -> Tensor:
    """A tine and its tone bar: a fundamental, a high clang at first, and a pickup that bends loud notes."""
    pitch = takes.draw(55, 1100)
    seconds = takes.draw(1, 8) * (pitch / 200) ** -0.4
    periods_ = pitch * takes.time
    index = takes.draw(0.1, 2.5) * takes.decay(seconds * takes.draw(0.2, 0.7))
    tone = takes.sine(periods_ + index / 6 * takes.sine(periods_)) * takes.decay(seconds)
    clang = takes.modes(pitch * takes.even(5, 15, 2), takes.draw(0.05, 0.5, 2), takes.draw(0.02, 0.4, 2))
    tremolo = 1 + takes.maybe(0.4) * takes.draw(0.03, 0.4) * takes.sine(
        takes.draw(2, 8) * takes.time + takes.fresh(0, 1)
    )
    drive = takes.draw(0.2, 2.5)
    return torch.tanh(drive * (tone + clang)) * tremolo + takes.draw(0.005, 0.1) * click(
        takes, 300, 3000, (0.004, 0.03)
    )


def fm_bell(takes: Takes) -> Tensor:
    """One tone modulates another at a ratio that no string has (Chowning 1973)."""
    pitch, ratio = takes.draw(150, 1600), takes.even(1.2, 5.5)
    seconds = takes.draw(0.4, 6)
    index = takes.draw(0.3, 5) * takes.decay(seconds * takes.draw(0.2, 1))
    modulated = pitch * takes.time + index / 6 * takes.sine(ratio * pitch * takes.time)
    return takes.sine(modulated) * takes.decay(seconds) * takes.rise(takes.draw(0.0003, 0.005))


def zap(takes: Takes) -> Tensor:
    """Lasers: a tone that falls or rises by octaves within tenths of a second."""
    fast = torch.exp(-points(takes) / takes.draw(0.008, 0.25))
    end, octaves = takes.draw(40, 1200), takes.even(2, 6)
    rising = takes.maybe(0.2) > 0
    end, octaves = torch.where(rising, (end * 2**octaves).clamp(max=8000), end), torch.where(rising, -octaves, octaves)
    again = 1 + takes.maybe(0.3) * 0.3 * takes.sine(takes.draw(10, 60) * points(takes))
    course = (end * 2 ** (octaves * fast) * again).clamp(20, 0.45 * takes.sample_rate)
    source = takes.sine(periods(takes, course))
    shaped = torch.tanh(takes.draw(0.2, 8) * source)
    return shaped * takes.decay(takes.draw(0.1, 1.8)) * takes.rise(takes.draw(0.0005, 0.005))


def sweep(takes: Takes) -> Tensor:
    """Risers, falls and sirens: noise and a tone whose filter or pitch takes long, or goes to and fro."""
    at, whole = points(takes), takes.draw(0.3, 2)
    across = (at / whole).clamp(max=1)
    way = torch.where(takes.maybe(0.5) > 0, across, 1 - across)
    turning = 0.5 + 0.5 * takes.sine(takes.draw(0.8, 10) * at + takes.fresh(0, 1))
    way = torch.where(takes.maybe(0.35) > 0, turning, way)
    course = takes.draw(100, 900) * takes.draw(2, 16) ** way
    source = takes.even(0, 1) * oscillator(takes, course.clamp(max=5000), 32) + takes.draw(0.02, 1) * takes.noise()
    filtered = swept(takes, source, course * takes.draw(1, 4), (1, 12))
    return filtered * drawn(takes, note(takes, (0.01, 0.6), (0.03, 0.5)) * (1 + 0.1 * wander(takes, 10)))
