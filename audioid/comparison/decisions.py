"""From paired differences to decisions, each told in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from audioid.comparison.measures import Measure
from audioid.comparison.pairing import EQUAL, Paired
from audioid.comparison.statistics import Estimate, holm, needed

CONFIDENCE = 0.95
# Differences of accuracy below this are of no practical interest.
MARGIN = 0.01
MOST_ARMS_IN_PAIRS = 4

Decision = Literal["better", "equivalent", "undecided"]


@dataclass(frozen=True)
class Odds:
    """Probabilities, given the runs, that `first` or `second` is better by more than the margin, or neither."""

    first: float
    neither: float
    second: float


@dataclass(frozen=True)
class Difference:
    """The measure of `first` minus that of `second` over `n` paired runs.

    Attributes:
        units: how many splits (or seeds over one split, see `unit`) stand behind it.
        low: with `high` the interval at `confidence`, wide enough for all differences of the comparison to lie in
            theirs together with 95 %; None where there is nothing to judge by.
        p_value: of no difference, adjusted by Holm for the number of differences.
        odds: see there.
        corrected_t: the interval of the corrected resampled t at the same confidence, for those who want the
            convention; None over one split.
        winner: where the decision is `better`.
        decision: `better`: no difference would be rejected at 5 %, all differences together. `equivalent`: the
            interval lies within the margin. Else `undecided`.
        needed: what would decide, in all: `{"splits": 14}`, `{"seeds": 9}`, `{"recordings": 2000}` or
            `{"groups": 80}`; empty else.
    """

    first: str
    second: str
    n: int
    units: int
    unit: str
    mean: float | None
    low: float | None
    high: float | None
    confidence: float | None
    p_value: float | None
    odds: Odds | None
    corrected_t: tuple[float, float] | None
    winner: str | None
    decision: Decision
    needed: Mapping[str, int]
    verdict: str


def decide(pairs: Mapping[tuple[str, str], Paired | None], measure: Measure, margin: float) -> list[Difference]:
    """A decision on each pair of arms; the levels are shared where there are several."""
    estimates = {names: estimate_of(found, measure) for names, found in pairs.items()}
    judged = {names: found for names, found in estimates.items() if found}
    p_values = dict(zip(judged, holm([found.p_value for found in judged.values()]), strict=True))
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(pairs))
    return [
        _difference(
            names, pairs[names], found, p_values.get(names), confidence, measure, margin, several=len(pairs) > 1
        )
        for names, found in estimates.items()
    ]


def estimate_of(found: Paired | None, measure: Measure) -> Estimate | None:
    """The mean difference and its error; None where there is nothing to judge by."""
    return found.estimate(1 / found.tested if measure.is_share else 0.0) if found else None


def _difference(
    names: tuple[str, str],
    found: Paired | None,
    estimate: Estimate | None,
    p_value: float | None,
    confidence: float,
    measure: Measure,
    margin: float,
    *,
    several: bool,
) -> Difference:
    about = f"{names[0]} and {names[1]}: " if several else ""
    units, unit = (len(found.values), found.unit) if found else (0, "split")
    if found is None or estimate is None or p_value is None:
        mean = None if found is None else float(found.values.mean())
        verdict = about + _nothing_to_judge_by(names, found, measure)
        n = found.pairs if found else 0
        return Difference(
            *names, n, units, unit, mean, None, None, None, None, None, None, None, "undecided", {}, verdict
        )
    low, high = estimate.interval(confidence)
    if measure.is_share:
        low, high = max(low, -1.0), min(high, 1.0)
    above, within, below = estimate.probabilities(margin)
    odds = Odds(above, within, below) if measure.is_share else Odds(below, within, above)
    is_equivalent = -margin < low and high < margin
    is_better = p_value <= 1 - CONFIDENCE and not is_equivalent
    leader = names[0] if (estimate.mean > 0) == measure.is_share else names[1]
    decision: Decision = "equivalent" if is_equivalent else "better" if is_better else "undecided"
    more = {} if decision != "undecided" else _needed(found, estimate, margin, confidence)
    corrected = found.by_units() if found.unit == "split" else None
    sentence = _sentence(names, leader, decision, estimate, (low, high), confidence, measure, margin, found)
    return Difference(
        *names,
        found.pairs,
        units,
        unit,
        estimate.mean,
        low,
        high,
        confidence,
        p_value,
        odds,
        corrected.interval(confidence) if corrected and corrected.error > EQUAL else None,
        leader if is_better else None,
        decision,
        more,
        about + sentence + _wish(more),
    )


def _needed(found: Paired, estimate: Estimate, margin: float, confidence: float) -> dict[str, int]:
    floor = estimate.recordings * (found.of_corpus if found.unit == "split" else 1.0)
    more = needed(estimate, len(found.values), margin=margin, confidence=confidence, floor=floor)
    if more.units is not None:
        return {f"{found.unit}s": more.units}
    if more.recordings is None:
        return {}
    # Of many recordings of few groups it is the groups that count.
    clusters = found.tested if found.influences is None else found.influences.shape[1]
    what, count = ("groups", clusters) if 2 * clusters <= found.tested else ("recordings", found.tested)
    return {what: int(float(f"{count / found.of_corpus * more.recordings:.2g}"))}


def _nothing_to_judge_by(names: tuple[str, str], found: Paired | None, measure: Measure) -> str:
    if found is None:
        return (
            f"undecided: no runs of {names[0]} and {names[1]} share seed, split.seed and split.fold; "
            "run both with the same ones"
        )
    gap = _gap(names, float(found.values.mean()), measure)
    if found.pairs == 1:
        return (
            f"undecided: a single pair of runs, {gap}, does not show how much chance there is in it; "
            "several splits are needed, as experiment=compare has them"
        )
    return (
        f"undecided: in all {found.pairs} paired runs {gap}, so there is no spread to judge by; other splits are needed"
    )


def _sentence(
    names: tuple[str, str],
    leader: str,
    decision: Decision,
    estimate: Estimate,
    interval: tuple[float, float],
    confidence: float,
    measure: Measure,
    margin: float,
    found: Paired,
) -> str:
    """A winner only where no difference is rejected, a tie only where the interval lies within the margin."""
    # Told from the leader's side, in units of which more is better.
    turned = estimate.mean < 0
    low, high = sorted(-each if turned else each for each in interval)
    mean = abs(estimate.mean)
    sure = f"{100 * confidence:.3g} % interval {points(low, measure)} to {points(high, measure)}, {_basis(found)}"
    if decision == "better":
        loss = "" if measure.is_share else f" of {measure.name}"
        small = f"; it may be less than the margin of {margin_told(margin, measure)}" if low < margin else ""
        return f"{leader} better by {points(mean, measure)} {measure.unit}{loss}, {sure}{small}"
    gap = _gap(names, estimate.mean, measure)
    if decision == "equivalent":
        return f"no difference of {margin_told(margin, measure)} or more: {gap}, {sure}"
    return f"undecided: more data needed; {gap}, {sure}"


def _basis(found: Paired) -> str:
    seeds = found.pairs / len(found.values)
    if found.unit == "seed":
        return f"{found.pairs} seeds over one split"
    if seeds != int(seeds):
        return f"{found.pairs} runs of each over {len(found.values)} splits"
    return f"{len(found.values)} splits" + (f" x {seeds:g} seeds" if seeds > 1 else "")


def margin_told(margin: float, measure: Measure) -> str:
    """Such as `1 point`."""
    amount = measure.scale * margin
    return f"{amount:g} {'point' if measure.unit == 'points' and amount == 1 else measure.unit}"


def _wish(more: Mapping[str, int]) -> str:
    for what, count in more.items():
        how = {"recordings": "recordings in all", "groups": "groups of recordings in all"}.get(what, what)
        return f"; if it stays so, about {count:,} {how} would decide"
    return ""


def points(value: float, measure: Measure) -> str:
    """The value in the measure's unit, with as many digits as it bears."""
    amount = measure.scale * value
    digits = 1 if measure.is_share else 3
    if abs(amount) < 0.5 * 10**-digits and amount:
        digits += 1
    return f"{amount:.{digits}f}"


def _gap(names: tuple[str, str], mean: float, measure: Measure) -> str:
    if abs(mean) < EQUAL:
        return "they are equal on average"
    ahead, behind = names if (mean > 0) == measure.is_share else names[::-1]
    where = "above" if measure.is_share else f"of {measure.name} better than"
    return f"{ahead} is {points(abs(mean), measure)} {measure.unit} {where} {behind}"


def pairs_to_decide(names: Sequence[str], best: str) -> list[tuple[str, str]]:
    """All pairs of few arms; of more than four, each with the one that validation puts first."""
    if len(names) <= MOST_ARMS_IN_PAIRS:
        return [(one, two) for place, one in enumerate(names) for two in names[place + 1 :]]
    return [(best, name) for name in names if name != best]
