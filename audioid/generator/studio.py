"""From an instrument to a recording of it: room, microphone, circuits, converter and the habits of who cuts it."""

import torch
from torch import Tensor

from audioid.generator.takes import Takes, loudest


def recorded(takes: Takes, signal: Tensor) -> Tensor:
    """The sound `(batch, time)` as a maker's studio leaves it, peak at most 1."""
    late = takes.fresh(0, 1) ** 4 * 0.04  # seconds
    signal = takes.filtered(signal, _microphone(takes) * takes.delay(late))
    signal = loudest(_in_room(takes, signal))
    drive = takes.draw(0.05, 4)
    signal = loudest(torch.tanh(drive * signal))
    signal = _faded(takes, _sampled(takes, signal))
    floored = loudest(_with_floor(takes, signal))
    return takes.draw(0.05, 0.99) * _trimmed(takes, floored, signal)


def _microphone(takes: Takes) -> Tensor:
    """A band, and what presence, nearness and equalisers raise or lower."""
    response = takes.high(takes.draw(8, 120)) * takes.low(takes.draw(5000, 60000))
    for low, high in ((50, 200), (200, 900), (900, 3500), (3500, 10000)):
        gain = 10 ** (takes.even(-9, 12) / 20) - 1
        response = response * (1 + takes.maybe(0.5) * gain * takes.peak(takes.draw(low, high), takes.draw(0.4, 3)))
    return response


def _in_room(takes: Takes, signal: Tensor) -> Tensor:
    """With what the room answers, in half of the studios: noise that falls, high frequencies first."""
    there = takes.maybe(0.55)[:, 0] > 0
    share, seconds, before = takes.draw(0.02, 0.8), takes.draw(0.05, 1.2), takes.draw(0.0005, 0.02)
    darker, dark = takes.draw(0.1, 2), takes.even(0, 0.95)
    some = takes.only(there, n_samples=takes.n_fft - takes.n_samples)
    if not there.any():  # as where one sound is made alone
        return signal
    noise = some.noise()
    answer = torch.lerp(
        noise,
        (noise + noise.roll(1, 1) + noise.roll(2, 1)) / 2,
        some.rise((seconds * darker)[there]) * dark[there],
    )
    answer = answer * some.decay(seconds[there]) * (some.time >= before[there])
    answer = answer * (share[there] / answer.square().sum(1, keepdim=True).sqrt())
    signal = signal.clone()
    signal[there] += takes.convolved(signal[there], answer)
    return signal


def _sampled(takes: Takes, signal: Tensor) -> Tensor:
    """Some makers store few samples of few bits: steps in time, whose images stay audible, and in level."""
    is_held, step = takes.maybe(0.2)[:, 0] > 0, takes.draw(1.05, 3.5)
    is_rough, levels = takes.maybe(0.3)[:, 0] > 0, 2 ** takes.even(5.5, 12)
    signal = signal.clone()
    place = torch.arange(takes.n_samples, device=signal.device)
    held = ((place / step[is_held]).floor() * step[is_held]).long()
    signal[is_held] = signal[is_held].gather(1, held)
    signal[is_rough] = torch.round(signal[is_rough] * levels[is_rough]) / levels[is_rough]
    return signal


def _faded(takes: Takes, signal: Tensor) -> Tensor:
    """Faded out, by half of those who cut samples, where the sound has lost much of its loudness but not all."""
    never = 10 * (1 - takes.maybe(0.5))
    end = _end(takes, signal, 10 ** (takes.even(-40, -8) / 20)) / takes.sample_rate
    return signal * torch.sigmoid((never + end - takes.time) / takes.draw(0.001, 0.05))


def _with_floor(takes: Takes, signal: Tensor) -> Tensor:
    """With noise, mostly far below the sound: of air, amplifiers, tape; some of it hums."""
    level = 10 ** ((takes.even(0, 1) ** 1.5 * 80 - 105) / 20)
    return signal + level * takes.hiss(takes.low(takes.draw(300, 20000)) * (1 + takes.draw(0.1, 10) * takes.low(200.0)))


def _trimmed(takes: Takes, signal: Tensor, clean: Tensor) -> Tensor:
    """Cut off, by most, where the sound has fallen below a threshold for good; the floor goes with it."""
    never = takes.n_samples * (1 - takes.maybe(0.65))
    return signal * (takes.time * takes.sample_rate <= never + _end(takes, clean, 10 ** (takes.even(-65, -28) / 20)))


def _end(takes: Takes, signal: Tensor, share: Tensor) -> Tensor:
    """The last sample `(batch, 1)` above this share of the peak."""
    place = torch.arange(takes.n_samples, device=signal.device)
    return torch.where(signal.abs() > share * signal.abs().amax(1, keepdim=True), place, 0).amax(1, keepdim=True)
