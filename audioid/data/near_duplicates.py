"""Recordings that are the same sound again: other level, polarity, start, codec, rate or channels, or some noise.

The method was chosen by measurement (`scripts/bench_near_duplicates.py`):

1. Recordings with equal checksums are one.
2. Fingerprint: the first third of a second after the onset as decibels in 16 frequency bands, 30 dB deep.
   All are compared with all at lags of up to 0.11 s, as matrix products in blocks.
3. Candidates, at most `CANDIDATES` a recording, are aligned by cross-correlation at 16 kHz, brought to one level,
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
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from audioid.data.audio import Unreadable, Waveform, load
from audioid.data.index import Index

SAMPLE_RATE = 16000
# What is compared of a recording, from its onset on.
SECONDS = 2.0
# Decoded sounds that wait for their comparisons, 64 kB each at most; more recordings are decoded again when needed.
KEPT_SOUNDS = 8192
# Trims of 50 ms, and as much delay again as codecs add.
LARGEST_LAG = 0.11
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

# Fingerprints: frames every 5 ms, of which every fourth makes a patch; bounds of the bands in bins of 31.25 Hz.
PRINT_FFT, PRINT_HOP, PRINT_FRAMES, PRINT_STEP = 512, 80, 16, 4
PRINT_LAGS = 1 + round(LARGEST_LAG * SAMPLE_RATE / PRINT_HOP)
PRINT_BANDS = np.array([0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 90, 130, 220])
PRINT_DECIBEL = 30.0
LEAST_RESEMBLANCE = 0.85
CANDIDATES = 16
# The delay is looked for in the first half second.
ALIGNED = SAMPLE_RATE // 2
LEAST_ENERGY = 1e-5
# The worst codec leaves 0.8; half a sample of delay takes as much as a third of that.
LEAST_CORRELATION = 0.5
BLOCK = 512

Float = NDArray[np.float32]


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
    table = index.table
    leaders = table.groupby("checksum", sort=False)["checksum"].transform(lambda rows: rows.index[0]).to_numpy(int)
    copies = np.flatnonzero(leaders != np.arange(len(table)))
    same = pd.DataFrame({"first": leaders[copies], "second": copies, "score": 1.0, "exact": True})

    @lru_cache(maxsize=KEPT_SOUNDS)
    def sound(row: int) -> NDArray[np.float16]:
        return _sound(index, row).astype(np.float16)

    def compared(first: int, second: int) -> float:
        return compare(sound(first).astype(np.float32), sound(second).astype(np.float32))

    with ThreadPoolExecutor() as pool:
        unlike = np.unique(leaders)
        prints = list(pool.map(lambda row: _fingerprint(sound(row).astype(np.float32)), unlike))
        rows = unlike[[print_ is not None for print_ in prints]]
        candidates = _candidates([print_ for print_ in prints if print_ is not None])
        firsts, seconds = rows[candidates[:, 0]], rows[candidates[:, 1]]
        scores = list(pool.map(compared, firsts, seconds))
    found = pd.DataFrame({"first": firsts, "second": seconds, "score": scores, "exact": False})
    found = found[found["score"] > 0]
    pairs = pd.concat([same, found]).astype({"first": int, "second": int, "score": float, "exact": bool})
    return pairs.sort_values(["score", "first", "second"], ascending=[False, True, True], ignore_index=True)


def compare(first: Waveform, second: Waveform) -> float:
    """How alike two waveforms `(time,)` at 16 kHz, from their onsets on, are: up to 1, or 0 if not one sound."""
    delay, correlation = _delay(first, second)
    if correlation < LEAST_CORRELATION:
        return 0.0
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


def _sound(index: Index, row: int) -> Waveform:
    """The recording from its onset on, `(time,)` at 16 kHz; empty where it cannot be decoded or is silent."""
    item = index.table.iloc[row]
    try:
        wave = load(
            index.root / item["path"],
            sample_rate=SAMPLE_RATE,
            seconds=SECONDS,
            start="onset",
            padding="end",
            remove_dc=False,
            level="none",
        )
    except Unreadable:
        return np.empty(0, np.float32)
    wave = wave[: math.ceil(item["seconds"] * SAMPLE_RATE)]
    loud = np.abs(wave) >= max(SILENCE, np.max(np.abs(wave), initial=0.0) * 10 ** (ONSET_DECIBEL / 20))
    return wave[np.argmax(loud) :] if loud.any() else wave[:0]


def _spectra(wave: Waveform, n_fft: int, hop: int) -> NDArray[np.complex64]:
    """Short-time spectra `(frames, bins)`; the first frame's centre is the first sample."""
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    padded = np.pad(wave, (n_fft // 2, n_fft))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[: len(wave) + n_fft // 2 : hop]
    return np.asarray(rfft(frames * window, axis=1))


def _fingerprint(wave: Waveform) -> Float | None:
    """Powers `(frame, band)` of the first frames after the onset, as many as all lags need; None for silence."""
    if not wave.size:
        return None
    frames = PRINT_FRAMES * PRINT_STEP + PRINT_LAGS
    power = np.square(np.abs(_spectra(wave[: frames * PRINT_HOP], PRINT_FFT, PRINT_HOP)[:frames]))
    bands = np.add.reduceat(power, PRINT_BANDS[:-1], axis=1)
    return np.pad(bands, ((0, frames - len(bands)), (0, 0)))


def _patches(prints: Float, lag: int) -> Float:
    """Unit vectors `(recordings, features)` of fingerprints `(recordings, frame, band)` from frame `lag` on."""
    part = prints[:, lag : lag + PRINT_FRAMES * PRINT_STEP : PRINT_STEP]
    level = 10 * np.log10(part / (part.max(axis=(1, 2), keepdims=True) + 1e-30) + 1e-30)
    flat = np.maximum(level + PRINT_DECIBEL, 0).reshape(len(prints), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-30), np.float32)


def _candidates(fingerprints: list[Float]) -> NDArray[np.int64]:
    """Pairs of positions `(pairs, 2)`, sorted, each the smaller first, whose fingerprints resemble one another."""
    count = len(fingerprints)
    if count < 2:
        return np.empty((0, 2), np.int64)
    prints = np.stack(fingerprints)
    begun = _patches(prints, 0)
    pairs = []
    for start in range(0, count, BLOCK):
        block = prints[start : start + BLOCK]
        best = np.full((len(block), count), -1.0, np.float32)
        # Of two recordings the one that begins earlier finds the other.
        for lag in range(PRINT_LAGS):
            np.maximum(best, _patches(block, lag) @ begun.T, out=best)
        best[np.arange(len(best)), np.arange(start, start + len(best))] = -1
        kept = min(CANDIDATES, count - 1)
        nearest = np.argpartition(best, -kept, axis=1)[:, -kept:]
        row, place = np.nonzero(np.take_along_axis(best, nearest, axis=1) >= LEAST_RESEMBLANCE)
        pairs.append(np.stack([row + start, nearest[row, place]], axis=1))
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def _delay(first: Waveform, second: Waveform) -> tuple[int, float]:
    """By how many samples the second is behind in the first, and their correlation there, 0 to 1."""
    first, second = first[:ALIGNED], second[:ALIGNED]
    size = next_fast_len(len(first) + len(second), real=True)
    # Twice as many lags as samples, since at 8 kHz a sample is half a period.
    products = 2 * irfft(rfft(first, size) * np.conj(rfft(second, size)), 2 * size)
    most = int(min(LARGEST_LAG * SAMPLE_RATE, 0.4 * max(len(first), len(second))))
    lags = np.arange(-2 * most, 2 * most + 1)
    lags = lags[(lags < 2 * len(first) - 2) & (-lags < 2 * len(second) - 2)]
    # The energy of each where both are.
    begin, end = np.maximum(lags, 0) // 2, np.minimum(2 * len(first), 2 * len(second) + lags) // 2
    energy = _energy(first, begin, end) * _energy(second, begin - lags // 2, end - lags // 2)
    correlation = np.abs(products[lags]) / np.sqrt(energy)
    # Of the periods of a tone, which are all alike, the nearest.
    best = int(np.argmax(correlation * (1 - 3e-3 * np.abs(lags) / (2 * most + 1))))
    return round(lags[best] / 2), float(correlation[best])


def _energy(wave: Waveform, begin: NDArray, end: NDArray) -> NDArray:
    """The energy from each `begin` to its `end`; infinite where it is too small a part to say anything."""
    total = np.concatenate([[0.0], np.cumsum(np.square(wave, dtype=np.float64))])
    part = total[np.minimum(end, len(wave))] - total[np.minimum(begin, len(wave))]
    return np.where(part > LEAST_ENERGY * total[-1], part, np.inf)


def _joined(first: Waveform, second: Waveform, delay: int) -> tuple[Waveform, Waveform]:
    """Both from their first common moment on, of one length and one energy."""
    first, second = first[max(delay, 0) :], second[max(-delay, 0) :]
    longest = max(len(first), len(second))
    first, second = (np.pad(wave, (0, longest - len(wave))) for wave in (first, second))
    return first, second * (np.linalg.norm(first) / (np.linalg.norm(second) + 1e-30))


def _cells(first: Waveform, second: Waveform) -> Iterator[NDArray]:
    """|cross-spectrum|, power of the first and of the second, each summed within cells `(time, band)`."""
    one, two = _spectra(first, N_FFT, CELL_HOP), _spectra(second, N_FFT, CELL_HOP)
    for product in (one * np.conj(two), np.square(np.abs(one)), np.square(np.abs(two))):
        bands = np.add.reduceat(product[:, : BANDS[-1]], BANDS[:-1], axis=1)
        yield np.abs(np.add.reduceat(bands, np.arange(0, len(bands), CELL_HOPS), axis=0))
