"""Several corpora side by side: which arm wins where, and whether that is consistent.

A comparison over data sets asks another question than one over splits: not whether this corpus's recordings are told
apart better, but whether corpora like these are. Each corpus counts once (Demsar 2006, "Statistical comparisons of
classifiers over multiple data sets").
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import ceil, log2
from typing import Any

import numpy as np
from scipy import stats

from audioid.comparison import words
from audioid.comparison.decisions import CONFIDENCE, Difference, decide
from audioid.comparison.measures import Measure
from audioid.comparison.pairing import pair
from audioid.comparison.statistics import holm
from audioid.comparison.study import Study, Summary
from audioid.comparison.tables import Table


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


def arms_of(study: Study) -> list[Summary]:
    return study.comparisons[0].summaries


def differences_of(study: Study) -> list[Difference]:
    """Between all pairs of arms, however many there are.

    Were a pair judged only where one of the two is best, as a study of many arms does, the outcome would choose the
    corpora that count, and one of two equal arms with more spread would be found ahead too often.
    """
    runs = {each.arm.name: each.arm.runs for each in arms_of(study)}
    pairs = {names: pair(runs[names[0]], runs[names[1]], study.evidence) for names in combinations(runs, 2)}
    return decide(pairs, study.measure, study.margin)


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
        for each in arms_of(study)
    ]
    return [["corpus", "arm", "metric", "n", "mean", "low", "high"], *rows]


def _names(studies: Mapping[str, Study]) -> list[str]:
    return list(dict.fromkeys(each.arm.name for study in studies.values() for each in arms_of(study)))


def _row(name: str, study: Study, arms: Sequence[str]) -> list[str]:
    by_name = {each.arm.name: each for each in arms_of(study)}
    run = study.runs[0]
    cells = [words.with_interval(by_name.get(arm), study.measure) for arm in arms]
    decisions = words.decisions(differences_of(study), study.measure) or "-"
    return [name, f"{run.n_train + run.n_val + run.n_test:,}", study.measure.name, *cells, decisions]


def consistency(studies: Mapping[str, Study]) -> list[Consistency]:
    """For each pair of arms that at least two corpora compared."""
    pairs: dict[tuple[str, str], list[tuple[Difference, Measure]]] = {}
    for study in studies.values():
        for each in differences_of(study):
            if each.mean is not None:
                names = (each.first, each.second)  # settings come as this corpus's validation ranks them
                names = names if names[::-1] not in pairs else names[::-1]
                pairs.setdefault(names, []).append((each, study.measure))
    pairs = {names: found for names, found in pairs.items() if len(found) > 1}
    raw = {names: _signed_ranks([_gain(names[0], *each) for each in found]) for names, found in pairs.items()}
    tested = [names for names, p_value in raw.items() if p_value is not None]
    adjusted = dict(zip(tested, holm([raw[names] or 0.0 for names in tested]), strict=True))
    fewest = fewest_corpora(len(tested))
    return [_consistency(*names, found, adjusted.get(names), fewest) for names, found in pairs.items()]


def fewest_corpora(pairs: int) -> int:
    """With fewer, not even an arm ahead in every corpus is consistently so: of `n` the two-sided p-value is 2 / 2^n,
    and Holm has the smallest of several times their number."""
    return ceil(log2(2 * max(1, pairs) / (1 - CONFIDENCE)))


def _gain(first: str, difference: Difference, measure: Measure) -> float:
    """By how much the arm `first` is better."""
    mean = difference.mean or 0.0
    return mean if measure.is_share == (difference.first == first) else -mean


def _signed_ranks(differences: Sequence[float]) -> float | None:
    """Wilcoxon's two-sided p-value; corpora without a difference are left out, as he did."""
    apart = [each for each in differences if each]
    return float(stats.wilcoxon(apart).pvalue) if len(apart) > 1 else None


def _consistency(
    first: str, second: str, found: Sequence[tuple[Difference, Measure]], p_value: float | None, fewest: int
) -> Consistency:
    values = [_gain(first, *each) for each in found]
    ahead = sum(value > 0 for value in values)
    behind = sum(value < 0 for value in values)
    winners = [each.winner for each, _ in found]
    leader, count = (first, ahead) if ahead >= behind else (second, behind)
    text = f"{leader} is ahead in {count} of {len(values)} corpora"
    sure = p_value is not None and p_value <= 1 - CONFIDENCE
    if p_value is not None:
        text += f" (signed ranks: p = {p_value:.2g}), {'consistently so' if sure else 'which may be chance'}"
    if len(values) < fewest and not sure:
        text += f"; {len(values)} corpora are too few for this test to find anything, {fewest} the fewest"
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
                    for each in arms_of(study)
                ],
                "differences": [asdict(each) for each in differences_of(study)],
                "warnings": study.comparisons[0].warnings,
            }
            for name, study in studies.items()
        ],
        "consistency": [asdict(each) for each in consistency(studies)],
    }
