"""Each change of a picture against the picture of a sound that was really changed so."""

import math
from functools import cache

import pytest
import torch
from scipy.stats import beta
from torch import Tensor, nn

from audioid import transforms
from audioid.config import compose
from audioid.training.image_augmentation import (
    FrequencyShift,
    Gain,
    Mask,
    Mixup,
    Tilt,
    TimeShift,
    TimeStretch,
    hide,
    mix,
    shift_columns,
    shift_rows,
    stretch_columns,
    tilt_rows,
)
from audioid.transforms.image import TimeFrequencyTransform

RATE, SIZE, RANGE = 16000, 50, 80.0
PER_COLUMN = RATE // SIZE
TIME = torch.arange(RATE, dtype=torch.float64) / RATE
SCALES = ["decibel", "magnitude", "signed"]
PICTURES = [(name, scale) for name in ("fft", "cwt") for scale in SCALES if (name, scale) != ("fft", "signed")]
on_each_picture = pytest.mark.parametrize(("name", "scale"), PICTURES)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@cache
def picture(name: str, scale: str) -> TimeFrequencyTransform:
    chosen = compose(
        [
            *(f"transform={name}", f"image.amplitude_scale={scale}", f"image.decibel_range={RANGE}"),
            *(f"audio.sample_rate={RATE}", f"image.size={SIZE}", "image.f_min=100", "image.f_max=4000"),
        ]
    )
    return transforms.build(chosen.transform.model_dump(), chosen.image.model_dump(), sample_rate=RATE, n_samples=RATE)


def hits(count: int, onset: float = 0.0) -> Tensor:
    """Noise that begins at once and dies away, (batch, time)."""
    after = (TIME - onset).clamp(min=0)
    return torch.randn(count, RATE) * (torch.exp(-12 * after) * (onset <= TIME)).float()


def blip(frequency: float, seconds: float, amplitude: float) -> Tensor:
    """A tone that swells and fades around a moment, in one place of every picture, (1, time)."""
    envelope = torch.exp(-0.5 * ((TIME - seconds) / 0.02) ** 2)
    return (amplitude * envelope * torch.sin(2 * math.pi * frequency * TIME)).float()[None]


def delayed(waveform: Tensor, columns: int) -> Tensor:
    moved = torch.roll(waveform, columns * PER_COLUMN, 1)
    if columns > 0:
        moved[:, : columns * PER_COLUMN] = 0
    elif columns < 0:
        moved[:, columns * PER_COLUMN :] = 0
    return moved


# Time shift


@on_each_picture
@pytest.mark.parametrize("columns", [-8, 5])
def test_shift_is_the_picture_of_the_sound_at_another_time(name: str, scale: str, columns: int) -> None:
    swell = torch.zeros(RATE)
    swell[RATE * 2 // 5 : RATE * 3 // 5] = torch.hann_window(RATE // 5) ** 2
    waveform = torch.randn(3, RATE) * swell
    to_image = picture(name, scale)
    shifted = shift_columns(to_image(waveform), torch.full((3,), columns))
    torch.testing.assert_close(shifted, to_image(delayed(waveform, columns)), rtol=0, atol=1e-4)


@on_each_picture
def test_shift_of_a_sudden_start_differs_only_within_reach_of_it(name: str, scale: str) -> None:
    to_image, waveform = picture(name, scale), hits(3)
    shifted = shift_columns(to_image(waveform), torch.full((3,), 20))
    wanted = to_image(delayed(waveform, 20))
    near = slice(16, 24)  # half a window is 23 ms, a column 20 ms; the lowest wavelet reaches 50 ms
    assert (shifted - wanted)[..., near].abs().max() > 1e-4  # the picture of the sound smears its start
    shifted[..., near] = wanted[..., near] = 0
    if scale != "signed":  # whose largest value, at the start, is not the same
        torch.testing.assert_close(shifted[..., : SIZE - 4], wanted[..., : SIZE - 4], rtol=0, atol=0.01)


def test_shift_takes_columns_of_each_recording_and_brings_in_silence() -> None:
    images = torch.rand(3, 2, 4, 10) + 0.1
    shifted = shift_columns(images, torch.tensor([2, -3, 0]))
    assert torch.equal(shifted[0, ..., 2:], images[0, ..., :-2])
    assert torch.equal(shifted[0, ..., :2], torch.zeros(2, 4, 2))
    assert torch.equal(shifted[1, ..., :-3], images[1, ..., 3:])
    assert torch.equal(shifted[1, ..., -3:], torch.zeros(2, 4, 3))
    assert torch.equal(shifted[2], images[2])


def test_the_loudest_moment_of_each_channel_stays_in_the_picture() -> None:
    images = torch.rand(200, 2, 6, 20) * torch.tensor([1.0, -1.0])[:, None, None]
    shifted = TimeShift(0.9)(images)
    torch.testing.assert_close(shifted.abs().amax((2, 3)), images.abs().amax((2, 3)))


def test_shifts_are_even_between_what_is_asked_for_and_what_the_loudest_moment_allows() -> None:
    images = torch.zeros(4000, 1, 1, 20)
    images[:2000, ..., 10] = 1
    images[2000:, ..., 1] = 1
    places = TimeShift(0.25)(images).argmax(-1).flatten()
    assert set(places[:2000].tolist()) == set(range(5, 16))
    assert set(places[2000:].tolist()) == set(range(7))
    assert float(places[:2000].float().std()) == pytest.approx(10 / math.sqrt(12), rel=0.05)


# Gain


@pytest.mark.parametrize("name", ["fft", "cwt"])
def test_gain_is_the_picture_of_the_louder_sound(name: str) -> None:
    to_image, waveform = picture(name, "magnitude"), hits(20)
    images = to_image(waveform)
    changed = Gain(6.0)(images)
    factor = changed.amax((1, 2, 3)) / images.amax((1, 2, 3))
    torch.testing.assert_close(to_image(waveform * factor[:, None]), changed, rtol=1e-4, atol=1e-6)
    decibel = 20 * torch.log10(factor)
    assert decibel.min() < -3
    assert decibel.max() > 3
    assert decibel.abs().max() <= 6


@pytest.mark.parametrize(("name", "scale"), [pair for pair in PICTURES if pair[1] != "magnitude"])
def test_other_pictures_do_not_show_gain(name: str, scale: str) -> None:
    to_image, waveform = picture(name, scale), hits(2)
    torch.testing.assert_close(to_image(2 * waveform), to_image(waveform), rtol=0, atol=1e-5)


# Frequency shift


def tone(frequency: float) -> Tensor:
    return torch.sin(2 * math.pi * frequency * TIME).float()[None]


@pytest.mark.parametrize("rows", [-6, 4])
def test_frequency_shift_is_the_picture_of_the_tone_at_another_pitch(rows: int) -> None:
    to_image = picture("cwt", "decibel")  # whose rows are of constant quality, so that a tone looks alike in all
    shifted = shift_rows(to_image(tone(float(to_image.frequencies[25]))), torch.tensor([rows]))
    wanted = to_image(tone(float(to_image.frequencies[25 + rows])))
    middle = slice(15, 35), slice(10, 40)  # apart from the edges, in frequency and in time
    torch.testing.assert_close(shifted[0, 0][middle], wanted[0, 0][middle], rtol=0, atol=0.01)


def test_frequency_shift_repeats_the_edge_and_raises_the_rest_when_the_loudest_goes() -> None:
    images = torch.tensor([1.0, 0.6, 0.4, 0.0])[None, None, :, None].expand(3, 2, -1, 3)
    shifted = shift_rows(images, torch.tensor([1, -1, 0]))[:, 0, :, 0]
    torch.testing.assert_close(shifted[0], torch.tensor([1.0, 1.0, 0.6, 0.4]))
    torch.testing.assert_close(shifted[1], torch.tensor([1.0, 0.8, 0.0, 0.0]))
    torch.testing.assert_close(shifted[2], images[2, 0, :, 0])


def test_frequency_shifts_are_even() -> None:
    images = torch.zeros(4000, 1, 20, 1)
    images[:, :, 10] = 1
    places = FrequencyShift(0.2)(images).argmax(2).flatten()
    assert set(places.tolist()) == set(range(6, 15))
    assert float(places.float().std()) == pytest.approx(math.sqrt((9**2 - 1) / 12), rel=0.05)


# Time stretch


def swell(frequency: float, seconds: float, width: float) -> Tensor:
    return tone(frequency) * torch.exp(-0.5 * ((TIME - seconds) / width) ** 2).float()


@pytest.mark.parametrize("name", ["fft", "cwt"])
@pytest.mark.parametrize("speed", [0.75, 1.0, 1.4])
def test_stretch_is_the_picture_of_the_faster_sound_at_the_same_pitch(name: str, speed: float) -> None:
    to_image = picture(name, "decibel")
    waveform = swell(500, 0.4, 0.1) + 0.3 * swell(2000, 0.55, 0.08)
    stretched = stretch_columns(to_image(waveform), torch.tensor([speed]))
    faster = swell(500, 0.4 / speed, 0.1 / speed) + 0.3 * swell(2000, 0.55 / speed, 0.08 / speed)
    wanted = to_image(faster)
    loud = (wanted > 0.6) & (torch.arange(SIZE) < SIZE / speed - 1)
    assert loud.sum() > 80
    torch.testing.assert_close(stretched[loud], wanted[loud], rtol=0, atol=0.01)
    assert not stretched[..., math.ceil(SIZE / speed) :].any()


def test_a_fall_is_as_much_steeper_as_the_sound_is_faster() -> None:
    fall = torch.linspace(1, 0.4, 61).expand(2, 2, 3, -1)
    stretched = stretch_columns(fall, torch.tensor([1.5, 0.5]))[:, 0, 0]
    torch.testing.assert_close(stretched[0, 1:40].diff(), torch.full((38,), -0.015))
    torch.testing.assert_close(stretched[1, 1:].diff(), torch.full((59,), -0.005))
    assert stretched[0, 42:].eq(0).all()


def test_speeds_are_even_on_a_logarithmic_scale() -> None:
    images = torch.linspace(1, 0.5, 51).expand(4000, 1, 1, -1)
    stretched = TimeStretch(0.5)(images)[:, 0, 0]
    octaves = torch.log2((stretched[:, 10] - stretched[:, 20]) / 0.1)
    assert octaves.abs().max() < 0.501
    assert float(octaves.std()) == pytest.approx(1 / math.sqrt(12), rel=0.05)


# Tilt


@pytest.mark.parametrize("name", ["fft", "cwt"])
@pytest.mark.parametrize("decibels", [-10.0, 12.0])
def test_tilt_is_the_picture_of_the_filtered_sound(name: str, decibels: float) -> None:
    to_image, waveform = picture(name, "decibel"), hits(4)
    frequencies = torch.fft.rfftfreq(2 * RATE, 1 / RATE).clamp(min=20)
    low, high = to_image.frequencies[[0, -1]].log2().tolist()
    line = (2 * (frequencies.log2() - low) / (high - low) - 1).clamp(-2, 2)
    filtered = torch.fft.irfft(torch.fft.rfft(waveform, 2 * RATE) * 10 ** (decibels * line / 20), 2 * RATE)[:, :RATE]
    tilted = tilt_rows(to_image(waveform), torch.full((4,), decibels / RANGE))
    wanted = to_image(filtered)
    known = (tilted > 0) & (wanted > 0)
    assert known.float().mean() > 0.5
    error = (tilted - wanted)[known].abs() * RANGE
    assert error.median() < 1  # decibels; windows and wavelets see a band of frequencies each
    assert error.quantile(0.95) < 2


def test_tilt_is_a_line_and_leaves_the_loudest_and_silence() -> None:
    images = torch.tensor([0.5, 0.4, 1.0, 0.0, 0.3])[None, None, :, None].expand(2, 2, -1, 3)
    tilted = tilt_rows(images, torch.tensor([0.2, -0.9]))[:, 0, :, 0]
    torch.testing.assert_close(tilted[0], torch.tensor([0.3, 0.3, 1.0, 0.0, 0.5]))
    # Raised by the lowest row, 0.5 + 0.9, which is the loudest now, so by -0.4.
    torch.testing.assert_close(tilted[1], torch.tensor([1.0, 0.45, 0.6, 0.0, 0.0]))


def test_tilts_are_even_within_what_is_asked_for() -> None:
    images = torch.full((4000, 1, 3, 1), 0.5)
    images[:, :, 1] = 1
    gains = (Tilt(12.0, RANGE)(images)[:, 0, 2, 0] - 0.5) * RANGE
    assert gains.abs().max() <= 12.001
    assert float(gains.std()) == pytest.approx(12 / math.sqrt(3), rel=0.05)


# Masks


@on_each_picture
@pytest.mark.parametrize("removed", [1.0, 0.01])  # louder than what stays, or softer
@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_mask_is_the_picture_of_the_sound_without_that_part(name: str, scale: str, removed: float, axis: str) -> None:
    to_image = picture(name, scale)
    if axis == "rows":
        stays, goes = blip(300, 0.5, 0.1), blip(3000, 0.5, removed)
        hidden = (to_image.frequencies > 1000)[:, None]
    else:
        stays, goes = blip(800, 0.3, 0.1), blip(800, 0.7, removed)
        hidden = to_image.times > 0.5
    masked, wanted = hide(to_image(stays + goes), hidden, scale), to_image(stays)
    known = ~hidden.expand_as(masked)
    assert not masked[~known].any()
    if scale == "decibel":  # what lay below the range of the louder sound is not known
        unknown = known & (masked == 0)
        assert wanted[unknown].max() <= max(0, 20 * math.log10(removed / 0.1) / RANGE) + 0.01
        known &= ~unknown
        assert known.sum() > 30
    torch.testing.assert_close(masked[known], wanted[known], rtol=0, atol=0.005)


@pytest.mark.parametrize("name", ["fft", "cwt"])
def test_a_gap_over_the_attack_raises_the_rest(name: str) -> None:
    """For any sound, and not only where the parts lie apart: nearer to the truth than mere zeros."""
    to_image, waveform = picture(name, "decibel"), hits(8, onset=0.1)
    hidden = torch.arange(SIZE) < 12
    gap = to_image(waveform * ~hidden.repeat_interleave(PER_COLUMN))
    image = to_image(waveform)
    error, error_of_zeros = ((each - gap).abs().mean() for each in (hide(image, hidden, "decibel"), image * ~hidden))
    assert error < 0.5 * error_of_zeros


def test_silence_of_any_decibel_range_is_not_raised() -> None:
    images = torch.full((1, 1, 4, 4), 6e-8)  # what float32 makes of zero at a range of 77.3 dB
    images[..., 0, 0], images[..., 1, 1] = 1, 0.5
    left = hide(images, torch.arange(4) == 0, "decibel")
    assert left[0, 0, 1, 1] == 1
    assert left.flatten().sort().values[-2] < 1e-6


@pytest.mark.parametrize(("frequency", "time", "dim"), [(0.2, 0.0, 3), (0.0, 0.2, 2)])
def test_masks_hide_one_stretch_of_their_own_in_each_recording(frequency: float, time: float, dim: int) -> None:
    hidden = Mask(frequency, time, "decibel")(torch.ones(300, 2, 50, 50)) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])  # of all channels alike
    stretch = hidden.all(dim)[:, 0]  # (batch, rows or columns)
    assert torch.equal(hidden.any(dim)[:, 0], stretch)  # whole rows or whole columns
    widths = stretch.sum(1)
    assert set(widths.tolist()) == set(range(11))
    assert stretch.int().diff(dim=1).abs().sum(1).max() <= 2  # in one piece
    assert stretch.any(0).all()  # everywhere
    assert len({tuple(row.tolist()) for row in stretch}) > 100


def test_channels_are_raised_apart() -> None:
    images = torch.tensor([[1.0, 0.5], [0.7, 1.0]])[None, :, None]  # (1, 2 channels, 1, 2 columns)
    left = hide(images, torch.tensor([True, False]), "decibel")
    torch.testing.assert_close(left, torch.tensor([[0.0, 1.0], [0.0, 1.0]])[None, :, None])


# Mixup


@on_each_picture
@pytest.mark.parametrize("share", [0.5, 0.8, 0.02])
def test_mixup_is_the_picture_of_mixed_sounds(name: str, scale: str, share: float) -> None:
    to_image = picture(name, scale)
    waveform = torch.cat([hits(2), blip(500, 0.4, 0.3), 0.01 * blip(2000, 0.6, 1.0) + 0.003 * hits(1, 0.3)])
    other = torch.tensor([2, 3, 1, 0])
    magnitude = to_image if scale == "signed" else picture(name, "magnitude")
    peaks = to_image.values(waveform).abs().amax((1, 2))[:, None]
    equally_loud = waveform / (peaks if scale == "signed" else peaks.sqrt())
    first, second = share * equally_loud, (1 - share) * equally_loud[other]
    # The mean of both polarities is that of all phases.
    wanted = magnitude(first + second)
    if scale != "signed":
        wanted = ((wanted.square() + magnitude(first - second).square()) / 2).sqrt()
    if scale == "magnitude":
        wanted = wanted * peaks.sqrt()[..., None, None]
    mixed = mix(to_image(waveform), other, torch.full((4,), share), scale, RANGE)
    if scale != "decibel":
        torch.testing.assert_close(mixed, wanted, rtol=1e-4, atol=1e-5)
        return
    power = 10 ** (RANGE / 10 * (mixed - 1))
    wanted = (wanted / wanted.amax((2, 3), keepdim=True)).square()
    # What both sounds had below their ranges is missing.
    torch.testing.assert_close(power, wanted, rtol=1e-3, atol=2 * 10 ** (-RANGE / 10))


@pytest.mark.parametrize("scale", SCALES)
def test_shares_of_sounds_are_those_of_targets(scale: str) -> None:
    targets = torch.arange(5)
    images = torch.diag(torch.ones(5))[:, None, :, None].expand(-1, 2, -1, 4)  # class c sounds in row c alone
    mixed, probabilities = Mixup(0.5, 5, scale, RANGE)(images, targets)
    assert torch.equal(mixed, mixed[:, :1, :, :1].expand_as(mixed))
    values = mixed[:, 0, :, 0]
    amplitude = torch.where(values > 1e-6, 10 ** ((values - 1) * RANGE / 20), 0) if scale == "decibel" else values
    torch.testing.assert_close(amplitude / amplitude.sum(1, keepdim=True), probabilities, rtol=0, atol=2e-4)
    # Different ones within the batch.
    assert len({round(float(row.max()), 5) for row in probabilities}) > 2


def test_mixup_shares_follow_beta() -> None:
    targets = torch.zeros(20000, dtype=torch.long)
    targets[:10000] = 1
    _, probabilities = Mixup(0.4, 2, "decibel", RANGE)(torch.ones(20000, 1, 1, 1), targets)
    certain = ((probabilities > 0.999) | (probabilities < 0.001)).all(1).float().mean()
    # Half of the partners are of the same class, which mixing does not change.
    tails = beta.cdf(0.001, 0.4, 0.4) + beta.sf(0.999, 0.4, 0.4)
    assert float(certain) == pytest.approx(0.5 + 0.5 * tails, abs=0.02)


# All


@on_each_picture
def test_silence_stays_silence_and_silences_nothing_to_nan(name: str, scale: str) -> None:
    waveform = torch.cat([torch.zeros(3, RATE), hits(3)])
    images = picture(name, scale)(waveform)
    changes: list[nn.Module] = [TimeShift(0.4), Mask(0.5, 0.5, scale)]
    if scale == "decibel":
        changes += [FrequencyShift(0.2), TimeStretch(0.5), Tilt(12.0, RANGE)]
    for change in changes:
        assert change(images)[:3].abs().max() < 1e-6
        assert change(images).isfinite().all()
    for share in (0.0, 1e-30, 0.5, 1.0):
        mixed = mix(images, torch.tensor([1, 2, 3, 4, 5, 0]), torch.full((6,), share), scale, RANGE)
        assert mixed.isfinite().all()
        assert mixed[:2].abs().max() < 1e-6  # silence with silence


def test_the_whole_picture_may_be_hidden() -> None:
    for scale in SCALES:
        assert torch.equal(hide(torch.rand(2, 1, 4, 4), torch.ones(4).bool(), scale), torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize(
    "change",
    [
        *(TimeShift(0.4), Gain(6.0), Mask(0.3, 0.3, "decibel")),
        *(FrequencyShift(0.3), TimeStretch(0.5), Tilt(12.0, RANGE)),
    ],
)
def test_each_recording_draws_its_own_values_and_the_batch_stays(change: nn.Module) -> None:
    same = torch.rand(1, 1, 50, 50).expand(8, -1, -1, -1)
    before = same.clone()
    assert len({tuple(image.flatten().tolist()) for image in change(same)}) > 4
    assert torch.equal(same, before)
