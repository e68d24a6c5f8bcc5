"""Recordings that are the same sound again: other level, polarity, start, codec, rate or channels, or some noise.

The method was chosen by measurement (`scripts/bench_near_duplicates.py`):

1. Recordings with equal checksums are one.
2. Candidates are recordings whose fingerprints resemble one another (`audioid.data.resemblance`), a few a recording.
3. They are aligned by cross-correlation at 16 kHz, brought to one level,
   and compared in cells of 32 ms and about a third of an octave. A cell's likeness is |cross-spectrum| / larger power:
   1 only where waveform and level agree. The score is one less the root mean square of what cells lack, so one cell
   that differs wholly (another stroke's click) weighs more than the faint loss in all of them that a codec leaves.
4. The same is asked of the first 0.13 s alone. Codecs harm noise most, and two sounds of a narrow band resemble one
   another anyway: the wider the band that the sound fills, the lower the scores that are asked.

The asked scores were set on 420 drum recordings of many makers. What it cannot tell apart are settings of one
synthesiser whose waveforms differ by less than the noise that it forgives, about 30 dB below the sound.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

from audioid.data.audio import Unreadable, Waveform, load
from audioid.data.index import Index
from audioid.data.processes import on_all_cores
from audioid.data.resemblance import ALL_FRAMES, LARGEST_LAG, SAMPLE_RATE, fingerprint, resembling, spectra
from audioid.data.resemblance import BANDS as PRINT_BANDS
from audioid.data.threads import bar, in_threads

# What is compared of a recording, from its onset on.
SECONDS = 2.0
# Decoded sounds that wait for their comparisons, 64 kB each at most, and what aligning needs of them, 100 kB each, in
# each process; of more recordings both are made again when needed.
KEPT_SOUNDS, KEPT_BEGINNINGS = 2048, 1024
# Comparisons that are done in one go, by one process: some seconds.
COMPARED = 8192
# From so many on it pays to start processes.
MANY = 4 * COMPARED
# Nothing is said of recordings whose peak lies below -80 dBFS.
SILENCE = 1e-4
ONSET_DECIBEL = -30.0

N_FFT = 256
# Bounds of the bands in bins of 62.5 Hz; resampling from 16 kHz leaves nothing sure above the last.
BANDS = np.array([0, 3, 6, 10, 15, 21, 28, 36, 46, 58, 72, 90, 110])
WIDTHS = np.diff(BANDS)
# A cell is this many hops of 4 ms long.
CELL_HOP, CELL_HOPS = 64, 8
# Cells fainter than this part of the mean density say nothing: noise at 30 dB lies at 0.001.
FAINTEST_CELL = 0.02
# A stroke shows most at its beginning, so the first cells alone are judged too.
FIRST_CELLS = 4
# Compresses powers to weights, so that faint cells count too.
WEIGHT_POWER = 0.2

# The delay is looked for in the first half second.
ALIGNED = SAMPLE_RATE // 2
ALIGNED_FFT = next_fast_len(ALIGNED + int(LARGEST_LAG * SAMPLE_RATE), real=True)
LEAST_ENERGY = 1e-5
# The worst codec leaves 0.8; half a sample of delay takes as much as a third of that.
LEAST_CORRELATION = 0.5


def near_duplicate_groups(index: Index) -> NDArray[np.int64]:
    """For each row of the index the number of its group, `(rows,)`, counted from 0 in order of appearance.

    Whatever `near_duplicate_pairs` joins, directly or through others, is one group; any other recording,
    also a silent or unreadable one, is a group of its own.
    """
    return groups_of(near_duplicate_pairs(index), len(index.table))


def groups_of(pairs: pd.DataFrame, rows: int) -> NDArray[np.int64]:
    """Connected components of `pairs` among `rows` recordings, `(rows,)`."""
    links = coo_array((np.ones(len(pairs)), (pairs["first"], pairs["second"])), shape=(rows, rows))
    return pd.factorize(connected_components(links, directed=False)[1])[0].astype(np.int64)


def near_duplicate_pairs(index: Index) -> pd.DataFrame:
    """Pairs of rows of the index that hold the same sound, the surest first.

    Columns: `first` < `second` (positions in `index.table`), `score` from 0 to 1 and `exact`, true where the files
    are the same byte for byte. Of equal files one stands for all in pairs with others. Files that cannot be
    decoded, and silent ones, are in no pair.
    """
    rows = pd.Series(np.arange(len(index.table)))
    leaders = rows.groupby(index.table["checksum"].to_numpy()).transform("min").to_numpy()
    copies = np.flatnonzero(leaders != rows)
    same = pd.DataFrame({"first": leaders[copies], "second": copies, "score": 1.0, "exact": True})

    pairs = _candidates(index, np.unique(leaders))
    scores = list(_scores(index, pairs))
    firsts, seconds = pairs.T
    found = pd.DataFrame({"first": firsts, "second": seconds, "score": scores, "exact": False})
    found = found[found["score"] > 0]
    every = pd.concat([same, found]).astype({"first": int, "second": int, "score": float, "exact": bool})
    return every.sort_values(["score", "first", "second"], ascending=[False, True, True], ignore_index=True)


def _candidates(index: Index, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of the `rows` `(pairs, 2)`, each the smaller first, whose fingerprints resemble one another."""
    prints = np.empty((len(rows), ALL_FRAMES, len(PRINT_BANDS) - 1), np.float32)
    recordings = list(zip(index.table["path"].iloc[rows], index.table["seconds"].iloc[rows], strict=True))
    made = in_threads(lambda recording: fingerprint(_sound(index.root, *recording)), recordings, "fingerprints")
    heard: list[int] = []
    for row, one in zip(rows.tolist(), made, strict=True):
        if one is not None:
            prints[len(heard)] = one
            heard.append(row)
    return np.array(heard, np.int64)[_neighbours_together(resembling(prints[: len(heard)]), len(heard))]


def _scores(index: Index, pairs: NDArray[np.int64]) -> Iterator[float]:
    """How alike the sounds of each of the `pairs` `(pairs, 2)` of rows are."""

    def blocks() -> Iterator[tuple[list[str], list[float], NDArray[np.int64]]]:
        for begin in range(0, len(pairs), COMPARED):
            rows, places = np.unique(pairs[begin : begin + COMPARED], return_inverse=True)
            heard = index.table.iloc[rows]
            yield heard["path"].tolist(), heard["seconds"].tolist(), places.reshape(-1, 2)

    with bar("comparisons", len(pairs)) as told:
        for scores in on_all_cores(partial(_compared, index.root), blocks(), processes=len(pairs) >= MANY):
            told.update(len(scores))
            yield from scores


def _compared(root: Path, block: tuple[list[str], list[float], NDArray[np.int64]]) -> list[float]:
    """How alike the sounds of each pair are: positions `(pairs, 2)` among paths below `root` of so many seconds."""
    paths, seconds, pairs = block

    @lru_cache(maxsize=KEPT_SOUNDS)
    def sound(place: int) -> NDArray[np.float16]:
        return _sound(root, paths[place], seconds[place]).astype(np.float16)

    @lru_cache(maxsize=KEPT_BEGINNINGS)
    def beginning(place: int) -> Beginning:
        return Beginning.of(sound(place).astype(np.float32))

    return [_likeness(sound(one), sound(other), beginning(one), beginning(other)) for one, other in pairs.tolist()]


def _neighbours_together(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The `pairs` `(pairs, 2)` of `count` positions in an order in which a sound's pairs lie near to one another, so
    that few sounds are decoded twice."""
    if not len(pairs):
        return pairs
    links = coo_array((np.ones(len(pairs), np.int8), pairs.T), shape=(count, count)).tocsr()
    place = np.empty(count, np.int64)
    place[reverse_cuthill_mckee(links + links.T, symmetric_mode=True)] = np.arange(count)
    places = np.sort(place[pairs], axis=1)
    return pairs[np.lexsort(places.T)]


@dataclass(frozen=True)
class Beginning:
    """What aligning needs of a sound's first half second: its number of samples, its spectrum, `(bins,)` of
    `ALIGNED_FFT`, and its energy up to each sample, `(samples + 1,)`."""

    samples: int
    spectrum: NDArray[np.complex64]
    energy: NDArray[np.float64]

    @classmethod
    def of(cls, wave: Waveform) -> "Beginning":
        wave = wave[:ALIGNED]
        energy = np.concatenate([[0.0], np.cumsum(np.square(wave, dtype=np.float64))])
        return cls(len(wave), np.asarray(rfft(wave, ALIGNED_FFT)), energy)

    def energy_between(self, begin: NDArray, end: NDArray) -> NDArray:
        """The energy from each `begin` to its `end`; infinite where it is too small a part to say anything."""
        part = self.energy[np.minimum(end, self.samples)] - self.energy[np.minimum(begin, self.samples)]
        return np.where(part > LEAST_ENERGY * self.energy[-1], part, np.inf)


def compare(first: Waveform, second: Waveform) -> float:
    """How alike two waveforms `(time,)` at 16 kHz, from their onsets on, are: up to 1, or 0 if not one sound."""
    return _likeness(first, second, Beginning.of(first), Beginning.of(second))


def _likeness(first: NDArray, second: NDArray, begun: Beginning, other_begun: Beginning) -> float:
    delay, correlation = _delay(begun, other_begun)
    if correlation < LEAST_CORRELATION:
        return 0.0
    first, second = first.astype(np.float32), second.astype(np.float32)
    # The half sample that rounding may leave turns a band's cross-spectrum as a whole: its magnitude stays.
    cross, power, other = _cells(*_joined(first, second, delay))
    octaves = _octaves(np.sqrt(power * other).sum(axis=0) / WIDTHS)
    score, begin = (_score(cross[:cells], power[:cells], other[:cells]) for cells in (None, FIRST_CELLS))
    wide, narrow = max(octaves, 0.0), min(2.0, max(-octaves, 0.0))
    enough = score >= 0.85 - 0.06 * wide + 0.05 * narrow and begin >= 0.84 - 0.06 * wide + 0.07 * narrow
    return score if enough else 0.0


def _score(cross: NDArray, power: NDArray, other: NDArray) -> float:
    """One less the weighted root mean square of what cells `(time, band)` lack of likeness."""
    larger = np.maximum(power, other)
    density = larger / WIDTHS / (larger.sum() / (WIDTHS.sum() * len(larger)) + 1e-30)
    weight = np.maximum(density - FAINTEST_CELL, 0) ** WEIGHT_POWER * np.sqrt(WIDTHS)
    lack = 1 - cross / (larger + 1e-30)
    return 1 - math.sqrt(np.sum(weight * lack**2) / (weight.sum() + 1e-30))


def _octaves(spectrum: NDArray) -> float:
    """How far above 500 Hz the effective bandwidth of this mean power density per band lies.

    It is that of a flat spectrum with the same sums of density and of its square.
    """
    bins = np.sum(spectrum * WIDTHS) ** 2 / (np.sum(spectrum**2 * WIDTHS) + 1e-30)
    return math.log2(max(1.0, bins * SAMPLE_RATE / N_FFT) / 500)


def _sound(root: Path, path: str, seconds: float) -> Waveform:
    """The recording from its onset on, `(time,)` at 16 kHz, its loudest sample 1; empty where it is silent or cannot be
    decoded."""
    try:
        wave = load(
            root / path,
            sample_rate=SAMPLE_RATE,
            seconds=SECONDS,
            start="onset",
            padding="end",
            remove_dc=False,
            level="none",
        )
    except Unreadable:
        return np.empty(0, np.float32)
    wave = wave[: math.ceil(seconds * SAMPLE_RATE)]
    peak = np.max(np.abs(wave), initial=0.0)
    loud = np.abs(wave) >= max(SILENCE, peak * 10 ** (ONSET_DECIBEL / 20))
    # Of level 1, since floating-point files may hold numbers too large for float16.
    return wave[np.argmax(loud) :] / peak if loud.any() else wave[:0]


def _delay(first: Beginning, second: Beginning) -> tuple[int, float]:
    """By how many samples the second is behind in the first, and their correlation there, 0 to 1."""
    # Twice as many lags as samples, since at 8 kHz a sample is half a period.
    products = 2 * irfft(first.spectrum * np.conj(second.spectrum), 2 * ALIGNED_FFT)
    most = int(min(LARGEST_LAG * SAMPLE_RATE, 0.4 * max(first.samples, second.samples)))
    lags = np.arange(-2 * most, 2 * most + 1)
    lags = lags[(lags < 2 * first.samples - 2) & (-lags < 2 * second.samples - 2)]
    if not lags.size:
        return 0, 0.0
    # The energy of each where both are; half a sample later it is the same.
    whole = np.arange(lags[0] // 2, lags[-1] // 2 + 1)
    begin, end = np.maximum(whole, 0), np.minimum(first.samples, second.samples + whole)
    energy = first.energy_between(begin, end) * second.energy_between(begin - whole, end - whole)
    correlation = np.abs(products[lags]) / np.sqrt(energy)[lags // 2 - whole[0]]
    # Of the periods of a tone, which are all alike, the nearest.
    best = int(np.argmax(correlation * (1 - 3e-3 * np.abs(lags) / (2 * most + 1))))
    return round(lags[best] / 2), float(correlation[best])


def _joined(first: Waveform, second: Waveform, delay: int) -> tuple[Waveform, Waveform]:
    """Both from their first common moment on, of one length and one energy."""
    first, second = first[max(delay, 0) :], second[max(-delay, 0) :]
    longest = max(len(first), len(second))
    first, second = (np.pad(wave, (0, longest - len(wave))) for wave in (first, second))
    return first, second * (np.linalg.norm(first) / (np.linalg.norm(second) + 1e-30))


def _cells(first: Waveform, second: Waveform) -> Iterator[NDArray]:
    """|cross-spectrum|, power of the first and of the second, each summed within cells `(time, band)`."""
    one, two = spectra(first, N_FFT, CELL_HOP), spectra(second, N_FFT, CELL_HOP)
    for product in (one * np.conj(two), np.square(np.abs(one)), np.square(np.abs(two))):
        bands = np.add.reduceat(product[:, : BANDS[-1]], BANDS[:-1], axis=1)
        yield np.abs(np.add.reduceat(bands, np.arange(0, len(bands), CELL_HOPS), axis=0))
