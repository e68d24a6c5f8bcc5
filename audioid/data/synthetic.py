"""The built-in corpus: percussion and tones from physical and signal models, in folders named by label.

Each recording belongs to a kit. A kit is a set of instruments in one room before one microphone: most of
every draw is shared by a kit's takes, so a split that keeps kits whole is harder than a random one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.polynomial.polynomial import polyval
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter

from audioid.files import new_folder

Signal = NDArray[np.float64]

# The part of a draw that all takes of one kit share; the rest is the take's own.
KIT_SHARE = 0.8


@dataclass(frozen=True)
class Take:
    """One recording in the making: its time axis, its kit's generator and its own."""

    time: Signal  # seconds, (time,)
    sample_rate: int
    kit: Generator
    own: Generator

    def draw(self, low: float, high: float) -> float:
        """A value from low to high, spread on a logarithmic scale, near to those of the kit's other takes."""
        position = KIT_SHARE * self.kit.random() + (1 - KIT_SHARE) * self.own.random()
        return float(low * (high / low) ** position)

    def decay(self, seconds: float) -> Signal:
        """An exponential envelope that has fallen by 60 dB after `seconds`."""
        return np.exp(-6.91 * self.time / seconds)

    def rise(self, seconds: float) -> Signal:
        """From 0 to 1, by 63 % within `seconds`."""
        return np.asarray(1 - np.exp(-self.time / seconds))

    def noise(self) -> Signal:
        return self.own.standard_normal(self.time.size)

    def band(self, signal: Signal, low: float, high: float) -> Signal:
        """The part of the signal between two frequencies in hertz, as far as the sample rate lets them be."""
        top = 0.49 * self.sample_rate
        edges = (min(low, top / 2), min(high, top))
        return _filtered(signal, butter(1, edges, "band", fs=self.sample_rate))

    def strike(self, hardness: float) -> Signal:
        """A noisy pulse of force; a hard mallet leaves sooner, so it excites higher modes."""
        force = np.exp(-self.time * hardness) * (1 + 0.3 * self.noise())
        return force * hardness / self.sample_rate

    def modes(self, excitation: Signal, frequencies: NDArray, seconds: NDArray, gains: NDArray) -> Signal:
        """The excitation through parallel two-pole resonators; `seconds` is each one's fall by 60 dB."""
        total = np.zeros_like(excitation)
        for frequency, decay, gain in zip(frequencies, seconds, gains, strict=True):
            if frequency < 0.48 * self.sample_rate:
                radius = np.exp(-6.91 / (decay * self.sample_rate))
                angle = 2 * np.pi * frequency / self.sample_rate
                poles = [1.0, -2 * radius * np.cos(angle), radius**2]
                total += lfilter([gain * np.sin(angle)], poles, excitation)
        return total

    def tone(self, frequency: Signal, partials: NDArray) -> Signal:
        """A harmonic tone; `frequency` is its course in hertz, `partials` its amplitudes, the first first."""
        phase = 2 * np.pi * np.cumsum(frequency) / self.sample_rate
        audible = partials[: max(1, int(0.48 * self.sample_rate / frequency.max()))]
        return np.asarray(polyval(np.exp(1j * phase), np.concatenate(([0], audible))).imag)


def _peak_at_one(signal: Signal) -> Signal:
    return np.asarray(signal / np.abs(signal).max())


def _filtered(signal: Signal, coefficients: tuple[NDArray, NDArray]) -> Signal:
    return np.asarray(lfilter(*coefficients, signal))


def _drum(take: Take, pitch: float, glide: float, seconds: float, overtones: float) -> Signal:
    """A round membrane (ratios: Rossing 2000, ch. 3) whose pitch falls as its tension relaxes."""
    course = pitch * (1 + glide * np.exp(-take.time / take.draw(0.01, 0.04)))
    phase = 2 * np.pi * np.cumsum(course) / take.sample_rate
    skin = sum(
        overtones**order * np.sin(ratio * phase) * take.decay(seconds / (1 + order))
        for order, ratio in enumerate((1.0, 1.59, 2.14, 2.30))
    )
    return skin + take.draw(0.05, 0.5) * take.noise() * take.decay(take.draw(0.01, 0.06))


def kick(take: Take) -> Signal:
    return _drum(take, take.draw(42, 110), take.draw(0.3, 4), take.draw(0.15, 0.9), take.draw(0.02, 0.4))


def tom(take: Take) -> Signal:
    return _drum(take, take.draw(60, 200), take.draw(0.1, 1.2), take.draw(0.25, 1.2), take.draw(0.1, 0.6))


def snare(take: Take) -> Signal:
    skin = _drum(take, take.draw(140, 280), take.draw(0.1, 0.6), take.draw(0.08, 0.3), take.draw(0.3, 0.8))
    wires = take.band(take.noise(), take.draw(700, 2500), take.draw(5000, 10000))
    return skin + take.draw(0.7, 4) * wires * take.decay(take.draw(0.1, 0.5))


def clap(take: Take) -> Signal:
    """Several hands a few milliseconds apart, then the room's answer."""
    envelope = 0.4 * take.decay(take.draw(0.1, 0.5))
    gap = take.draw(0.006, 0.016)
    for hand in range(take.kit.integers(2, 6)):
        since = take.time - hand * gap * take.own.uniform(0.8, 1.2)
        envelope += np.where(since >= 0, np.exp(-np.maximum(since, 0) / (0.35 * gap)), 0)
    return take.band(take.noise(), take.draw(500, 1400), take.draw(1600, 5000)) * envelope


def _metal(take: Take, low: float, seconds: float) -> Signal:
    """A thin plate: modes too dense to tell apart, ringing through noise."""
    count = 24
    frequencies = low * (0.46 * take.sample_rate / low) ** take.kit.random(count)
    spread = seconds * 2 ** take.kit.uniform(-1, 1, count)
    ringing = take.modes(take.strike(take.draw(3000, 9000)), frequencies, spread, take.kit.random(count))
    hiss = take.band(take.noise(), low, 0.45 * take.sample_rate) * take.decay(seconds)
    return _peak_at_one(ringing) + take.draw(0.3, 2) * hiss


def closed_hihat(take: Take) -> Signal:
    return _metal(take, take.draw(2500, 7000), take.draw(0.05, 0.6))


def open_hihat(take: Take) -> Signal:
    return _metal(take, take.draw(2500, 7000), take.draw(0.2, 2))


def cymbal(take: Take) -> Signal:
    """A larger plate; its high modes take their energy from the low ones, so they swell after the stroke."""
    swell = take.rise(take.draw(0.003, 0.05))
    wash = _metal(take, take.draw(1800, 6000), take.draw(0.6, 4)) * swell
    return wash + take.draw(0.05, 1) * _metal(take, take.draw(300, 1200), take.draw(0.3, 2))


def cowbell(take: Take) -> Signal:
    """Two detuned plates of one bent sheet, with odd partials."""
    pitch, interval = take.draw(400, 900), take.draw(1.35, 1.6)
    ratios = np.array([1, interval, 3, 3 * interval, 5, 5 * interval])
    gains = take.draw(0.5, 1) ** np.arange(6)
    seconds = take.draw(0.12, 0.8) / np.sqrt(np.arange(1, 7))
    return take.modes(take.strike(take.draw(1500, 8000)), pitch * ratios, seconds, gains)


def bar(take: Take) -> Signal:
    """A bar free at both ends, as in xylophones: Euler and Bernoulli's ratios, raised by the maker's cut."""
    ratios = np.array([1, take.draw(2.76, 4), take.draw(5.4, 10), 13.3])
    seconds = take.draw(0.15, 1.6) / ratios
    return take.modes(take.strike(take.draw(500, 6000)), take.draw(200, 1100) * ratios, seconds, ratios**-0.5)


def bell(take: Take) -> Signal:
    """Partials of a church bell from the hum note up (Rossing 2000, ch. 11), each a little out of tune."""
    ratios = np.array([0.5, 1, 1.2, 1.5, 2, 2.5, 2.67, 3, 4, 5.33]) * take.kit.uniform(0.97, 1.03, 10)
    seconds = take.draw(0.6, 5) * ratios**-0.8
    gains = take.kit.uniform(0.2, 1, 10)
    return take.modes(take.strike(take.draw(800, 6000)), take.draw(250, 1300) * ratios, seconds, gains)


def plucked_string(take: Take) -> Signal:
    """Karplus and Strong 1983: a burst of noise in a loop with a two-point mean and a loss."""
    period = int(take.sample_rate / take.draw(80, 520))
    loss = np.exp(-6.91 * period / (take.sample_rate * take.draw(0.3, 4)))
    pluck = np.where(np.arange(take.time.size) < period, take.noise(), 0)
    pluck = take.band(pluck, 30, take.draw(1000, 8000))
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1, -loss / 2, -loss / 2
    return np.asarray(lfilter([1.0], loop, pluck))


def _blown_or_bowed(take: Take, attack: float) -> Signal:
    """The envelope of a tone that is kept up, then let go."""
    length = take.own.uniform(0.5, 1.1) * take.time[-1]
    release = 1 + np.exp((take.time - length) / 0.02)
    return np.asarray(take.rise(attack) / release)


def _vibrato(take: Take) -> Signal:
    rate, phase = take.draw(4, 7), take.own.uniform(0, 2 * np.pi)
    return np.sin(2 * np.pi * rate * take.time + phase) * take.rise(0.2)


def flute(take: Take) -> Signal:
    """Few harmonics whose loudness pulses with the breath, and the breath's own noise round the note."""
    pitch, pulse = take.draw(230, 1100), _vibrato(take)
    partials = take.draw(0.15, 0.75) ** np.arange(8) * take.kit.uniform(0.3, 1, 8)
    breath = take.band(take.noise(), 0.7 * pitch, 6 * pitch)
    tone = take.tone(pitch * (1 + 0.003 * pulse), partials) * (1 + take.draw(0.05, 0.4) * pulse)
    return (tone + take.draw(0.05, 0.8) * breath) * _blown_or_bowed(take, take.draw(0.01, 0.1))


def bowed_string(take: Take) -> Signal:
    """Helmholtz motion, a sawtooth, through a body's resonances, with vibrato and the bow's scratch."""
    pitch = take.draw(110, 700) * (1 + take.draw(0.002, 0.015) * _vibrato(take))
    saw = take.tone(pitch, np.arange(1, 41) ** -take.draw(0.9, 1.8))
    body = saw + sum(3 * take.band(saw, f, 1.3 * f) for f in (take.draw(250, 500), take.draw(800, 2500)))
    scratch = take.band(take.noise(), 1000, 6000)
    return (body + take.draw(0.02, 0.6) * scratch) * _blown_or_bowed(take, take.draw(0.02, 0.15))


INSTRUMENTS: dict[str, Callable[[Take], Signal]] = {
    model.__name__: model
    for model in (
        bar,
        bell,
        bowed_string,
        clap,
        closed_hihat,
        cowbell,
        cymbal,
        flute,
        kick,
        open_hihat,
        plucked_string,
        snare,
        tom,
    )
}


def _recorded(signal: Signal, room: Take) -> Signal:
    """The sound `(time,)` as the kit's room, microphone, preamplifier and habits leave it, peak below 1."""
    rate = room.sample_rate
    late = int(room.own.uniform(0, 0.03) * rate)
    signal = np.concatenate((np.zeros(late), signal))[: signal.size]
    signal = _peak_at_one(signal)

    echo = room.kit.standard_normal(room.time.size // 2) * room.decay(room.draw(0.08, 1))[: room.time.size // 2]
    signal = signal + room.draw(0.02, 0.7) * fftconvolve(signal, echo / np.linalg.norm(echo))[: signal.size]

    signal = _filtered(signal, butter(1, room.draw(0.12, 0.45) * rate, "low", fs=rate))
    signal = signal + room.draw(0.1, 2) * room.band(signal, centre := room.draw(300, 4000), 1.5 * centre)
    signal = np.tanh(room.draw(0.1, 3) * _peak_at_one(signal))
    signal = _filtered(signal, butter(1, room.draw(20, 150), "high", fs=rate))

    floor = _filtered(room.noise(), butter(1, room.draw(0.01, 0.36) * rate, "low", fs=rate))
    signal = _peak_at_one(signal) + room.draw(0.0003, 0.2) * floor / floor.std()
    return room.draw(0.05, 0.99) * _peak_at_one(signal)


def recording(label: str, *, kit: int, number: int, seed: int, sample_rate: int, seconds: float) -> Signal:
    """One take, float64 `(time,)` within -1 and 1, the same for the same arguments.

    Raises KeyError for a label that is not in `INSTRUMENTS`.
    """
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    kind = sorted(INSTRUMENTS).index(label)
    own = default_rng([seed, kit, kind, number])
    signal = INSTRUMENTS[label](Take(time, sample_rate, default_rng([seed, kit, kind]), own))
    return _recorded(signal, Take(time, sample_rate, default_rng([seed, kit]), own))


def write_corpus(root: Path, *, seed: int, per_class: int, kits: int, sample_rate: int, seconds: float) -> None:
    """Write `per_class` recordings of each instrument as `root/LABEL/kit03_0012.wav`, 16 bit, mono.

    The kits take turns, so each has its share of every label. `root` appears when it is whole.
    Raises AudioidError where `root` is there already or cannot be written.
    """
    with new_folder(root) as part:
        for label in INSTRUMENTS:
            (part / label).mkdir()
            for number in range(per_class):
                kit = number % kits
                signal = recording(label, kit=kit, number=number, seed=seed, sample_rate=sample_rate, seconds=seconds)
                path = part / label / f"kit{kit:02d}_{number:04d}.wav"
                soundfile.write(path, signal, sample_rate, subtype="PCM_16")
