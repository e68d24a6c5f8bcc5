"""A batch of recordings in the making: what chance gave them, and the building blocks of all kinds of sound."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from audioid.generator.chance import key, mixed, uniform

FALL = math.log(1000)  # of an amplitude by 60 dB
TABLE = 2048  # points of one period
FINE = 160  # samples of a stretch of damped oscillation: near the root of a second's
DRAWN_AT_ONCE = 256
FILTER = 4096  # samples of the longest answer of a filter
NOISE = 0x85EBCA6B - 2**32  # what tells the keys of noise from those of draws


@dataclass
class Takes:
    """`batch` takes of one kind of instrument, each `(batch, time)` at `sample_rate`.

    `makers` and `takes` `(batch,)` are the keys of chance: of the instrument and of the single recording. `own` is the
    share of every draw that is the recording's; the rest is common to all recordings of the maker.
    """

    makers: Tensor
    takes: Tensor
    sample_rate: int
    n_samples: int
    own: float
    position: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.time = torch.arange(self.n_samples, device=self.makers.device) / self.sample_rate  # seconds
        # Room for what filters and rooms add, so that it does not come round to the beginning.
        self.n_fft = 2 ** math.ceil(math.log2(max(1.45 * self.n_samples, self.n_samples + FILTER)))
        # Filters are smooth, so few frequencies tell all of them.
        bins = torch.fft.rfftfreq(FILTER, 1 / self.sample_rate, device=self.makers.device)
        self.hertz = self._warped(bins).clamp(min=0.1)
        self._drawn = self.time.new_empty(2, len(self.makers), 0)

    def only(self, which: Tensor, *, n_samples: int) -> "Takes":
        """Those of the takes alone, over another length; what they draw is what they would have drawn here."""
        some = Takes(self.makers[which], self.takes[which], self.sample_rate, n_samples, self.own)
        some.position, self.position = self.position, self.position + 1
        return some

    # Chance

    def even(self, low: float, high: float, count: int = 1) -> Tensor:
        """Values from low to high, `(batch, count)`."""
        makers, takes = self._numbers(count)
        return low + (high - low) * torch.lerp(makers, takes, self.own)

    def draw(self, low: float, high: float, count: int = 1) -> Tensor:
        """Values from low to high, spread on a logarithmic scale, `(batch, count)`."""
        return low * (high / low) ** self.even(0, 1, count)

    def fresh(self, low: float, high: float, count: int = 1) -> Tensor:
        """Values from low to high that are the recording's alone, `(batch, count)`."""
        return low + (high - low) * self._numbers(count)[1]

    def maybe(self, probability: float) -> Tensor:
        """1 with this probability, else 0, the same for all recordings of a maker, `(batch, 1)`."""
        return (self._numbers(1)[0] < probability).float()

    def _numbers(self, count: int) -> Tensor:
        """The next numbers from 0 to 1 of makers and of takes, `(2, batch, count)`."""
        start, self.position = self.position, self.position + count
        while self.position > self._drawn.shape[2]:  # many at once: each operation takes its time, however small
            more = [uniform(keys, self._drawn.shape[2], DRAWN_AT_ONCE) for keys in (self.makers, self.takes)]
            self._drawn = torch.cat([self._drawn, torch.stack(more)], 2)
        return self._drawn[:, :, start : self.position]

    def noise(self) -> Tensor:
        """White noise of deviation 1, `(batch, time)`."""
        self.position += 1
        keys = mixed(self.takes ^ mixed(torch.full_like(self.takes, NOISE + self.position)))
        return uniform(keys, 0, self.n_samples).sub_(0.5).mul_(math.sqrt(12))

    # Envelopes

    def decay(self, seconds: Tensor | float) -> Tensor:
        """From 1 on, down by 60 dB within `seconds` `(batch, 1)`."""
        return torch.exp(-FALL / seconds * self.time)

    def rise(self, seconds: Tensor | float) -> Tensor:
        """From 0 to 1, by 63 % within `seconds`."""
        return -torch.expm1(-self.time / seconds)

    def gate(self, start: Tensor | float, end: Tensor, edge: Tensor | float = 0.01) -> Tensor:
        """From 0 to 1 at `start` and back at `end`, in seconds, over about `edge`."""
        return torch.sigmoid((self.time - start) / edge) * torch.sigmoid((end - self.time) / edge)

    def hits(self, times: Tensor, strengths: Tensor, seconds: Tensor) -> Tensor:
        """Envelopes that begin anew at each of the `times` `(batch, hits)` and fall by 60 dB within `seconds`."""
        total = torch.zeros_like(self.noiseless())
        for hit in range(times.shape[1]):
            since = self.time - times[:, hit : hit + 1]
            total += strengths[:, hit : hit + 1] * torch.exp(-FALL / seconds * since.clamp(min=0)) * (since >= 0)
        return total

    def noiseless(self) -> Tensor:
        """Silence, `(batch, time)`."""
        return self.time.new_zeros(len(self.makers), self.n_samples)

    # Oscillation

    def glide(self, pitch: Tensor, amount: Tensor, seconds: Tensor) -> Tensor:
        """Periods since the start of a tone that falls to `pitch` hertz from `1 + amount` times of it."""
        return pitch * (self.time + amount * seconds * -torch.expm1(-self.time / seconds))

    def sine(self, periods: Tensor) -> Tensor:
        return torch.sin(2 * math.pi * periods)

    def partials(self, count: int) -> Tensor:
        """The numbers of the harmonics, 1 to `count`."""
        return torch.arange(1, count + 1, device=self.time.device)

    def tone(self, periods: Tensor, pitch: Tensor, gains: Tensor) -> Tensor:
        """A harmonic tone from a table of one period; `gains` `(batch, harmonics)`, first the first.

        Harmonics above half the sample rate, as `pitch` (hertz, the highest of the course) has it, are left out.
        """
        count = min(gains.shape[1], TABLE // 4)
        number = self.partials(count)
        audible = gains[:, :count] * (number * pitch < 0.48 * self.sample_rate)
        phase = self.even(0, 2 * math.pi, count)
        spectrum = functional.pad(torch.polar(audible, phase), (1, TABLE // 2 - count))
        table = torch.fft.irfft(spectrum, TABLE) * (TABLE / 2)
        place = (periods - periods.floor()) * TABLE
        below = place.floor()
        index = below.long() % TABLE
        return torch.lerp(table.gather(1, index), table.gather(1, (index + 1) % TABLE), place - below)

    def modes(self, frequencies: Tensor, seconds: Tensor, gains: Tensor) -> Tensor:
        """Damped sines from the start on, `(batch, modes)` each: hertz, their fall by 60 dB, amplitudes.

        A damped sine at the sum of two times is the product of two, so a matrix product of `n_samples / FINE` coarse
        and `FINE` fine times takes the place of an exponential and a sine for each sample.
        """
        gains = (gains * (frequencies < 0.48 * self.sample_rate))[..., None]
        turn, fall = 2 * math.pi * frequencies[..., None], -FALL / seconds[..., None]
        coarse, fine = self.time[::FINE], self.time[:FINE]
        angle, size = turn * coarse, gains * torch.exp(fall * coarse)
        left = torch.cat([size * torch.sin(angle), size * torch.cos(angle)], 1)
        angle, size = turn * fine, torch.exp(fall * fine)
        right = torch.cat([size * torch.cos(angle), size * torch.sin(angle)], 1)
        return (left.transpose(1, 2) @ right).flatten(1)[:, : self.n_samples]

    def struck(self, frequencies: Tensor, seconds: Tensor, gains: Tensor, hardness: Tensor) -> Tensor:
        """Modes that a mallet excites; up to `hardness` hertz it is short enough to reach them all alike."""
        return self.modes(frequencies, seconds, gains / torch.sqrt(1 + (frequencies / hardness) ** 2))

    # Filters

    # Circuits by the bilinear transform (Oppenheim and Schafer 2010, ch. 7.2), so that none answers before the click.

    def low(self, frequency: Tensor | float, order: int = 1) -> Tensor:
        """The response of a low pass, complex `(batch, bins)`."""
        return _inverse(self.hertz / self._warped(frequency), order)

    def high(self, frequency: Tensor | float, order: int = 1) -> Tensor:
        """The response of a high pass."""
        return _inverse(-self._warped(frequency) / self.hertz, order)

    def peak(self, frequency: Tensor | float, quality: Tensor | float) -> Tensor:
        """The response of a resonance, 1 at its frequency."""
        ratio = self.hertz / self._warped(frequency)
        return _inverse(quality * (ratio - 1 / ratio), 1)

    def delay(self, seconds: Tensor) -> Tensor:
        """The response that comes so much later, to a sample."""
        samples = (seconds * self.sample_rate).round()
        turn = 2 * math.pi / FILTER * torch.arange(FILTER // 2 + 1, device=self.time.device) * samples
        return torch.polar(torch.ones_like(turn), -turn)

    def _warped(self, frequency: Tensor | float) -> Tensor:
        """The frequency of a circuit, in hertz, that becomes this one; as high as there are any, at most."""
        angle = math.pi / self.sample_rate * torch.as_tensor(frequency, device=self.makers.device)
        return self.sample_rate / math.pi * torch.tan(angle.clamp(max=0.4999 * math.pi))

    def filtered(self, signal: Tensor, response: Tensor) -> Tensor:
        """The signal through a filter whose answer to a click is over in `FILTER` samples."""
        return self.convolved(signal, torch.fft.irfft(response, FILTER))

    def convolved(self, signal: Tensor, answer: Tensor) -> Tensor:
        """The signal through what answers a click with `answer`, `(batch, at most n_fft - n_samples)`."""
        spectrum = torch.fft.rfft(signal, self.n_fft) * torch.fft.rfft(answer, self.n_fft)
        return torch.fft.irfft(spectrum, self.n_fft)[:, : self.n_samples]

    def hiss(self, response: Tensor) -> Tensor:
        """Noise through a filter, with a mean square of 1."""
        return steady(self.filtered(self.noise(), response))


def _inverse(imaginary: Tensor, order: int) -> Tensor:
    """`(1 + i imaginary) ** -order`."""
    once = torch.complex(torch.ones_like(imaginary), -imaginary) / (1 + imaginary.square())
    found = once
    for _ in range(order - 1):
        found = found * once
    return found


def steady(signal: Tensor) -> Tensor:
    """The signal with a mean square of 1."""
    size = torch.linalg.vector_norm(signal, dim=1, keepdim=True) / math.sqrt(signal.shape[1])
    return signal / size.clamp(min=1e-9)


def loudest(signal: Tensor) -> Tensor:
    """The signal with a peak of 1."""
    return signal / signal.abs().amax(1, keepdim=True).clamp(min=1e-9)


def keys(seed: int, kind: int, makers: Tensor, takes: Tensor) -> tuple[Tensor, Tensor]:
    """The keys of makers and of takes `(batch,)`."""
    return key(seed, kind, makers), key(seed, kind, makers, takes, 1)
