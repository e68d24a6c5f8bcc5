"""Several corpora side by side: which arm wins where, and whether that is consistent.

A comparison over data sets asks another question than one over splits: not whether this corpus's recordings are told
apart better, but whether corpora like these are. Each corpus counts once (Demsar 2006, "Statistical comparisons of
classifiers over multiple data sets").
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from audioid.comparison import words
from audioid.comparison.decisions import CONFIDENCE, Difference
from audioid.comparison.measures import Measure
from audioid.comparison.statistics import holm
from audioid.comparison.study import Study, Summary
from audioid.comparison.tables import Table

# With fewer, not even one arm ahead in every corpus has a p-value below 5 % (two-sided: 2 / 2^5 = 6.25 %).
FEWEST_CORPORA = 6


@dataclass(frozen=True)
class Consistency:
    """Of two arms over corpora: `first` minus `second`.

    `p_value` is that of Wilcoxon's signed ranks, exact, adjusted by Holm where there are several pairs of arms;
    None where fewer than two corpora differ. `ahead` counts the corpora whose mean is above zero, `better` and
    `worse` those that are decided.
    """

    first: str
    second: str
    corpora: int
    ahead: int
    better: int
    worse: int
    equivalent: int
    mean: float
    p_value: float | None
    sentence: str


def headline_of(study: Study) -> tuple[list[Summary], list[Difference]]:
    return study.comparisons[0].summaries, study.comparisons[0].differences


def table_of(studies: Mapping[str, Study]) -> Table:
    """A row a corpus: each arm's measure with its interval, and each decision."""
    arms = _names(studies)
    headers = ["corpus", "recordings", "measure", *arms, "decision"]
    return headers, [_row(name, study, arms) for name, study in studies.items()]


def tidy(studies: Mapping[str, Study]) -> list[list[Any]]:
    """What `suite.csv` holds: a row for each arm of each corpus under the first."""
    rows = [
        [name, each.arm.name, study.measure.key, each.n, each.mean, each.low, each.high]
        for name, study in studies.items()
        for each in headline_of(study)[0]
    ]
    return [["corpus", "arm", "metric", "n", "mean", "low", "high"], *rows]


def _names(studies: Mapping[str, Study]) -> list[str]:
    return list(dict.fromkeys(each.arm.name for study in studies.values() for each in headline_of(study)[0]))


def _row(name: str, study: Study, arms: Sequence[str]) -> list[str]:
    summaries, differences = headline_of(study)
    by_name = {each.arm.name: each for each in summaries}
    run = study.runs[0]
    cells = [words.with_interval(by_name.get(arm), study.measure) for arm in arms]
    decisions = (
        "; ".join(words.decision(each, study.measure, is_only=len(differences) == 1) for each in differences) or "-"
    )
    return [name, f"{run.n_train + run.n_val + run.n_test:,}", study.measure.name, *cells, decisions]


def consistency(studies: Mapping[str, Study]) -> list[Consistency]:
    """For each pair of arms that at least two corpora compared."""
    pairs: dict[tuple[str, str], list[tuple[Difference, Measure]]] = {}
    for study in studies.values():
        for each in headline_of(study)[1]:
            if each.mean is not None:
                names = (each.first, each.second)  # of many arms that which is best here comes first
                names = names if names[::-1] not in pairs else names[::-1]
                pairs.setdefault(names, []).append((each, study.measure))
    pairs = {names: found for names, found in pairs.items() if len(found) > 1}
    raw = {names: _signed_ranks([_gain(names[0], *each) for each in found]) for names, found in pairs.items()}
    tested = [names for names, p_value in raw.items() if p_value is not None]
    adjusted = dict(zip(tested, holm([raw[names] or 0.0 for names in tested]), strict=True))
    return [_consistency(*names, found, adjusted.get(names)) for names, found in pairs.items()]


def _gain(first: str, difference: Difference, measure: Measure) -> float:
    """By how much the arm `first` is better."""
    mean = difference.mean or 0.0
    return mean if measure.is_share == (difference.first == first) else -mean


def _signed_ranks(differences: Sequence[float]) -> float | None:
    """Wilcoxon's two-sided p-value; corpora without a difference are left out, as he did."""
    apart = [each for each in differences if each]
    return float(stats.wilcoxon(apart).pvalue) if len(apart) > 1 else None


def _consistency(
    first: str, second: str, found: Sequence[tuple[Difference, Measure]], p_value: float | None
) -> Consistency:
    values = [_gain(first, *each) for each in found]
    ahead = sum(value > 0 for value in values)
    behind = sum(value < 0 for value in values)
    winners = [each.winner for each, _ in found]
    leader, count = (first, ahead) if ahead >= behind else (second, behind)
    text = f"{leader} is ahead in {count} of {len(values)} corpora"
    if p_value is not None:
        sure = p_value <= 1 - CONFIDENCE
        text += f" (signed ranks: p = {p_value:.2g}), {'consistently so' if sure else 'which may be chance'}"
    if len(values) < FEWEST_CORPORA:
        text += f"; {len(values)} corpora are too few for this test to find anything, {FEWEST_CORPORA} the fewest"
    return Consistency(
        first,
        second,
        len(values),
        ahead,
        winners.count(first),
        winners.count(second),
        sum(each.decision == "equivalent" for each, _ in found),
        float(np.mean(values)),
        p_value,
        f"{first} and {second}: {text}.",
    )


def plain(studies: Mapping[str, Study]) -> dict[str, Any]:
    """What `suite.json` holds."""
    return {
        "corpora": [
            {
                "corpus": name,
                "metric": study.measure.key,
                "arms": [
                    {"arm": each.arm.name, "n": each.n, "mean": each.mean, "low": each.low, "high": each.high}
                    for each in headline_of(study)[0]
                ],
                "differences": [asdict(each) for each in headline_of(study)[1]],
                "warnings": study.comparisons[0].warnings,
            }
            for name, study in studies.items()
        ],
        "consistency": [asdict(each) for each in consistency(studies)],
    }
