import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve
from torch import Tensor, nn

from audioid.config import compose
from audioid.training import augment
from audioid.training.augment import Augment, Filter, Noise, PitchAndSpeed, Room
from audioid.training.module import ClassifierModule

RATE = 16000
TIME = torch.arange(RATE) / RATE
IMAGE = {"size": 50, "amplitude_scale": "decibel", "decibel_range": 80.0}
RANGE = 80.0


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


def sound_settings(**changes: Any) -> dict[str, Any]:
    return asdict(compose(["augment=none"]).augment) | changes


# Sounds


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


def test_filter_gains_are_those_asked_for() -> None:
    points = 50 * (8000 / 50) ** (np.arange(6) / 5)
    gains = torch.tensor([[6.0, -3.0, 9.0, 0.0, -9.0, 2.0]])
    waveform = torch.cat([tone(float(frequency)) for frequency in points[:-1]]) * torch.hann_window(RATE)
    filtered = augment.equalize(waveform, gains.expand(5, -1), RATE)
    torch.testing.assert_close(decibel(energy(filtered) / energy(waveform)), gains[0, :5], rtol=0, atol=0.15)
    assert torch.allclose(augment.equalize(waveform, torch.zeros(5, 6), RATE), waveform, atol=1e-5)


def test_filter_has_no_delay() -> None:
    click = torch.zeros(1, RATE)
    click[0, 5000] = 1
    assert augment.equalize(click, torch.tensor([[9.0, -9, 9, -9, 9, -9]]), RATE).argmax() == 5000


def test_room_falls_by_60_decibels_in_time() -> None:
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


def test_room_is_a_convolution_that_keeps_the_order_of_energies() -> None:
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
    ratio = decibel(energy(waveform) / energy(Noise(1.0, 10.0)(waveform) - waveform))
    assert ((ratio > 9.99) & (ratio < 40.01)).all()
    assert ratio.std() == pytest.approx(30 / math.sqrt(12), rel=0.2)  # even between 10 and 40 dB


def test_noise_leaves_silence_silent() -> None:
    assert torch.equal(Noise(1.0, 10.0)(torch.zeros(2, RATE)), torch.zeros(2, RATE))


CHANGES: list[Callable[[float], nn.Module]] = [
    lambda share: PitchAndSpeed(share, 2.0, 0.0, RATE),
    lambda share: PitchAndSpeed(share, 0.0, 0.1, RATE),
    lambda share: Filter(share, 9.0, RATE),
    lambda share: Room(share, 0.3, RATE),
    lambda share: Noise(share, 15.0),
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


# Images


def test_time_shift_moves_columns_and_brings_in_silence() -> None:
    images = torch.rand(3, 1, 4, 10) + 0.1
    shifted = augment.shift_columns(images, torch.tensor([2, -3, 0]))
    assert torch.equal(shifted[0, ..., 2:], images[0, ..., :-2])
    assert torch.equal(shifted[0, ..., :2], torch.zeros(1, 4, 2))
    assert torch.equal(shifted[1, ..., :-3], images[1, ..., 3:])
    assert torch.equal(shifted[1, ..., -3:], torch.zeros(1, 4, 3))
    assert torch.equal(shifted[2], images[2])


@pytest.mark.parametrize("amplitude_scale", ["decibel", "magnitude", "signed"])
def test_gain_is_that_many_decibels(amplitude_scale: str) -> None:
    amplitude = torch.tensor([0.01, 0.1, 0.3]).reshape(1, 1, 3, 1)
    images = 1 + 20 * torch.log10(amplitude) / RANGE if amplitude_scale == "decibel" else amplitude
    louder = augment.change_level(images, torch.tensor([6.0]), amplitude_scale, RANGE)
    back = 10 ** ((louder - 1) * RANGE / 20) if amplitude_scale == "decibel" else louder
    torch.testing.assert_close(20 * torch.log10(back / amplitude), torch.full((1, 1, 3, 1), 6.0), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("amplitude_scale", "low", "high"), [("decibel", 0, 1), ("signed", -1, 1), ("magnitude", -60, 60)]
)
def test_gain_stays_in_the_range_of_the_scale(amplitude_scale: str, low: float, high: float) -> None:
    images = torch.linspace(max(low, -1), 1, 50).reshape(1, 1, 50, 1)
    for change in (-30.0, 30.0):
        changed = augment.change_level(images, torch.tensor([change]), amplitude_scale, RANGE)
        assert changed.min() >= low
        assert changed.max() <= high
        assert torch.equal(changed[images == 0], images[images == 0])  # silence stays


def applied(images: Tensor, **changes: Any) -> Tensor:
    module = Augment(sound_settings(**changes), nn.Identity(), image=IMAGE, sample_rate=RATE, classes=3)
    assert not module.of_sound
    return module(images, torch.zeros(len(images), dtype=torch.long))[0]


@pytest.mark.parametrize(("key", "axis"), [("frequency_mask", 3), ("time_mask", 2)])
def test_masks_blank_one_band_of_their_own_in_each_image(key: str, axis: int) -> None:
    masked = applied(torch.ones(300, 1, 50, 50), **{key: 0.2}) == 0
    band = masked.all(axis)[:, 0]  # (batch, rows or columns)
    assert torch.equal(masked.any(axis)[:, 0], band)  # whole rows or whole columns
    widths = band.sum(1)
    assert widths.max() == 10
    assert widths.min() == 0
    edges = band.int().diff(dim=1).abs().sum(1)
    assert edges.max() <= 2  # in one piece
    assert len({tuple(row.tolist()) for row in band}) > 100


def test_image_changes_differ_within_a_batch() -> None:
    same = torch.rand(1, 1, 50, 50).expand(8, -1, -1, -1)
    for changes in ({"time_shift": 0.4}, {"gain_db": 6.0}):
        assert len({tuple(image.flatten().tolist()) for image in applied(same, **changes)}) > 4


def test_mixup_mixes_images_and_targets_alike() -> None:
    targets = torch.arange(5)
    images = targets.float().reshape(5, 1, 1, 1).expand(-1, 1, 4, 4)
    mixed, probabilities = augment.mixup(images, targets, 0.5, 5)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(5))
    expected = (probabilities * targets).sum(1)  # an image of class c has the value c
    torch.testing.assert_close(mixed[:, 0, 0, 0], expected)
    assert mixed[:, 0].var((1, 2)).max() < 1e-12
    # Each keeps the share of itself that Beta gives it, different ones within the batch.
    assert len({round(float(row.max()), 5) for row in probabilities}) > 2


def test_mixup_shares_follow_beta() -> None:
    targets = torch.zeros(20000, dtype=torch.long)
    targets[:10000] = 1
    images = targets.float().reshape(-1, 1, 1, 1)
    _, probabilities = augment.mixup(images, targets, 0.4, 2)
    certain = ((probabilities > 0.999) | (probabilities < 0.001)).all(1).float().mean()
    from scipy.stats import beta

    # Half of the partners are of the same class, which mixing does not change.
    tails = beta.cdf(0.001, 0.4, 0.4) + beta.sf(0.999, 0.4, 0.4)
    assert float(certain) == pytest.approx(0.5 + 0.5 * tails, abs=0.02)


# The whole


class Level(nn.Module):
    """A picture whose values all are the clip's level."""

    def forward(self, waveform: Tensor) -> Tensor:
        return waveform.abs().mean(1).reshape(-1, 1, 1, 1).expand(-1, 1, 50, 50)


def built(option: str, *overrides: str) -> Augment:
    settings = compose([f"augment={option}", *overrides])
    return Augment(asdict(settings.augment), Level(), image=IMAGE, sample_rate=RATE, classes=3)


def test_none_changes_nothing() -> None:
    images, targets = torch.rand(4, 1, 50, 50), torch.tensor([0, 1, 2, 1])
    module = built("none")
    assert not module.of_sound
    assert module(images, targets)[0] is images
    assert module(images, targets)[1] is targets


@pytest.mark.parametrize("option", ["sound", "full"])
def test_sound_options_take_waveforms(option: str) -> None:
    module = built(option)
    assert module.of_sound
    images, targets = module(bursts(4), torch.tensor([0, 1, 2, 1]))
    assert images.shape == (4, 1, 50, 50)
    assert targets.shape == ((4, 3) if option == "full" else (4,))


@pytest.mark.parametrize("option", ["specaugment", "sound", "full"])
def test_a_seed_repeats_the_draws(option: str) -> None:
    module, targets = built(option), torch.tensor([0, 1, 2, 1])
    batch = bursts(4) if module.of_sound else torch.rand(4, 1, 50, 50)
    torch.manual_seed(3)
    first = module(batch, targets)
    second = module(batch, targets)
    torch.manual_seed(3)
    again = module(batch, targets)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("pitch_semitones", 2), ("speed", 0.1), ("eq_db", 9), ("reverb_seconds", 0.2), ("min_snr_db", 0), ("p", 0.9)),
        *(("time_shift", 0.3), ("gain_db", 6), ("frequency_mask", 0.3), ("time_mask", 0.3), ("mixup", 0.4)),
    ],
)
def test_every_key_has_effect(key: str, value: float) -> None:
    base = ["augment.min_snr_db=0"] if key == "p" else []
    plain, changed = built("none", *base), built("none", *base, f"augment.{key}={value}")
    rows = bursts(16) if changed.of_sound else torch.rand(16, 1, 50, 50)
    targets = torch.arange(16) % 3
    torch.manual_seed(1)
    before = Level()(rows) if changed.of_sound and not base else plain(rows, targets)[0]
    torch.manual_seed(1)
    assert not torch.equal(changed(rows, targets)[0], before)


def test_validation_is_not_augmented(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ClassifierModule(nn.Identity(), built("full"), optimizer={}, scheduler={}, seed=0)
    seen: dict[str, Tensor] = {}
    monkeypatch.setattr(module, "_step", lambda part, images, targets: seen.update({part: images}))
    images, targets = torch.rand(2, 1, 50, 50), torch.tensor([0, 1])
    module.validation_step((images, targets))
    assert seen["val"] is images
    module.training_step((bursts(2), targets))
    assert seen["train"].shape == images.shape


def test_runs_where_only_deterministic_operations_are_allowed() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        images, _ = built("full")(bursts(4), torch.tensor([0, 1, 2, 1]))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.isfinite(images).all()
