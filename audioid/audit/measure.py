"""What each recording measures, as decoded: level, clipping and the frequency where it is cut off."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audioid.data.audio import Unreadable, open_recording
from audioid.data.index import Index
from audioid.data.threads import in_threads

# Of a long recording this much is measured, from its beginning.
LONGEST_SECONDS = 30.0
# So many samples in a row of one value near full scale are a flat top; a full-scale tone of 60 Hz has 3 at 44.1 kHz.
CLIPPED_RUN = 4
CLIPPED_LEVEL = 0.98
FAINTEST = 1e-6

N_FFT = 2048
# A cut-off is a fall by this much over this band, after which the level never comes back.
CUTOFF_DECIBEL, CUTOFF_BAND = 25.0, 600.0
# Rounded so that 44,100 and 44,101 Hz come to the same.
GRID = 200.0

COLUMNS = ("peak_dbfs", "level_dbfs", "clipped", "cutoff", "format", "reason")


def measure(index: Index) -> pd.DataFrame:
    """A row per row of the index.

    Columns: `peak_dbfs` and `level_dbfs` (root mean square) relative to full scale, -120 for silence; `clipped`, the
    number of samples in flat tops; `cutoff` in Hz, half the sample rate where there is none; `format` as libsndfile
    names it (WAV, MP3, ...); `reason`, why it cannot be decoded, else "".
    """
    rows = in_threads(lambda path: _measured(index, path), index.table["path"].tolist(), "levels and bandwidths")
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def _measured(index: Index, path: str) -> tuple[float, float, int, float, str, str]:
    try:
        with open_recording(index.root / path) as file:
            rate, form = file.samplerate, file.format
            samples = file.read(round(LONGEST_SECONDS * rate), dtype="float32", always_2d=True)
    except Unreadable as error:
        return np.nan, np.nan, 0, np.nan, "", error.reason
    if not samples.size or not np.isfinite(samples).all():
        return (
            np.nan,
            np.nan,
            0,
            np.nan,
            form,
            "breaks off at once, or holds samples that are no numbers; export it again",
        )
    peak, level = np.abs(samples).max(), np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    loudest = samples[:, np.abs(samples).max(axis=0).argmax()]
    return _decibel(peak), _decibel(level), clipped_samples(samples), cutoff(loudest, rate), form, ""


def _decibel(amplitude: float) -> float:
    return 20 * float(np.log10(max(amplitude, FAINTEST)))


def clipped_samples(samples: NDArray[np.float32]) -> int:
    """How many of the samples `(time, channels)` lie in flat tops: `CLIPPED_RUN` or more equal ones near full scale."""
    total = 0
    for channel in samples.T:
        level = np.where(np.abs(channel) >= CLIPPED_LEVEL, channel, np.nan)
        # Where a run begins: NaN differs from everything, itself too.
        begins = np.flatnonzero(np.concatenate([[True], level[1:] != level[:-1]]))
        lengths = np.diff(np.append(begins, len(level)))
        total += int(lengths[lengths >= CLIPPED_RUN].sum())
    return total


def cutoff(wave: NDArray[np.float32], sample_rate: int) -> float:
    """The frequency in Hz above which a filter or codec has left nothing, else half the rate, to the nearest 200.

    It is where the mean spectrum falls by 25 dB or more within 600 Hz and stays down. Natural sounds fall gradually.
    """
    nyquist = round(sample_rate / 2 / GRID) * GRID
    size = min(N_FFT, 1 << max(5, len(wave).bit_length() - 1))
    padded = np.pad(wave, (0, max(0, size - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    frames = frames[:: max(1, len(frames) // 100)]
    power = np.square(np.abs(np.fft.rfft(frames * np.blackman(size), axis=1))).mean(axis=0)
    # Averaged over a fifth of the band that the fall may take, so that gaps between partials do not count.
    smooth = max(1, round(CUTOFF_BAND / 5 * size / sample_rate))
    band = max(2, round(CUTOFF_BAND * size / sample_rate))
    level = 10 * np.log10(np.convolve(power, np.ones(smooth) / smooth, "same") + 1e-20)
    loudest_above = np.maximum.accumulate(level[::-1])[::-1]
    before = np.pad(level, (band, 0), constant_values=-np.inf)
    loudest_below = np.lib.stride_tricks.sliding_window_view(before, band + 1).max(axis=1)
    fall = loudest_below[: len(level) - band] - loudest_above[band:]
    # Below a tenth of the band are the sounds' own slopes.
    fall[: len(level) // 10] = 0
    if fall.size == 0 or fall.max() < CUTOFF_DECIBEL:
        return nyquist
    deepest = int(np.argmax(fall))
    around = level[max(0, deepest - band) : deepest + band]
    edge = max(0, deepest - band) + int(np.flatnonzero(around >= loudest_below[deepest] - 10)[-1])
    return round(edge * sample_rate / size / GRID) * GRID
