import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve
from torch import Tensor, nn

from audioid.training import waveform_augmentation as augment
from audioid.training.waveform_augmentation import AddNoise, Equalizer, PitchAndSpeed, Reverb

RATE = 16000
TIME = torch.arange(RATE) / RATE


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def tone(*frequencies: float) -> Tensor:
    """A tone of each frequency, (batch, time)."""
    return torch.stack([torch.sin(2 * math.pi * frequency * TIME) for frequency in frequencies])


def bursts(count: int) -> Tensor:
    """Noise that decays, as struck instruments do, (batch, time)."""
    return torch.randn(count, RATE) * torch.exp(-8 * TIME)


def peak(waveform: Tensor) -> Tensor:
    """The frequency of each strongest spectral line, interpolated, (batch,)."""
    middle = waveform[:, RATE // 8 : RATE * 3 // 4]
    power = torch.fft.rfft(middle * torch.hann_window(middle.shape[1]), 2**17).abs()
    return power.argmax(1) * RATE / 2**17


def decibel(ratio: Tensor) -> Tensor:
    return 10 * torch.log10(ratio)


def energy(waveform: Tensor) -> Tensor:
    return waveform.square().sum(1)


def test_pitch_moves_tones_and_keeps_their_length_and_level() -> None:
    semitones = torch.tensor([-7.0, -1.0, 0.0, 2.0, 12.0])
    waveform = tone(440, 1000, 300, 523.25, 880) * (TIME < 0.8)
    shifted = augment.shift_pitch(waveform, semitones, RATE)
    wanted = torch.tensor([440, 1000, 300, 523.25, 880]) * 2 ** (semitones / 12)
    torch.testing.assert_close(peak(shifted), wanted, rtol=2e-3, atol=0)
    sounding = shifted.abs() > 0.1
    ends = torch.tensor([float(TIME[row].max()) for row in sounding])
    torch.testing.assert_close(ends, torch.full((5,), 0.8), rtol=0, atol=0.05)
    level = decibel(energy(shifted) / energy(waveform))
    assert level.abs().max() < 1.5  # its bins lose some of their agreement in phase


def test_no_pitch_change_is_the_same_sound() -> None:
    waveform = bursts(2)
    inner = slice(0, RATE - 100)
    shifted = augment.shift_pitch(waveform, torch.zeros(2), RATE)
    torch.testing.assert_close(shifted[:, inner], waveform[:, inner], rtol=0, atol=2e-3)


def test_speed_moves_pitch_and_duration() -> None:
    factor = torch.tensor([0.8, 1.0, 1.25])
    waveform = tone(1000, 1000, 1000) * (TIME < 0.5)
    played = augment.change_speed(waveform, factor)
    torch.testing.assert_close(peak(played), 1000 * factor, rtol=1e-3, atol=0)
    ends = torch.tensor([float(TIME[row].max()) for row in played.abs() > 0.1])
    torch.testing.assert_close(ends, 0.5 / factor, rtol=0, atol=0.002)


def test_speed_is_band_limited_interpolation() -> None:
    """A tone sampled at other times is the tone of another frequency, to -50 dB of its amplitude."""
    factor = torch.tensor([0.9, 1.1, 1.3])
    played = augment.change_speed(tone(3000, 2000, 500), factor)
    inner = slice(500, RATE * 2 // 3)
    wanted = tone(3000 * 0.9, 2000 * 1.1, 500 * 1.3)
    torch.testing.assert_close(played[:, inner], wanted[:, inner], rtol=0, atol=3e-3)


def test_speed_lets_nothing_alias() -> None:
    played = augment.change_speed(tone(7000), torch.tensor([1.3]))  # would be 9100 Hz, heard at 6900 Hz
    assert energy(played[:, 500 : RATE * 2 // 3]) < 1e-4 * RATE


def test_speed_keeps_its_place_in_long_clips() -> None:
    waveform = torch.zeros(1, 3_000_000)
    waveform[0, 2_800_000] = 1
    played = augment.change_speed(waveform, torch.tensor([1.0]))
    assert played.argmax() == 2_800_000


def test_equalizer_gains_are_those_asked_for() -> None:
    points = 50 * (8000 / 50) ** (np.arange(6) / 5)
    gains = torch.tensor([[6.0, -3.0, 9.0, 0.0, -9.0, 2.0]])
    waveform = torch.cat([tone(float(frequency)) for frequency in points[:-1]]) * torch.hann_window(RATE)
    filtered = augment.equalize(waveform, gains.expand(5, -1), RATE)
    torch.testing.assert_close(decibel(energy(filtered) / energy(waveform)), gains[0, :5], rtol=0, atol=0.15)
    assert torch.allclose(augment.equalize(waveform, torch.zeros(5, 6), RATE), waveform, atol=1e-5)


def test_equalizer_has_no_delay() -> None:
    click = torch.zeros(1, RATE)
    click[0, 5000] = 1
    assert augment.equalize(click, torch.tensor([[9.0, -9, 9, -9, 9, -9]]), RATE).argmax() == 5000


def test_reverb_falls_by_60_decibels_in_time() -> None:
    seconds = torch.tensor([0.1, 0.2, 0.3])
    response = augment.room_response(seconds, torch.tensor([0.0, -10.0, -20.0]), round(0.3 * RATE), RATE)
    torch.testing.assert_close(energy(response), torch.ones(3))
    direct, rest = response[:, :1], response[:, 1:]
    torch.testing.assert_close(decibel(energy(rest) / energy(direct)), torch.tensor([0.0, -10.0, -20.0]))
    # The energy that is still to come (Schroeder 1965) falls along a straight line of decibels.
    for row, length in zip(rest, seconds, strict=True):
        left = row.square().flip(0).cumsum(0).flip(0)
        start, end = left[0], left[int(length * RATE / 3)]
        assert float(decibel(start / end)) == pytest.approx(20, abs=1.5)


def test_reverb_is_a_convolution_that_keeps_the_order_of_energies() -> None:
    waveform = bursts(3) * torch.tensor([[1.0], [3.0], [0.3]])
    response = augment.room_response(torch.full((3,), 0.2), torch.full((3,), -3.0), 2000, RATE)
    reverberant = augment.reverberate(waveform, response)
    wanted = fftconvolve(waveform[1].numpy(), response[1].numpy())[:RATE]
    np.testing.assert_allclose(reverberant[1], wanted, atol=1e-4)
    assert energy(reverberant).argsort().tolist() == energy(waveform).argsort().tolist()


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_has_the_slope_asked_for(slope: float) -> None:
    noise = augment.colored_noise(torch.empty(20, RATE), torch.full((20,), slope))
    power = torch.fft.rfft(noise).abs().square().mean(0)
    octaves = torch.stack([power[low : 2 * low].mean() for low in (100, 200, 400, 800, 1600)])
    torch.testing.assert_close(decibel(octaves).diff(), torch.full((4,), -3.01 * slope), rtol=0, atol=0.7)


def test_noise_is_as_loud_as_drawn() -> None:
    waveform = bursts(200)
    ratio = decibel(energy(waveform) / energy(AddNoise(1.0, 10.0)(waveform) - waveform))
    assert ((ratio > 9.99) & (ratio < 40.01)).all()
    assert ratio.std() == pytest.approx(30 / math.sqrt(12), rel=0.2)  # even between 10 and 40 dB


def test_noise_leaves_silence_silent() -> None:
    assert torch.equal(AddNoise(1.0, 10.0)(torch.zeros(2, RATE)), torch.zeros(2, RATE))


CHANGES: list[Callable[[float], nn.Module]] = [
    lambda p: PitchAndSpeed(p, 2.0, 0.0, RATE),
    lambda p: PitchAndSpeed(p, 0.0, 0.1, RATE),
    lambda p: Equalizer(p, 9.0, RATE),
    lambda p: Reverb(p, 0.3, RATE),
    lambda p: AddNoise(p, 15.0),
]


@pytest.mark.parametrize("change", CHANGES)
def test_each_recording_draws_its_own_values(change: Callable[[float], nn.Module]) -> None:
    same = bursts(1).expand(6, -1)
    changed = change(1.0)(same)
    assert changed.shape == same.shape
    assert len({tuple(row.tolist()) for row in changed}) == 6
    assert torch.isfinite(changed).all()


@pytest.mark.parametrize("change", CHANGES)
def test_a_share_of_the_recordings_is_changed(change: Callable[[float], nn.Module]) -> None:
    waveform = bursts(60)
    before = waveform.clone()
    changed = (change(0.5)(waveform) != waveform).any(1)
    assert torch.equal(waveform, before)  # the batch itself stays
    assert 15 < int(changed.sum()) < 45
    assert torch.equal(change(1e-9)(waveform), waveform)


@pytest.mark.parametrize("change", CHANGES)
def test_silence_and_very_short_clips(change: Callable[[float], nn.Module]) -> None:
    assert torch.equal(change(1.0)(torch.zeros(2, RATE)), torch.zeros(2, RATE))
    assert torch.isfinite(change(1.0)(torch.randn(2, 48))).all()
