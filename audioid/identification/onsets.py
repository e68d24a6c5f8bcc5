"""Where sounds begin in a recording of any length: peaks of the spectral flux.

The flux is that of SuperFlux (Böck & Widmer, DAFx 2013): how much each band of a logarithmic spectrum rises above the
loudest of its neighbours a moment ago, summed over bands. Onsets are the peaks above a moving mean (Böck, Krebs &
Schedl, ISMIR 2012).
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audioid.data.audio import Waveform

Values = NDArray[np.float32]

# Seconds, but for where it is said; chosen on drum loops of other recordings than those that the README reports.
WINDOW = 0.023
HOP = 0.005
LAG = 0.02  # how long ago the moment is that a spectrum is held to
BANDS_PER_OCTAVE = 6
F_MIN = 30.0  # hertz
RANGE = 50.0  # decibels below the loudest so far that still count
QUIET_DBFS = -50.0  # the loudest before there is any: of a sine of full scale at 0
BEFORE, AFTER = 0.03, 0.03  # an onset is the largest within
MEAN_BEFORE, MEAN_AFTER = 0.05, 0.07  # and above the mean within
ABOVE = 0.08  # by this much, of bels a band on average
APART = 0.05  # at least
AHEAD = 1.0  # how far ahead the loudest is looked for
EARLY = 0.01  # how long before the peak a sound begins: rather too long than that its attack is missed


class Onsets:
    """Finds onsets in blocks of a recording as they come.

    `decided` is the sample before which no more onsets will be found.
    """

    def __init__(self, sample_rate: int) -> None:
        self.hop = max(1, round(HOP * sample_rate))
        self.length = 2 ** math.ceil(math.log2(max(16, WINDOW * sample_rate)))
        self.window = np.hanning(self.length + 1)[:-1].astype(np.float32)
        self.edges = band_edges(sample_rate, self.length, BANDS_PER_OCTAVE)
        self.lag, self.ahead, self.apart, self.before, self.after, self.mean_before, self.mean_after = (
            max(1, round(seconds * sample_rate / self.hop))
            for seconds in (LAG, AHEAD, APART, BEFORE, AFTER, MEAN_BEFORE, MEAN_AFTER)
        )
        self.early = round(EARLY * sample_rate)
        # Frame k is centred on sample k * hop, so half a window of nothing comes before the first.
        self.samples = np.zeros(self.length // 2, np.float32)
        self.bands = np.zeros((0, len(self.edges) - 1), np.float32)  # of frames that have no level yet
        # Before the beginning there was silence.
        self.levels = np.full((self.lag, len(self.edges) - 1), -RANGE / 20, np.float32)
        self.flux = np.zeros(max(self.before, self.mean_before), np.float32)  # of frames before the first, too
        self.loudest = np.float32(10 ** (QUIET_DBFS / 20) * self.length / 4)
        self.frame = 0  # the next to be judged
        self.last = -self.apart  # the last frame with an onset
        self.received = 0

    @property
    def decided(self) -> int:
        return max(0, (self.frame * self.hop) - self.early)

    def push(self, block: Waveform) -> list[int]:
        """The onsets, in samples from the beginning of the recording, that the next block `(time,)` decides."""
        self.received += len(block)
        self.samples = np.concatenate([self.samples, block])
        count = (len(self.samples) - self.length) // self.hop + 1
        if count <= 0:
            return []
        frames = sliding_window_view(self.samples, self.length)[:: self.hop][:count]
        flux = self._rises(np.abs(np.fft.rfft(frames * self.window, axis=1)).astype(np.float32))
        self.samples = self.samples[count * self.hop :]
        self.flux = np.concatenate([self.flux, flux])
        return self._peaks()

    def finish(self) -> list[int]:
        """The onsets that nothing more decides; none that comes of the end itself, which breaks off what sounds."""
        last = self.received - self.length // 2
        silence = np.zeros(self.length + self.hop * (self.ahead + max(self.after, self.mean_after) + 1), np.float32)
        return [onset for onset in self.push(silence) if onset < last]

    def _rises(self, magnitudes: Values) -> Values:
        """The flux of spectra `(frames, bins)`: `(frames,)`."""
        self.bands = np.concatenate([self.bands, np.maximum.reduceat(magnitudes, self.edges[:-1], axis=1)])
        count = len(self.bands) - self.ahead
        if count <= 0:
            return np.zeros(0, np.float32)
        # Levels are relative to the loudest so far, so that a quiet recording has the onsets of a loud one; and to what
        # comes next, or else noise before the first sound would begin as loudly as can be, and that sound too early.
        loudest = np.maximum.accumulate(np.maximum(self.bands.max(axis=1), self.loudest))
        self.loudest = loudest[count - 1]
        levels = np.log10(self.bands[:count] / loudest[self.ahead :, None] + np.float32(10 ** (-RANGE / 20)))
        self.bands = self.bands[count:]
        levels = np.concatenate([self.levels, levels])
        self.levels = levels[-self.lag :]
        padded = np.pad(levels[: -self.lag], ((0, 0), (1, 1)), mode="edge")
        earlier = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
        return np.maximum(levels[self.lag :] - earlier, 0).mean(axis=1)

    def _peaks(self) -> list[int]:
        before, after = max(self.before, self.mean_before), max(self.after, self.mean_after)
        count = len(self.flux) - before - after
        if count <= 0:
            return []
        around = sliding_window_view(self.flux, before + 1 + after)[:count]
        now = around[:, before]
        largest = around[:, before - self.before : before + self.after + 1].max(axis=1)
        mean = around[:, before - self.mean_before : before + self.mean_after + 1].mean(axis=1)
        found = []
        for number in np.flatnonzero((now >= largest) & (now >= mean + ABOVE)):
            frame = self.frame + int(number)
            if frame - self.last >= self.apart:
                self.last = frame
                found.append(max(0, frame * self.hop - self.early))
        self.frame += count
        self.flux = self.flux[count:]
        return found


def band_edges(sample_rate: int, length: int, per_octave: int) -> NDArray[np.intp]:
    """The first bins of bands an even part of an octave wide, or a bin where that is wider, and the end of the last.

    Of spectra of `length` samples, from `F_MIN` to half the sample rate.
    """
    top = length // 2
    count = math.floor(math.log2(sample_rate / 2 / F_MIN) * per_octave) + 1
    places = F_MIN * 2 ** (np.arange(count) / per_octave)
    edges = np.unique((places * length / sample_rate).round().astype(np.intp).clip(1, top))
    return np.append(edges[edges < top], top)
