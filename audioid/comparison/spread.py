"""Which of two arms is more consistent: the spread of the measure over splits, or over the seeds of one split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audioid.comparison.decisions import CONFIDENCE, Difference, points
from audioid.comparison.measures import Measure
from audioid.comparison.pairing import Evidence, sides_of
from audioid.comparison.records import Run
from audioid.comparison.statistics import FEWEST_UNITS, Ratio, Values, deviation_interval, holm, pitman_morgan


@dataclass(frozen=True)
class Deviation:
    """A standard deviation with its interval at 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """The standard deviations of the measure of two arms over the `units` that both ran (see `Difference.unit`).

    Attributes:
        ratio: that of `first` over that of `second`.
        low: with `high` the ratio's interval at `confidence`, wide enough for those of all pairs of arms to hold the
            truth together with 95 %.
        p_value: of equal deviations (`statistics.pitman_morgan`), adjusted by Holm for the number of pairs.
        more_consistent: the arm of the smaller one, where equal ones would be rejected at 5 %.
    """

    first: str
    second: str
    units: int
    unit: str
    deviations: tuple[Deviation, Deviation]
    ratio: float
    low: float
    high: float
    confidence: float
    p_value: float
    more_consistent: str | None
    sentence: str


def spreads(differences: Sequence[Difference], runs: Mapping[str, list[Run]], evidence: Evidence) -> list[Spread]:
    """One for each pair of arms that is compared, but for those with too few units, or with an arm that does not vary.

    Args:
        runs: of each arm.
    """
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(differences))
    found = []
    for each in differences:
        if each.units >= FEWEST_UNITS:
            sides = sides_of(runs[each.first], runs[each.second], evidence)
            if ratio := pitman_morgan(sides[:, 0], sides[:, 1], confidence):
                found.append((each, sides, ratio))
    p_values = holm([ratio.p_value for _, _, ratio in found])
    return [
        _spread(each, sides, ratio, p_value, confidence, evidence.measure)
        for (each, sides, ratio), p_value in zip(found, p_values, strict=True)
    ]


def _spread(
    about: Difference, sides: Values, ratio: Ratio, p_value: float, confidence: float, measure: Measure
) -> Spread:
    names = (about.first, about.second)
    first, second = (Deviation(float(side.std(ddof=1)), *deviation_interval(side, CONFIDENCE)) for side in sides.T)
    more_consistent = names[ratio.value > 1] if p_value <= 1 - CONFIDENCE else None
    told = ", ".join(_told(name, each, measure) for name, each in zip(names, (first, second), strict=True))
    decision = f"{more_consistent or 'neither'} is shown to be more consistent on these recordings"
    return Spread(
        *names,
        about.units,
        about.unit,
        (first, second),
        ratio.value,
        ratio.low,
        ratio.high,
        confidence,
        p_value,
        more_consistent,
        f"spread over {about.units} {about.unit}s (standard deviation in {measure.unit} with 95 % interval): {told}; "
        f"ratio {ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f}), p = {p_value:.2g}: {decision}",
    )


def _told(name: str, found: Deviation, measure: Measure) -> str:
    low, high = points(found.low, measure), points(found.high, measure)
    return f"{name} {points(found.value, measure)} ({low} to {high})"


def worth_telling(found: Sequence[Spread]) -> list[Spread]:
    """The only one; of several those in which an arm is shown to be more consistent."""
    return [each for each in found if len(found) == 1 or each.more_consistent]
