"""Ticks lie where their values do."""

import numpy as np
import pytest

from audioid.pipeline.axes import round_ticks
from audioid.transforms.scales import frequency_grid


@pytest.mark.parametrize("scale", ["log", "mel"])
def test_frequency_ticks_are_round_and_lie_where_their_frequency_does(scale: str) -> None:
    frequencies = np.array(frequency_grid(100, 40, 10000, scale))
    places, texts = round_ticks(frequencies)
    assert {"100", "500", "1k", "2k", "5k", "10k"} <= set(texts)
    for place, text in zip(places, texts, strict=True):
        hertz = float(text.replace("k", "e3"))
        assert f"{hertz:.0e}"[0] in "125"
        between = frequencies[[int(np.floor(place)), int(np.ceil(place))]]
        assert between[0] <= hertz * (1 + 1e-9)
        assert hertz <= between[1] * (1 + 1e-9)
    assert np.diff(np.sort(places)).min() >= 100 / 14


def test_a_narrow_band_has_ticks_too() -> None:
    assert round_ticks(np.geomspace(300, 480, 50))[1] == ["300", "350", "400", "450"]


def test_ticks_of_even_rows_are_evenly_spaced() -> None:
    places, texts = round_ticks(np.linspace(40, 10000, 100))
    assert texts == ["0", "2k", "4k", "6k", "8k", "10k"]
    np.testing.assert_allclose(places, [99 * (hertz - 40) / 9960 for hertz in (0, 2000, 4000, 6000, 8000, 10000)])
    assert round_ticks(np.arange(20.0))[1] == ["0", "5", "10", "15"]


def test_the_time_axis_begins_at_the_edge_of_the_first_column() -> None:
    places, texts = round_ticks((np.arange(50) + 0.5) / 50)
    assert texts == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    np.testing.assert_allclose(places, np.arange(6) * 10 - 0.5)
