import numpy as np
import pytest
import torch
from scipy import signal, stats
from torch import Tensor

from audioid.generator.chance import key, mixed, uniform
from audioid.generator.generator import AT_ONCE, Generator
from audioid.generator.kinds import KINDS
from audioid.generator.takes import Takes, keys

RATE, N_SAMPLES = 22050, 11025
PLACES = torch.arange(len(KINDS))


def takes(batch: int = 2) -> Takes:
    """Always the same draws, so that what was drawn within can be drawn again."""
    return Takes(*keys(3, 1, torch.arange(batch), torch.zeros(batch)), RATE, N_SAMPLES, 0.2)


def generator(seed: int = 5) -> Generator:
    return Generator(seed=seed, sample_rate=RATE, seconds=0.5)


def lowbias32(number: int) -> int:
    """Wellons' hash in unbounded integers."""
    number ^= number >> 16
    number = number * 0x7FEB352D & 0xFFFFFFFF
    number ^= number >> 15
    number = number * 0x846CA68B & 0xFFFFFFFF
    return number ^ number >> 16


def test_chance_is_the_published_hash() -> None:
    numbers = [0, 1, -1, 2**31 - 1, -(2**31), 123456789, -987654321]
    found = mixed(torch.tensor(numbers, dtype=torch.int32)).tolist()
    assert [value & 0xFFFFFFFF for value in found] == [lowbias32(value & 0xFFFFFFFF) for value in numbers]


def test_chance_is_uniform_and_neighbours_have_nothing_in_common() -> None:
    count = 300
    drawn = uniform(key(0, 1, torch.arange(count)), 0, count).double().numpy()
    assert 0 <= drawn.min() < drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 0.001
    centred = (drawn - 0.5) * np.sqrt(12)
    assert (centred**2).mean() == pytest.approx(1, abs=4 * np.sqrt(0.8) / count)  # variance of the square is 0.8
    for first, second in ((centred[1:], centred[:-1]), (centred[:, 1:], centred[:, :-1])):  # of keys, of positions
        assert abs((first * second).mean()) < 4 / count


def test_keys_depend_on_every_part_and_on_their_order() -> None:
    parts = [(1, 2, 3), (2, 1, 3), (1, 2, 4), (1, 3, 3), (2**40 + 1, 2, 3), (-1, 2, 3)]
    found = [int(key(*part)) for part in parts]
    assert len({*found}) == len(parts) - 1  # 32 bits of each part count
    assert found[4] == found[0]


def test_draws_later_on_are_those_of_a_longer_draw() -> None:
    some = key(9, torch.arange(4))
    assert torch.equal(uniform(some, 0, 100)[:, 40:60], uniform(some, 40, 20))


def assert_same(found: Tensor, wanted: Tensor) -> None:
    """To rounding; a converter of few bits makes a whole step of that, in some sample now and then (with PyTorch 2.6 in
    three of ten thousand, with 2.11 in fewer than two)."""
    apart = (found - wanted).abs()
    assert apart.max() < 0.05
    assert (apart > 1e-4).double().mean() < 5e-4


def test_same_seed_same_sounds_alone_or_in_a_batch_and_another_seed_others() -> None:
    kinds = PLACES.repeat(2)
    makers = torch.arange(len(kinds)) % 5
    none = torch.zeros_like(makers)
    together = generator().sounds(kinds, makers, none)
    assert torch.equal(generator().sounds(kinds, makers, none), together)
    back = generator().sounds(kinds.flip(0), makers.flip(0), none).flip(0)
    assert_same(back, together)
    for place in range(0, len(kinds), 7):
        alone = generator().sounds(kinds[[place]], makers[[place]], none[[place]])[0]
        assert_same(alone, together[place])
    other = generator(6).sounds(kinds, makers, none)
    assert ((other - together).abs().amax(1) > 0.01).all()


def test_more_sounds_of_a_kind_than_are_made_at_once() -> None:
    makers = torch.arange(AT_ONCE + 3)
    together = generator().sounds(torch.zeros_like(makers), makers, torch.zeros_like(makers))
    last = generator().sounds([0], makers[-1:], torch.zeros(1, dtype=torch.int64))
    assert_same(last[0], together[-1])


def test_every_sound_is_finite_and_within_range() -> None:
    kinds = PLACES.repeat_interleave(4)
    sounds = generator().sounds(kinds, torch.arange(len(kinds)), torch.zeros_like(kinds))
    assert sounds.shape == (len(kinds), N_SAMPLES)
    assert sounds.dtype == torch.float32
    assert sounds.isfinite().all()
    assert (sounds.abs().amax(1) <= 1).all()


def test_modes_are_the_sum_of_damped_sines() -> None:
    frequencies = torch.tensor([[100.0, 1234.5, 9000.0, 30_000.0], [55.0, 440.0, 441.0, 5000.0]])
    seconds = torch.tensor([[0.1, 1.0, 0.02, 1.0], [3.0, 0.5, 0.5, 0.05]])
    gains = torch.tensor([[1.0, 0.5, 2.0, 9.0], [0.3, 1.0, 1.0, 0.7]])
    found = takes().modes(frequencies, seconds, gains)
    time = np.arange(N_SAMPLES) / RATE
    f, t, g = (part.double().numpy()[..., None] for part in (frequencies, seconds, gains))
    damped = g * np.sin(2 * np.pi * f * time) * 10 ** (-3 * time / t)
    damped[0, 3] = 0  # beyond half the sample rate
    np.testing.assert_allclose(found, damped.sum(1), atol=2e-3)


def test_a_tone_is_the_sum_of_its_harmonics() -> None:
    some, again = takes(), takes()
    time = torch.arange(N_SAMPLES, dtype=torch.float64) / RATE
    pitch = torch.tensor([[220.0], [1500.0]])
    gains = torch.tensor([[1.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.0, 0.3]]).repeat(2, 1)
    found = some.tone((pitch * time).float(), pitch, gains)
    phase = again.even(0, 2 * np.pi, 8).double()
    number = torch.arange(1, 9)
    audible = gains * (number * pitch < RATE / 2)
    angle = 2 * np.pi * number[:, None] * (pitch * time)[:, None] + phase[..., None]
    direct = (audible[..., None] * torch.cos(angle)).sum(1)
    assert audible[1, 7] == 0 < audible[0, 7]
    np.testing.assert_allclose(found, direct, atol=5e-3)


@pytest.mark.parametrize("name", ["low", "low twice", "high", "peak"])
def test_filters_are_the_circuits_bilinear_transform(name: str) -> None:
    some, cutoff, quality = takes(1), 1000.0, 2.0
    once = {kind: signal.butter(1, cutoff, kind, fs=RATE) for kind in ("low", "high")}
    response: Tensor
    match name:
        case "low":
            response, (b, a) = some.low(cutoff), once["low"]
        case "low twice":
            response, (b, a) = some.low(cutoff, 2), [np.polymul(part, part) for part in once["low"]]
        case "high":
            response, (b, a) = some.high(cutoff), once["high"]
        case _:
            w = 2 * RATE * np.tan(np.pi * cutoff / RATE)
            response = some.peak(torch.tensor([[cutoff]]), quality)
            b, a = signal.bilinear([w / quality, 0], [1, w / quality, w**2], RATE)
    noise = some.noise()
    found = some.filtered(noise, torch.atleast_2d(response))
    np.testing.assert_allclose(found, signal.lfilter(b, a, noise.double().numpy()), atol=2e-4)


def test_a_delay_is_of_whole_samples() -> None:
    some = takes(1)
    noise = some.noise()
    found = some.filtered(noise, some.delay(torch.tensor([[300.2 / RATE]])))
    np.testing.assert_allclose(found[:, 300:], noise[:, :-300], atol=1e-4)
    np.testing.assert_allclose(found[:, :300], 0, atol=1e-4)


def test_envelopes_fall_and_rise_as_they_say() -> None:
    some = takes(1)
    assert 20 * torch.log10(some.decay(0.25)[round(0.25 * RATE)]) == pytest.approx(-60, abs=0.1)
    assert some.rise(0.1)[round(0.1 * RATE)] == pytest.approx(1 - np.exp(-1), abs=1e-3)


def test_a_hiss_has_a_mean_square_of_1_and_its_filter_s_colour() -> None:
    some = takes(8)
    hiss = some.hiss(some.low(500.0, 2))
    torch.testing.assert_close(hiss.square().mean(1), torch.ones(8))
    power = torch.fft.rfft(hiss).abs().square().mean(0)
    hertz = torch.fft.rfftfreq(N_SAMPLES, 1 / RATE)
    ratio = power[(hertz > 1900) & (hertz < 2100)].mean() / power[(hertz > 20) & (hertz < 60)].mean()
    assert 10 * torch.log10(ratio) == pytest.approx(-20 * np.log10(17), abs=1.5)  # 1 + (2000 / 500) ** 2
