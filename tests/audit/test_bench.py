"""What the benchmark of the audit counts."""

import pytest

from scripts.bench_large_corpus import growths


def test_growth_is_the_power_of_the_number_and_none_where_a_figure_is_0() -> None:
    small = {"seconds": 2.0, "pairs": 3.0, "other pairs": 5.0, "page": 0.0}
    large = {"seconds": 20.0, "pairs": 300.0, "other pairs": 0.0, "page": 4.0}
    assert growths(small, large, times=10) == pytest.approx({"seconds": 1, "pairs": 2})
