"""Which recordings may be the same sound: those whose fingerprints resemble one another.

A fingerprint is the first third of a second after the onset as decibels in 16 frequency bands, 30 dB deep. It is
compared with others at lags of up to 0.11 s, as matrix products in blocks.

Up to `ALL_WITH_ALL` recordings all are compared with all, which takes time as their square. More are first sorted into
cells around centres that k-means finds (an inverted file, as in Jégou, Douze and Schmid, "Product quantization for
nearest neighbor search", 2011), and a fingerprint is compared, at each lag, with those in the `PROBES` cells nearest to
it, which may miss some. There are as many cells as balances the search for cells with that in them, so that time grows
as the number of recordings to the power of 1.5, with a small factor.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from sklearn.cluster import KMeans

from audioid.data.audio import Waveform
from audioid.data.threads import bar

SAMPLE_RATE = 16000
# Trims of 50 ms, and as much delay again as codecs add.
LARGEST_LAG = 0.11
# Frames every 5 ms, of which every fourth makes a patch; bounds of the bands in bins of 31.25 Hz.
N_FFT, HOP, FRAMES, STEP = 512, 80, 16, 4
LAGS = 1 + round(LARGEST_LAG * SAMPLE_RATE / HOP)
ALL_FRAMES = FRAMES * STEP + LAGS
BANDS = np.array([0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 90, 130, 220])
DECIBEL = 30.0
LEAST_RESEMBLANCE = 0.85
CANDIDATES = 32
BLOCK = 512

ALL_WITH_ALL = 10_000
PROBES = 8
# So many times the square root of the number of recordings.
CELLS = 2.0
# The centres are found from so many fingerprints for each, and need not be the best.
LEARNED_FROM, ITERATIONS = 50, 10
# A fuller cell is looked through in parts.
MOST_MEMBERS = 1024

Float = NDArray[np.float32]
Integers = NDArray[np.int64]


def fingerprint(wave: Waveform) -> Float | None:
    """Powers `(ALL_FRAMES, band)` of the first frames of `(time,)` at 16 kHz, as many as all lags need; None for
    silence."""
    if not wave.size:
        return None
    power = np.square(np.abs(spectra(wave[: ALL_FRAMES * HOP], N_FFT, HOP)[:ALL_FRAMES]))
    bands = np.add.reduceat(power, BANDS[:-1], axis=1)
    return np.pad(bands, ((0, ALL_FRAMES - len(bands)), (0, 0)))


def spectra(wave: Waveform, n_fft: int, hop: int) -> NDArray[np.complex64]:
    """Short-time spectra `(frames, bins)`; the first frame's centre is the first sample."""
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    padded = np.pad(wave, (n_fft // 2, n_fft))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[: len(wave) + n_fft // 2 : hop]
    return np.asarray(rfft(frames * window, axis=1))


def resembling(prints: Float) -> Integers:
    """Pairs of positions `(pairs, 2)`, sorted, each the smaller first, of fingerprints that resemble one another.

    Each of `prints` `(recordings, ALL_FRAMES, band)` is paired with the `CANDIDATES` most alike, if they are alike by
    `LEAST_RESEMBLANCE` at least. Of two recordings the one that begins earlier finds the other.
    """
    count = len(prints)
    if count < 2:
        return np.empty((0, 2), np.int64)
    begun = np.concatenate([_patches(prints[start : start + BLOCK], 0) for start in range(0, count, BLOCK)])
    found = _in_cells(prints, begun) if count > ALL_WITH_ALL else _in_all(prints, begun)
    pairs = []
    with bar("resemblances", count) as told:
        for start, row, other in found:
            pairs.append(np.stack([row + start, other], axis=1))
            told.update(min(BLOCK, count - start))
    return np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)


def _patches(prints: Float, lag: int) -> Float:
    """Unit vectors `(recordings, features)` of fingerprints `(recordings, frame, band)` from frame `lag` on."""
    part = prints[:, lag : lag + FRAMES * STEP : STEP]
    level = 10 * np.log10(part / (part.max(axis=(1, 2), keepdims=True) + 1e-30) + 1e-30)
    flat = np.maximum(level + DECIBEL, 0).reshape(len(prints), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-30), np.float32)


def _in_all(prints: Float, begun: Float) -> Iterator[tuple[int, Integers, Integers]]:
    """For each block of rows where it starts, and pairs of a row in the block and another position."""
    for start in range(0, len(prints), BLOCK):
        block = prints[start : start + BLOCK]
        best = np.full((len(block), len(begun)), -1.0, np.float32)
        for lag in range(LAGS):
            np.maximum(best, _patches(block, lag) @ begun.T, out=best)
        best[np.arange(len(best)), np.arange(start, start + len(best))] = -1
        yield start, *_nearest(best)


def _nearest(resemblance: Float) -> tuple[Integers, Integers]:
    """The places in `(rows, others)` of the most alike others of each row."""
    kept = min(CANDIDATES, resemblance.shape[1])
    nearest = np.argpartition(resemblance, -kept, axis=1)[:, -kept:]
    row, place = np.nonzero(np.take_along_axis(resemblance, nearest, axis=1) >= LEAST_RESEMBLANCE)
    return row, nearest[row, place]


def _in_cells(prints: Float, begun: Float) -> Iterator[tuple[int, Integers, Integers]]:
    """As `_in_all`, but each row is compared at each lag with the members of a few cells alone."""
    centres, own = _cells(begun)
    probes = min(PROBES, len(centres))
    members = np.argsort(own, kind="stable")
    bounds = np.searchsorted(own[members], np.arange(len(centres) + 1))
    sorted_begun = begun[members]
    for start in range(0, len(prints), BLOCK):
        block = prints[start : start + BLOCK]
        # Of each row one after another its patches at all lags.
        patches = np.stack([_patches(block, lag) for lag in range(LAGS)], axis=1).reshape(-1, begun.shape[1])
        cells = np.argpartition(patches @ centres.T, -probes, axis=1)[:, -probes:].ravel()
        asking = np.argsort(cells, kind="stable")
        begins = np.searchsorted(cells[asking], np.arange(len(centres) + 1))
        rows, others, alike = [], [], []
        for cell in np.unique(cells):
            asked = asking[begins[cell] : begins[cell + 1]] // probes
            row, first = np.unique(asked // LAGS, return_index=True)
            for begin in range(bounds[cell], bounds[cell + 1], MOST_MEMBERS):
                part = slice(begin, min(begin + MOST_MEMBERS, bounds[cell + 1]))
                best = np.maximum.reduceat(patches[asked] @ sorted_begun[part].T, first, axis=0)
                best[row[:, None] + start == members[part]] = -1
                near, place = _nearest(best)
                rows.append(row[near])
                others.append(members[part][place])
                alike.append(best[near, place])
        yield start, *_most_alike(np.concatenate(rows), np.concatenate(others), np.concatenate(alike))


def _most_alike(rows: Integers, others: Integers, resemblance: Float) -> tuple[Integers, Integers]:
    """Of the others of each row `CANDIDATES`, those of the largest resemblance."""
    order = np.lexsort((-resemblance, rows))
    rows, others = rows[order], others[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return rows[rank < CANDIDATES], others[rank < CANDIDATES]


def _cells(begun: Float) -> tuple[Float, Integers]:
    """Centres, unit vectors `(cells, features)`, and for each of `begun` `(recordings, features)` its nearest one."""
    cells = math.ceil(CELLS * math.sqrt(len(begun)))
    sample = begun[np.random.default_rng(0).permutation(len(begun))[: LEARNED_FROM * cells]]
    means = KMeans(cells, init="random", n_init=1, max_iter=ITERATIONS, random_state=0).fit(sample).cluster_centers_
    centres = np.asarray(means / (np.linalg.norm(means, axis=1, keepdims=True) + 1e-30), np.float32)
    blocks = (begun[start : start + BLOCK] for start in range(0, len(begun), BLOCK))
    nearest = np.concatenate([(block @ centres.T).argmax(axis=1) for block in blocks])
    filled, own = np.unique(nearest, return_inverse=True)
    return centres[filled], own
