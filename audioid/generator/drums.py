"""Drums: skins over air, struck; and the circuits that stand for them."""

import torch
from torch import Tensor

from audioid.generator.takes import Takes, loudest

# A round membrane's modes over its lowest (Rossing, Science of Percussion Instruments, 2000, ch. 3).
MEMBRANE = (1.0, 1.59, 2.14, 2.30, 2.65, 2.92, 3.16, 3.50)


def click(takes: Takes, low: float, high: float, seconds: tuple[float, float]) -> Tensor:
    """What a stick, a beater or a circuit's start adds: a short burst in a band round a frequency from low to high."""
    made = takes.hiss(takes.peak(takes.draw(low, high), takes.draw(0.4, 2)))
    return loudest(made * takes.decay(takes.draw(*seconds)))


def membrane(takes: Takes, pitch: Tensor, seconds: Tensor, glide: Tensor, fall: Tensor, overtones: Tensor) -> Tensor:
    """A skin whose pitch falls as its tension relaxes; higher modes are weaker, out of tune and die sooner."""
    periods = takes.glide(pitch, glide, fall)
    total = takes.sine(periods) * takes.decay(seconds)
    for order, ratio in enumerate(MEMBRANE[1:], 1):
        tuned = ratio * takes.even(0.94, 1.06)
        gain = overtones**order * takes.even(0.3, 1.2)
        total = total + gain * takes.sine(tuned * periods) * takes.decay(seconds / (1 + 0.6 * order))
    return total


def acoustic_kick(takes: Takes) -> Tensor:
    """A large, low skin, the beater's click on it, and the air that it moves."""
    skin = membrane(
        takes, takes.draw(40, 95), takes.draw(0.1, 0.8), takes.draw(0.05, 3), takes.draw(0.008, 0.08),
        takes.draw(0.02, 0.45),
    )  # fmt: skip
    beater = click(takes, 900, 5000, (0.006, 0.05))
    air = loudest(takes.hiss(takes.low(takes.draw(120, 900), 2)) * takes.decay(takes.draw(0.03, 0.2)))
    return (
        loudest(skin * takes.rise(takes.draw(0.0005, 0.004)))
        + takes.draw(0.03, 0.9) * beater
        + takes.draw(0.02, 0.3) * air
    )


def electronic_kick(takes: Takes) -> Tensor:
    """A sine that falls fast from several times its pitch, often driven into a soft limit."""
    periods = takes.glide(takes.draw(32, 85), takes.draw(0.2, 14), takes.draw(0.004, 0.15))
    second = takes.draw(0.01, 0.3) * takes.sine(2 * periods + takes.even(0, 1))
    body = (takes.sine(periods) + second) * takes.decay(takes.draw(0.12, 2.0))
    body = torch.tanh(takes.draw(0.3, 5) * body)
    return loudest(body) + takes.maybe(0.8) * takes.draw(0.03, 0.9) * click(takes, 700, 7000, (0.003, 0.05))


def acoustic_tom(takes: Takes) -> Tensor:
    """A tuned skin that rings, with the stick's attack and the noise of shell and room."""
    skin = membrane(
        takes, takes.draw(60, 280), takes.draw(0.15, 1.8), takes.draw(0.02, 2.5), takes.draw(0.015, 0.15),
        takes.draw(0.1, 0.9),
    )  # fmt: skip
    stick = click(takes, 600, 8000, (0.01, 0.12))
    shell = loudest(takes.hiss(takes.low(takes.draw(300, 7000), 2)) * takes.decay(takes.draw(0.05, 0.7)))
    return loudest(skin) + takes.draw(0.05, 0.9) * stick + takes.draw(0.04, 1.5) * shell


def electronic_tom(takes: Takes) -> Tensor:
    """A voltage-controlled oscillator that falls slowly, with a breath of noise for the skin."""
    pitch = takes.draw(50, 400)
    periods = takes.glide(pitch, takes.draw(0.02, 7), takes.draw(0.02, 0.4))
    third = takes.maybe(0.5) * takes.draw(0.03, 0.4) * takes.sine(3 * periods)
    second = takes.draw(0.01, 0.5) * takes.sine(takes.even(1.4, 2.1) * periods)
    seconds = takes.draw(0.2, 1.5)
    body = (takes.sine(periods) + third + second) * takes.decay(seconds)
    breath = takes.hiss(takes.peak(takes.draw(300, 4000), takes.draw(0.4, 2))) * takes.decay(
        seconds * takes.draw(0.1, 0.9)
    )
    return (
        loudest(body)
        + takes.maybe(0.8) * takes.draw(0.04, 1) * loudest(breath)
        + takes.draw(0.02, 0.7) * click(takes, 600, 6000, (0.005, 0.05))
    )


def synthesizer_tom(takes: Takes) -> Tensor:
    """A tone that falls from far above, as synthesizers have it."""
    periods = takes.glide(takes.draw(45, 350), takes.draw(0.5, 14), takes.draw(0.015, 0.25))
    number = torch.arange(1, 9, device=takes.time.device)
    gains = number ** -takes.even(1, 4) * takes.even(0, 1, 8)
    body = takes.sine(periods)
    for harmonic in range(1, 8):
        body = body + gains[:, harmonic : harmonic + 1] * takes.sine((harmonic + 1) * periods)
    seconds = takes.draw(0.1, 1.2)
    breath = loudest(takes.hiss(takes.peak(takes.draw(400, 5000), takes.draw(0.3, 2))) * takes.decay(seconds))
    return loudest(body * takes.decay(seconds)) + takes.maybe(0.7) * takes.draw(0.01, 0.7) * breath


def acoustic_snare(takes: Takes) -> Tensor:
    """A skin, and the wires under it, which rattle on for longer."""
    skin = membrane(
        takes, takes.draw(130, 330), takes.draw(0.06, 0.45), takes.draw(0.02, 0.4), takes.draw(0.01, 0.04),
        takes.draw(0.3, 0.95),
    )  # fmt: skip
    response = takes.high(takes.draw(200, 2500)) * takes.low(takes.draw(2500, 14000))
    wires = loudest(takes.hiss(response) * takes.decay(takes.draw(0.08, 0.7)) * takes.rise(takes.draw(0.0003, 0.004)))
    return loudest(skin) + takes.draw(0.2, 3) * wires + takes.draw(0.05, 0.8) * click(takes, 1000, 7000, (0.006, 0.05))


def electronic_snare(takes: Takes) -> Tensor:
    """Two sines for the skin's two lowest modes, and noise for the wires."""
    pitch, ratio = takes.draw(90, 360), takes.even(1.4, 2.2)
    glide, fall, seconds = takes.draw(0.02, 6), takes.draw(0.005, 0.2), takes.draw(0.04, 0.5)
    periods = takes.glide(pitch, glide, fall)
    body = takes.sine(periods) * takes.decay(seconds)
    body = body + takes.draw(0.1, 1) * takes.sine(ratio * periods) * takes.decay(seconds * takes.draw(0.3, 1))
    response = takes.high(takes.draw(200, 3500), 2) * takes.low(takes.draw(4000, 11000))
    wires = takes.hiss(response) * takes.decay(takes.draw(0.08, 0.8))
    return loudest(body) + takes.draw(0.08, 4) * loudest(wires)


def synthesizer_snare(takes: Takes) -> Tensor:
    """A falling tone under as much noise, which falls with it or stays until it is cut."""
    periods = takes.glide(takes.draw(70, 350), takes.draw(0.3, 10), takes.draw(0.02, 0.3))
    seconds = takes.draw(0.12, 1.2)
    number = torch.arange(1, 5, device=takes.time.device)
    gains = number ** -takes.even(1, 4)
    body = sum(gains[:, k - 1 : k] * takes.sine(k * periods) for k in range(1, 5)) * takes.decay(seconds)
    wide = takes.high(takes.draw(100, 3000)) * takes.low(takes.draw(2500, 12000))
    noise = takes.hiss(wide + takes.draw(0.05, 2) * takes.peak(takes.draw(500, 6000), takes.draw(0.5, 3)))
    return loudest(body) + takes.draw(0.3, 4) * loudest(noise * takes.decay(seconds * takes.draw(0.4, 3)))


def hand_drum(takes: Takes) -> Tensor:
    """Congas, bongos, tablas: high, tuned skins that hands stop or let ring."""
    skin = membrane(
        takes, takes.draw(180, 800), takes.draw(0.05, 0.4), takes.draw(0.01, 0.25), takes.draw(0.01, 0.05),
        takes.draw(0.2, 0.8),
    )  # fmt: skip
    slap = click(takes, 700, 4000, (0.008, 0.06))
    return loudest(skin) + takes.draw(0.1, 1.2) * slap


def rimshot(takes: Takes) -> Tensor:
    """A stick across the rim: a few woody modes of stick, rim and shell, gone in some hundredths of a second."""
    low = takes.draw(180, 1100)
    ratios = torch.cat([torch.ones_like(low), takes.draw(1.3, 10, 7)], 1)
    seconds = takes.draw(0.02, 0.2) * takes.even(0.3, 1, 8)
    body = takes.struck(low * ratios, seconds, takes.draw(0.1, 1, 8), takes.draw(3000, 20000))
    body = takes.filtered(body, takes.high(takes.draw(80, 1200)))
    crack = loudest(takes.hiss(takes.high(takes.draw(200, 3000)) * takes.low(takes.draw(3000, 14000))))
    crack = crack * takes.decay(takes.draw(0.02, 0.25))
    return (
        loudest(body) + takes.draw(0.1, 1.5) * click(takes, 1200, 6000, (0.004, 0.04)) + takes.draw(0.02, 1.5) * crack
    )


def electronic_rimshot(takes: Takes) -> Tensor:
    """Two ringing circuits, a low and a high one, driven hard."""
    frequencies = torch.cat([takes.draw(350, 900), takes.draw(1200, 2600)], 1)
    body = takes.modes(frequencies, takes.draw(0.012, 0.08, 2), takes.draw(0.3, 1, 2))
    return torch.tanh(takes.draw(1, 8) * loudest(body)) + takes.draw(0.02, 0.3) * click(
        takes, 1500, 7000, (0.003, 0.02)
    )


def clap(takes: Takes) -> Tensor:
    """Several hands, some milliseconds apart, then the room's answer."""
    gap, n_hands = takes.draw(0.005, 0.018), 6
    jitter = takes.fresh(0.7, 1.3, n_hands)
    times = torch.cumsum(gap * jitter, 1) - gap * jitter[:, :1]
    number = torch.arange(n_hands, device=times.device)
    there = (number < takes.even(1, n_hands + 0.99)).float()
    hands = takes.hits(times, there * takes.even(0.5, 1, n_hands), gap * takes.draw(0.8, 4))
    last = (times * there).amax(1, keepdim=True)
    tail = (takes.time >= last) * torch.exp(-6.91 / takes.draw(0.06, 0.6) * (takes.time - last).clamp(min=0))
    centre = takes.draw(700, 2600)
    wide = takes.high(centre * takes.draw(0.3, 0.9)) * takes.low(centre * takes.draw(1.1, 5))
    response = wide + takes.draw(0.1, 2) * takes.peak(centre, takes.draw(1, 6))
    return takes.hiss(response) * (hands + takes.draw(0.05, 0.8) * tail)
