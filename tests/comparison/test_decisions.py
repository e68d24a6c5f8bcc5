"""Decisions and their sentences."""

import numpy as np
import pytest

from audioid.comparison.decisions import Difference, decide, pairs_to_decide
from audioid.comparison.measures import MEASURES
from audioid.comparison.pairing import Paired

ACCURACY, LOSS = MEASURES["test_accuracy"], MEASURES["test_loss"]


def by_values(*values: float, unit: str = "split", ratio: float = 0.25) -> Paired:
    return Paired(unit, np.array(values), len(values), None, None, 100, 0.5, ratio)  # type: ignore[arg-type]


def decided(paired: Paired | None, *, measure: str = "test_accuracy", margin: float = 0.01) -> Difference:
    (found,) = decide({("cwt", "fft"): paired}, MEASURES[measure], margin)
    return found


def test_a_winner_only_where_the_interval_leaves_out_zero() -> None:
    """By hand: mean 3, s = 1, (1/3 + 1/4) s^2 = 0.5833, t(2) = 4.303: 3 -+ 3.29."""
    found = decided(by_values(0.03, 0.02, 0.04))
    assert (found.decision, found.winner) == ("undecided", None)
    assert (found.low, found.high) == pytest.approx((0.03 - 0.03286, 0.03 + 0.03286), abs=1e-4)
    found = decided(by_values(0.03, 0.025, 0.035))
    assert found.verdict == "cwt better by 3.0 points, 95 % interval 1.4 to 4.6, 3 splits"
    assert (found.decision, found.winner) == ("better", "cwt")
    turned = decided(by_values(-0.03, -0.025, -0.035))
    assert turned.verdict == "fft better by 3.0 points, 95 % interval 1.4 to 4.6, 3 splits"
    assert turned.mean == pytest.approx(-0.03)


def test_the_lower_loss_wins() -> None:
    found = decided(by_values(0.03, 0.025, 0.035), measure="test_loss")
    assert found.winner == "fft"
    assert found.verdict.startswith("fft better by 0.030 nats of test loss")
    assert found.odds is not None
    assert found.odds.second > 0.9


def test_a_tie_only_where_the_interval_lies_within_the_margin() -> None:
    found = decided(by_values(0.001, -0.001, 0.002, 0.0, 0.001))
    assert found.decision == "equivalent"
    assert found.verdict.startswith("no difference of 1 point or more: cwt is 0.1 points above fft, 95 % interval -0.")
    assert decided(by_values(0.001, -0.001, 0.002, 0.0, 0.001), margin=0.001).decision == "undecided"


def test_a_sure_difference_below_the_margin_is_no_difference_of_interest() -> None:
    found = decided(by_values(0.005, 0.0051, 0.0049, 0.005))
    assert found.p_value is not None
    assert found.p_value < 0.001
    assert (found.decision, found.winner) == ("equivalent", None)


def test_undecided_says_what_would_decide() -> None:
    found = decided(by_values(0.03, -0.01, 0.05, 0.0, 0.02))
    assert found.decision == "undecided"
    assert found.verdict.startswith("undecided: more data needed; cwt is 1.8 points above fft")
    assert found.verdict.endswith(" would decide")
    ((what, count),) = found.needed.items()
    assert what in ("splits", "recordings")
    assert f"about {count:,} {what}" in found.verdict


def test_groups_are_what_is_needed_where_recordings_come_from_few() -> None:
    """Six groups of 40 recordings over five folds, each for one arm or the other: more of the same tell nothing."""
    sums = np.array([0.2, -0.15, 0.25, -0.1, 0.2, -0.15])
    n_test = np.full((5, 6), 8.0)
    influences = n_test * (sums - sums.mean()) / 48
    found = decided(Paired("split", np.full(5, sums.mean()), 5, influences, n_test, 240, 1.0, 0.25))
    ((what, count),) = found.needed.items()
    assert what == "groups"
    assert count > 6
    assert found.verdict.endswith(f"about {count:,} groups of recordings in all would decide")


def test_too_little_to_judge_by_is_said() -> None:
    assert decided(None).verdict == (
        "undecided: no runs of cwt and fft share seed, split.seed and split.fold; run both with the same ones"
    )
    assert decided(by_values(0.01)).verdict.startswith(
        "undecided: a single pair of runs, cwt is 1.0 points above fft, does not show how much chance there is in it"
    )
    assert "no spread to judge by" in decided(by_values(0.01, 0.01)).verdict


def test_several_differences_are_held_to_levels_together() -> None:
    """Bonferroni for intervals, Holm for p-values."""
    values = {("a", "b"): (0.03, 0.02, 0.04), ("a", "c"): (0.05, 0.04, 0.065), ("b", "c"): (0.02, 0.02, 0.025)}
    alone = {names: decide({names: by_values(*each)}, ACCURACY, 0.01)[0] for names, each in values.items()}
    together = decide({names: by_values(*each) for names, each in values.items()}, ACCURACY, 0.01)
    for found in together:
        one = alone[found.first, found.second]
        assert found.confidence == pytest.approx(1 - 0.05 / 3)
        assert found.low is not None and one.low is not None and found.low < one.low  # noqa: PT018
        assert found.verdict.startswith(f"{found.first} and {found.second}: ")
    raw = sorted(found.p_value for found in alone.values() if found.p_value is not None)
    adjusted = sorted(found.p_value for found in together if found.p_value is not None)
    assert adjusted == pytest.approx([3 * raw[0], max(3 * raw[0], 2 * raw[1]), max(2 * raw[1], raw[2])])


def test_a_winner_whose_joint_interval_reaches_zero_may_be_ahead_by_little() -> None:
    """Holm's largest p-value has the whole level; Bonferroni's interval is wider."""
    values = {("a", "b"): (0.30, 0.31, 0.32), ("a", "c"): (0.30, 0.31, 0.32), ("b", "c"): (0.030, 0.025, 0.037)}
    *_, found = decide({names: by_values(*each) for names, each in values.items()}, ACCURACY, 0.01)
    assert found.decision == "better"
    assert found.low is not None
    assert found.low < 0
    assert found.verdict.endswith("; it may be less than the margin of 1 point")


def test_the_convention_s_interval_stands_beside() -> None:
    influences = np.zeros((5, 50))
    n_test = np.zeros((5, 50))
    rng = np.random.default_rng(0)
    values = []
    for fold in range(5):
        row = rng.choice([-1.0, 0.0, 1.0], 10, p=[0.05, 0.75, 0.2])
        values.append(row.mean())
        influences[fold, 10 * fold : 10 * fold + 10] = (row - row.mean()) / 10
        n_test[fold, 10 * fold : 10 * fold + 10] = 1
    found = decided(Paired("split", np.array(values), 5, influences, n_test, 50, 1.0, 0.25))
    by_hand = (1 / 5 + 1 / 4) * np.var(values, ddof=1)
    assert found.corrected_t is not None
    assert found.corrected_t[1] - found.corrected_t[0] == pytest.approx(2 * 2.776445 * by_hand**0.5, rel=1e-5)
    assert found.low != found.corrected_t[0]


def test_few_arms_are_all_paired_and_many_with_the_best() -> None:
    assert len(pairs_to_decide(list("abcd"), "c")) == 6
    assert pairs_to_decide(list("abcde"), "c") == [("c", "a"), ("c", "b"), ("c", "d"), ("c", "e")]


def test_no_interval_leaves_what_is_possible() -> None:
    found = decided(by_values(0.5, -0.5))
    assert (found.low, found.high) == (-1.0, 1.0)
