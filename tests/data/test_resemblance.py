"""The search for resembling fingerprints: in cells it finds what all with all finds."""

import numpy as np
import pytest
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from audioid.data import resemblance
from audioid.data.resemblance import ALL_FRAMES, BANDS, CANDIDATES, LAGS, LEAST_RESEMBLANCE, resembling

Prints = NDArray[np.float32]
COUNT = 600


@pytest.fixture
def random() -> Generator:
    return default_rng(0)


def fingerprints(count: int, frames: int, random: Generator) -> Prints:
    """Powers that change slowly along frames, `(count, frames, band)`."""
    noise = random.standard_normal((count, frames + 8, len(BANDS) - 1))
    smooth = sum(noise[:, shift : shift + frames] for shift in range(8)) / np.sqrt(8)
    return np.asarray(10**smooth, np.float32)


def with_copies(random: Generator) -> tuple[Prints, set[tuple[int, int]]]:
    """Fingerprints, the later half of which are the earlier ones again, some frames later and a little changed."""
    long = fingerprints(COUNT // 2, ALL_FRAMES + LAGS, random)
    lags = random.integers(0, LAGS, len(long))
    late = np.stack([one[lag : lag + ALL_FRAMES] for one, lag in zip(long, lags, strict=True)])
    late = late * 10 ** (0.1 * random.standard_normal(late.shape))
    prints = np.concatenate([long[:, :ALL_FRAMES], late]).astype(np.float32)
    return prints, {(row, row + COUNT // 2) for row in range(COUNT // 2)}


def pairs(prints: Prints) -> set[tuple[int, int]]:
    return set(map(tuple, resembling(prints).tolist()))


def in_cells(prints: Prints, monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, int]]:
    monkeypatch.setattr(resemblance, "ALL_WITH_ALL", 10)
    return pairs(prints)


def likeness(prints: Prints, one: int, other: int) -> float:
    """By definition: the largest correlation of decibels at any lag of either."""

    def decibels(row: int, lag: int) -> NDArray[np.float64]:
        part = prints[row, lag : lag + 64 : 4].astype(np.float64)
        return np.maximum(10 * np.log10(part / part.max()), -30).ravel()

    begun = decibels(one, 0), decibels(other, 0)
    return max(
        np.corrcoef(decibels(row, lag), start)[0, 1]
        for lag in range(LAGS)
        for row, start in ((one, begun[1]), (other, begun[0]))
    )


def test_copies_are_found_in_cells_and_in_all(random: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    prints, copies = with_copies(random)
    assert pairs(prints) == copies
    assert in_cells(prints, monkeypatch) == copies


def test_what_is_found_resembles(random: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of one instrument many strokes, so that there are more that resemble one another than are asked for.
    base = fingerprints(10, ALL_FRAMES, random)
    off = 10 ** (0.3 * random.standard_normal((400, ALL_FRAMES, len(BANDS) - 1)))
    prints: Prints = (np.repeat(base, 40, axis=0) * off).astype(np.float32)
    every, found = pairs(prints), in_cells(prints, monkeypatch)
    assert len(every & found) > 0.95 * len(every)
    assert all(likeness(prints, *pair) >= LEAST_RESEMBLANCE - 1e-3 for pair in sorted(found)[::97])
    monkeypatch.setattr(resemblance, "MOST_MEMBERS", 7)  # no cell is too full
    assert in_cells(prints, monkeypatch) == found


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_a_crowd_of_equals_is_joined_and_costs_no_more_than_its_candidates(
    random: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints = np.repeat(fingerprints(1, ALL_FRAMES, random), 300, axis=0)
    found = in_cells(prints, monkeypatch)
    assert 300 * CANDIDATES / 2 <= len(found) <= 300 * CANDIDATES


def test_none_and_one() -> None:
    for count in (0, 1):
        assert resembling(np.ones((count, ALL_FRAMES, len(BANDS) - 1), np.float32)).shape == (0, 2)
