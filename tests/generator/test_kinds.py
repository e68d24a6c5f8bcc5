"""Every kind of sound, and some of the physics behind them."""

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest
import torch
from scipy.optimize import brentq
from scipy.signal import find_peaks, lfilter
from torch import Tensor

from audioid.generator import strings, tuned, voices, winds
from audioid.generator.courses import drawn, periods, points, resonated
from audioid.generator.kinds import KINDS
from audioid.generator.takes import Takes, keys, loudest
from audioid.generator.textures import again

RATE = 16000
MAKERS = 6
SECONDS = 0.3
KIND = range(len(KINDS))
NAMES = [kind.model.__name__ for kind in KINDS]


def takes(kind: int, makers: list[int], numbers: list[int], seconds: float = SECONDS) -> Takes:
    return Takes(*keys(5, kind, torch.tensor(makers), torch.tensor(numbers)), RATE, round(RATE * seconds), 0.2)


@cache
def two_takes(kind: int) -> Tensor:
    """Two takes of each of some makers, first the first takes, `(2 * MAKERS, time)`."""
    return KINDS[kind].model(takes(kind, [*range(MAKERS)] * 2, [0] * MAKERS + [1] * MAKERS))


def spectra(sounds: Tensor) -> Tensor:
    """Levels in dB of some bands by time, `(batch, bands, frames)`, down to 60 dB below the loudest."""
    power = torch.stft(loudest(sounds), 512, 256, window=torch.hann_window(512), return_complex=True).abs().square()
    edges = [1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 257]
    bands = torch.stack([power[:, low:high].mean(1) for low, high in pairwise(edges)], 1)
    return 10 * torch.log10(bands + 1e-6 * bands.amax((1, 2), keepdim=True))


def peaks(sound: Tensor, prominence: float = 0.01) -> list[float]:
    """The frequencies in hertz at which a sound's spectrum has a peak, to a fraction of a hertz."""
    n_fft = 8 * len(sound)
    magnitudes = torch.fft.rfft(sound * torch.hann_window(len(sound)), n_fft).abs()
    found, _ = find_peaks((magnitudes / magnitudes.max()).numpy(), prominence=prominence, distance=8 * 5)
    return [place * RATE / n_fft for place in found.tolist()]


def share(sounds: Tensor, low: float, high: float) -> Tensor:
    """The power of each sound from `low` to `high` hertz."""
    power = torch.fft.rfft(sounds).abs().square()
    hertz = torch.fft.rfftfreq(sounds.shape[1], 1 / RATE)
    return power[:, (hertz >= low) & (hertz < high)].sum(1)


@pytest.mark.parametrize("kind", KIND, ids=NAMES)
def test_every_kind_sounds(kind: int) -> None:
    sounds = two_takes(kind)
    assert sounds.shape == (2 * MAKERS, round(SECONDS * RATE))
    assert sounds.isfinite().all()
    assert (loudest(sounds).square().mean(1).sqrt() > 0.003).all()
    assert (sounds.abs().amax(1) > 1e-3).all()


@pytest.mark.parametrize("kind", KIND, ids=NAMES)
def test_a_sound_does_not_depend_on_its_company(kind: int) -> None:
    together, model = two_takes(kind), KINDS[kind].model
    assert torch.equal(model(takes(kind, [*range(MAKERS)] * 2, [0] * MAKERS + [1] * MAKERS)), together)
    alone = model(takes(kind, [3], [1]))[0]
    assert (alone - together[MAKERS + 3]).abs().max() < 1e-3 * together[MAKERS + 3].abs().max()


@pytest.mark.parametrize("kind", KIND, ids=NAMES)
def test_makers_are_further_apart_than_takes(kind: int) -> None:
    levels = spectra(two_takes(kind))
    first, second = levels[:MAKERS], levels[MAKERS:]
    between_takes = (first - second).abs().mean((1, 2))
    between_makers = torch.stack([(first - first.roll(step, 0)).abs().mean((1, 2)) for step in range(1, MAKERS)])
    assert (between_takes > 0.01).all()
    assert between_makers.min() > 0.1
    assert between_takes.mean() < 0.9 * between_makers.mean()


@pytest.mark.parametrize("kind", KIND, ids=NAMES)
def test_nothing_is_left_on_another_device(kind: int) -> None:
    nowhere = torch.zeros(2, dtype=torch.int32, device="meta")  # mixing devices is an error there as on a GPU
    assert KINDS[kind].model(Takes(nowhere, nowhere, RATE, 3000, 0.2)).device.type == "meta"


def test_labels_and_models_are_named_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(kind.label.islower() and kind.label.isidentifier() for kind in KINDS)


def test_a_free_bar_rings_at_the_roots_of_its_equation() -> None:
    def equation(x: float) -> float:  # of a bar with free ends, cos x cosh x = 1, divided by cosh x
        return math.cos(x) - 1 / math.cosh(x)

    roots = [brentq(equation, (n + 0.3) * math.pi, (n + 0.7) * math.pi) for n in range(1, 6)]
    ratios = [(root / roots[0]) ** 2 for root in roots]
    assert list(tuned.FREE_BAR) == pytest.approx(ratios, rel=1e-3)
    some = takes(0, [*range(4)], [0] * 4, 1.0)
    pitch, long = torch.full((4, 1), 400.0), torch.full((4, 1), 20.0)
    for sound in tuned.ringing(some, pitch, tuned.FREE_BAR[:4], long, torch.full((4, 1), 100.0)):
        assert peaks(sound) == pytest.approx([400 * ratio for ratio in ratios[:4]], rel=0.011)


def test_a_stiff_string_is_stretched_and_silent_where_it_is_plucked() -> None:
    some, stiffness = takes(0, [1], [0], 1.0), 4e-4
    pitch, a_fourth = torch.tensor([[200.0]]), torch.tensor([[0.25]])
    sound = strings.plucked(
        some, pitch, torch.tensor([[5.0]]), a_fourth, torch.tensor([[stiffness]]), torch.tensor([[0.0]])
    )[0]
    found = [peak for peak in peaks(sound, 0.002) if peak < 3000]
    sounding = [n for n in range(1, 15) if n % 4]  # a multiple of four has a node a fourth along the string
    stretch = [200 * n * math.sqrt((1 + stiffness * n**2) / (1 + stiffness)) for n in sounding]
    assert found == pytest.approx(stretch, rel=1e-3)


def test_a_clarinet_has_odd_harmonics_first() -> None:
    sounds = KINDS[NAMES.index("clarinet")].model(takes(7, [*range(24)], [0] * 24, 0.4))
    window = sounds[:, 1600:4800] * torch.hann_window(3200)
    below = []
    for sound in window:
        spectrum = torch.fft.rfft(sound, 1 << 15).abs()
        correlation = torch.fft.irfft(torch.fft.rfft(sound, 1 << 13).abs().square())[12:130]
        lag = 12 + int(correlation.argmax())  # the period, from 123 to 1,333 hertz
        place = [round((1 << 15) / lag * n) for n in (1, 2, 3, 4)]
        near = [spectrum[n - n // 30 - 8 : n + n // 30 + 9].max() for n in place]
        below.append(20 * torch.log10((near[1] + near[3]) / (near[0] + near[2])))
    assert torch.stack(below).median() < -10


@pytest.mark.parametrize("pitch", [440.0, 1500.0])
def test_a_flute_sounds_at_its_pitch(pitch: float) -> None:
    some = takes(3, [*range(6)], [0] * 6, 0.5)
    steep, quiet = torch.full((6, 1), 2.0), torch.full((6, 1), 0.02)
    spectrum = torch.fft.rfft(winds.edge_tone(some, torch.full((6, 1), pitch), steep, quiet)).abs()
    assert (spectrum.argmax(1) * RATE / (0.5 * RATE)).tolist() == pytest.approx([pitch] * 6, rel=0.02)


def test_brass_is_brighter_where_it_is_louder() -> None:
    some = takes(4, [*range(8)], [0] * 8, 0.5)
    sounds = winds.brass(some, torch.full((8, 1), 200.0), torch.full((8, 1), 500.0))
    power = torch.stft(sounds, 512, 128, window=torch.hann_window(512), return_complex=True).abs().square()[..., 2:-2]
    bright = (power[:, 32:].sum(1) / power.sum(1)).log()
    loud = power.sum(1).log()
    together = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(bright, loud, strict=True)])
    assert together.median() > 0.5


def test_formants_are_the_poles_that_were_asked_for() -> None:
    some = takes(0, [0], [0], 0.5)
    formants, widths = torch.tensor([[[700.0, 1200.0, 2500.0]]]), torch.tensor([[[120.0, 150.0, 200.0]]])
    signal = some.noise()
    made = resonated(some, signal, formants, widths)[0]
    expected = signal[0].double().numpy()
    for frequency, width in zip((700, 1200, 2500), (120, 150, 200), strict=True):
        radius, angle = math.exp(-math.pi * width / RATE), 2 * math.pi * frequency / RATE
        recursion = [1, -2 * radius * math.cos(angle), radius**2]
        expected = lfilter([sum(recursion)], recursion, expected)
    late = torch.from_numpy(expected)[:-3]  # a sample for each of the poles
    assert (made[3:].double() - late).std() < 0.01 * late.std()


def test_formants_move() -> None:
    some = takes(0, [0], [0], 0.5)
    course = torch.where(points(some) < 0.25, 500.0, 3000.0)[None, :, None]
    made = resonated(some, some.noise(), course, torch.full_like(course, 100.0))[0]
    for half, frequency in ((made[:3000], 500), (made[5000:], 3000)):
        power = torch.fft.rfft(half).abs().square()
        centre = int((torch.nn.functional.avg_pool1d(power[None], 41, 1, 20)[0]).argmax()) * RATE / len(half)
        assert centre == pytest.approx(frequency, abs=120)


def test_vowels_have_their_groups_formants() -> None:
    def back(model: Callable[[Takes], Tensor]) -> Tensor:
        """How much stronger the second formant's region of back vowels is than that of front ones, dB."""
        sounds = model(takes(0, [*range(24)], [0] * 24))
        return 10 * torch.log10(share(sounds, 700, 1400) / share(sounds, 1900, 3200)).median()

    def opened(model: Callable[[Takes], Tensor]) -> Tensor:
        """How much stronger an open mouth's first formant is than a closed one's, dB."""
        sounds = model(takes(0, [*range(24)], [0] * 24))
        return 10 * torch.log10(share(sounds, 600, 1100) / share(sounds, 100, 450)).median()

    front = max(back(voices.vowel_e), back(voices.vowel_i))
    assert min(back(voices.vowel_o), back(voices.vowel_u)) > front + 6
    closed = max(opened(voices.vowel_i), opened(voices.vowel_u))
    assert opened(voices.vowel_a) > closed + 6


def test_a_line_of_frequency_is_integrated_exactly() -> None:
    some = takes(0, [0], [0], 0.3)
    course = 100 + 2000 * points(some)[None]
    assert torch.allclose(drawn(some, course)[0], 100 + 2000 * some.time, atol=1e-3)
    assert torch.allclose(periods(some, course)[0], 100 * some.time + 1000 * some.time**2, atol=1e-3)


def test_a_sound_comes_again() -> None:
    some = takes(0, [0], [0], 0.5)
    sound = torch.zeros(1, some.n_samples)
    sound[0, :3] = torch.tensor([1.0, -0.5, 0.25])
    made = again(some, torch.tensor([[0.0, 0.1, 9.0]]), torch.tensor([[1.0, 2.0, 1.0]]), sound)[0]
    expected = torch.zeros(some.n_samples)
    expected[:3] = sound[0, :3]
    expected[1600:1603] = 2 * sound[0, :3]
    assert torch.allclose(made, expected, atol=1e-5)
