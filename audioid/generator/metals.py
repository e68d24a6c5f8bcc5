"""Plates, rings and jingles of metal, struck, shaken and closed."""

import math

import torch
from torch import Tensor

from audioid.generator.takes import Takes, loudest, steady


def plate(takes: Takes, lowest: Tensor, seconds: Tensor, count: int, hardness: Tensor) -> Tensor:
    """A thin plate: modes as dense at all frequencies (Rossing 2000, ch. 8), the high ones gone sooner."""
    top = 0.47 * takes.sample_rate
    frequencies = lowest + (top - lowest) * takes.even(0, 1, count) ** takes.draw(0.6, 1.8)
    spread = seconds * takes.draw(0.4, 2, count) * (frequencies / lowest) ** -takes.even(0, 0.5)
    return loudest(takes.struck(frequencies, spread, takes.draw(0.1, 1, count), hardness))


def squares(takes: Takes) -> Tensor:
    """Six square waves out of tune with one another, the metal of drum machines, `(batch, time)`."""
    total = takes.noiseless()
    base = takes.draw(180, 480)
    for ratio in (1.0, 1.34, 1.48, 1.80, 2.55, 2.64):
        periods = base * ratio * takes.even(0.9, 1.1) * takes.time + takes.even(0, 1)
        total = total + torch.tanh(8 * takes.sine(periods))
    return total


def _hihat(takes: Takes, seconds: Tensor) -> Tensor:
    lowest = takes.draw(300, 5000)
    ringing = plate(takes, lowest, seconds * takes.draw(0.6, 1.6), 60, takes.draw(4000, 20000))
    response = takes.high(takes.draw(1500, 8000), 2) * takes.low(takes.draw(7000, 30000))
    hiss = takes.hiss(response) * takes.decay(seconds)
    made = takes.filtered(ringing, takes.high(takes.draw(600, 7000), 2))
    return (
        loudest(made) * takes.draw(0.05, 1) + takes.draw(0.1, 1) * loudest(hiss) + takes.draw(0.01, 0.3) * _tick(takes)
    )


def _electronic_hihat(takes: Takes, seconds: Tensor) -> Tensor:
    source = loudest(squares(takes)) * takes.draw(0.05, 1) + takes.draw(0.03, 1) * 0.3 * takes.noise()
    response = takes.high(takes.draw(2000, 8000), 2) * takes.peak(takes.draw(5000, 11000), takes.draw(0.2, 2))
    return loudest(takes.filtered(source, response) * takes.decay(seconds))


def _tick(takes: Takes) -> Tensor:
    return loudest(takes.hiss(takes.high(takes.draw(1500, 7000))) * takes.decay(takes.draw(0.003, 0.03)))


def closed_hihat(takes: Takes) -> Tensor:
    return _hihat(takes, takes.draw(0.03, 0.3))


def electronic_closed_hihat(takes: Takes) -> Tensor:
    return _electronic_hihat(takes, takes.draw(0.025, 0.25))


def open_hihat(takes: Takes) -> Tensor:
    """Two plates that rattle on one another; some are closed at the end."""
    made = _hihat(takes, takes.draw(0.35, 3))
    return made * _choked(takes, 0.6)


def electronic_open_hihat(takes: Takes) -> Tensor:
    return _electronic_hihat(takes, takes.draw(0.3, 2.5)) * _choked(takes, 0.5)


def _choked(takes: Takes, probability: float) -> Tensor:
    """Cut at a time, in that share of makers."""
    never = 1e3 * (1 - takes.maybe(probability))
    return takes.gate(-1.0, never + takes.draw(0.15, 0.8), takes.draw(0.002, 0.03))


def crash(takes: Takes) -> Tensor:
    """Energy goes from low modes to high ones, so the wash swells after the stroke."""
    seconds = takes.draw(1.3, 14)
    low = plate(takes, takes.draw(200, 900), seconds, 120, takes.draw(1500, 12000))
    response = takes.high(takes.draw(700, 6000), 2) * takes.low(takes.draw(6000, 40000))
    wash = takes.hiss(response) * takes.decay(seconds * takes.draw(0.4, 1)) * takes.rise(takes.draw(0.001, 0.04))
    made = takes.draw(0.02, 1) * low + takes.draw(0.2, 1) * loudest(wash) + takes.draw(0.02, 0.5) * _tick(takes)
    return takes.filtered(made, takes.high(takes.draw(100, 5000)))


def ride(takes: Takes) -> Tensor:
    """The stick's ping of a few modes over a soft wash."""
    seconds = takes.draw(1, 10)
    body = plate(takes, takes.draw(250, 900), seconds, 80, takes.draw(1500, 8000))
    ping = takes.struck(
        takes.draw(2000, 8000, 8), takes.draw(0.15, 2, 8), takes.draw(0.2, 1, 8), takes.draw(6000, 20000)
    )
    wash = takes.hiss(takes.high(takes.draw(2000, 6000), 2)) * takes.decay(seconds)
    made = takes.draw(0.03, 1) * body + takes.draw(0.15, 1) * loudest(ping)
    made = made + takes.draw(0.03, 1) * loudest(wash) + takes.draw(0.05, 0.7) * _tick(takes)
    return takes.filtered(made, takes.high(takes.draw(100, 4000)))


def electronic_cymbal(takes: Takes) -> Tensor:
    """Square waves and noise in two bands, the lower one ringing shorter."""
    source = loudest(squares(takes)) * takes.draw(0.1, 1) + takes.draw(0.05, 1) * 0.3 * takes.noise()
    seconds = takes.draw(0.9, 10)
    high = takes.filtered(source, takes.high(takes.draw(3000, 8000), 2)) * takes.decay(seconds)
    low = takes.filtered(source, takes.peak(takes.draw(2000, 5000), takes.draw(0.5, 3)))
    return loudest(high) + takes.draw(0.02, 0.8) * loudest(low) * takes.decay(seconds * takes.draw(0.2, 0.8))


def cowbell(takes: Takes) -> Tensor:
    """A bent sheet of two faces: two strong modes and a crowd of weak ones above."""
    pitch, interval = takes.draw(350, 1300), takes.even(1.25, 1.75)
    ratios = torch.cat([torch.ones_like(pitch), interval, takes.even(2, 8, 14)], 1)
    gains = torch.cat([torch.ones_like(pitch), takes.draw(0.3, 1.5), takes.draw(0.03, 0.8, 14)], 1)
    seconds = takes.draw(0.06, 0.9) * torch.cat([takes.even(0.7, 1, 2), takes.draw(0.2, 0.9, 14)], 1)
    body = loudest(takes.struck(pitch * ratios, seconds, gains, takes.draw(1500, 9000)))
    made = body + takes.draw(0.02, 0.5) * _tick(takes)
    return takes.filtered(made, takes.high(takes.draw(80, 1500)))


def electronic_cowbell(takes: Takes) -> Tensor:
    """Two square waves a fifth or so apart through a band pass, with a fast and a slow fall."""
    pitch = takes.draw(420, 1000)
    waves = torch.tanh(6 * takes.sine(pitch * takes.time)) + takes.draw(0.5, 1.5) * torch.tanh(
        6 * takes.sine(pitch * takes.even(1.35, 1.62) * takes.time)
    )
    shaped = takes.filtered(waves, takes.peak(pitch * takes.draw(1, 3.5), takes.draw(0.3, 2)))
    fast = takes.decay(takes.draw(0.03, 0.15))
    return shaped * (fast + takes.draw(0.1, 1) * takes.decay(takes.draw(0.1, 0.9)))


def tambourine(takes: Takes) -> Tensor:
    """Pairs of jingles that strike one another for a while after the hand has struck the frame."""
    jingles = takes.even(0, 1, 16)
    times = jingles**2 * takes.draw(0.004, 0.2)
    times = torch.cat([torch.zeros_like(times[:, :1]), times[:, 1:]], 1)
    envelope = takes.hits(times, takes.draw(0.1, 1, 16), takes.draw(0.05, 0.45))
    count = 40
    frequencies = takes.draw(3500, 10500, count)
    carrier = takes.hiss(takes.high(takes.draw(3000, 8500), 2))
    for each in range(2):  # ringing of the jingles, as beats of dense modes
        part = frequencies[:, each::2]
        carrier = carrier + takes.draw(0.5, 3) * _standing(takes, part)
    frame = takes.struck(
        takes.draw(120, 1200, 4), takes.draw(0.03, 0.15, 4), takes.draw(0.2, 1, 4), takes.draw(800, 5000)
    )
    return loudest(carrier * envelope) + takes.maybe(0.4) * takes.draw(0.01, 0.4) * loudest(frame)


def _standing(takes: Takes, frequencies: Tensor) -> Tensor:
    """Modes that do not fall, with a mean square of 1."""
    still = torch.full_like(frequencies, 1e4)
    made = takes.modes(frequencies, still, takes.draw(0.2, 1, frequencies.shape[1]))
    return steady(made)


def triangle(takes: Takes) -> Tensor:
    """A bent rod: few strong modes, high and long."""
    count = 10
    frequencies = takes.draw(900, 2200) * torch.cumsum(takes.draw(0.3, 1.6, count), 1)
    seconds = takes.draw(0.4, 5) * takes.draw(0.3, 1, count)
    return takes.struck(frequencies, seconds, takes.draw(0.1, 1, count), takes.draw(4000, 20000))


def shaker(takes: Takes) -> Tensor:
    """Many grains against a wall: soft at first, then away (Cook 1997: their number falls exponentially)."""
    response = takes.high(takes.draw(2000, 8500), 2) * takes.low(takes.draw(7000, 40000))
    response = response + takes.draw(0.1, 3) * takes.peak(takes.draw(3000, 10000), takes.draw(1, 8))
    grains = takes.hiss(response) * _grains(takes)
    attack, fall = takes.draw(0.0008, 0.09), takes.draw(0.012, 0.3)
    first = takes.gate(attack, attack + fall * 0.2, attack / 4) + takes.rise(attack) ** 2 * takes.decay(fall)
    again = takes.draw(0.08, 0.3)
    since = (takes.time - again).clamp(min=0)
    second = (since > 0) * (1 - torch.exp(-since / attack)) * torch.exp(-6.91 / fall * since)
    return grains * (first + takes.maybe(0.35) * takes.draw(0.2, 1.2) * second)


def _grains(takes: Takes) -> Tensor:
    """Amplitudes of single grains: the rarer, the rougher."""
    sparse = takes.even(0, 1)
    return torch.lerp(torch.ones_like(sparse), takes.noise().abs() ** 3 * math.sqrt(0.5), sparse)
