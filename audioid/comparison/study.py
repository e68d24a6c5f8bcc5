"""What a folder of runs shows: comparisons of arms, the ranking of all settings, how much each key matters."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioid.comparison import arms as _arms
from audioid.comparison.arms import ARM, Arm, Setting
from audioid.comparison.decisions import CONFIDENCE, MARGIN, Difference, decide, estimate_of, pairs_to_decide, points
from audioid.comparison.measures import MEASURES, Measure
from audioid.comparison.pairing import Evidence, alone, pair
from audioid.comparison.premises import warnings
from audioid.comparison.records import Run, varying
from audioid.comparison.spread import Spread, spreads

RECORDINGS = "recordings"  # what a study's are called beside its settings


@dataclass(frozen=True)
class Cost:
    """Medians over an arm's runs; None where no run tells."""

    transform_ms_per_clip: float | None
    decode_ms_per_file: float | None
    fit_seconds: float | None
    parameters: int | None
    multiply_adds: int | None
    peak_memory_mib: float | None


@dataclass(frozen=True)
class Summary:
    """Of one arm; the measure's mean is over splits of the mean over seeds, `std` over runs.

    `low` and `high` are the 95 % interval of the mean, for this arm alone: arms share recordings, so that of their
    difference is narrower than these two suggest.
    """

    arm: Arm
    n: int
    mean: float
    std: float | None
    low: float | None
    high: float | None
    min: float
    max: float
    test_accuracy: float
    train_accuracy: float
    cost: Cost


@dataclass(frozen=True)
class Comparison:
    """Of the values of one `key`, each at its best setting by validation; of all settings where `key` is None."""

    key: str | None
    summaries: list[Summary]
    differences: list[Difference]
    spreads: list[Spread]
    warnings: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Study:
    """Of runs over the same recordings, parted in the same way.

    Attributes:
        title: the corpus, and what else tells these runs from those of the folder's other studies.
        settings: all that tells them from those.
        keys: what was varied, the transform first.
        ranking: every setting, the best by validation first.
        importance: of each key, see `arms.importance`.
        comparisons: one for each key, the headline first.
    """

    title: str
    settings: Mapping[str, str]
    measure: Measure
    margin: float
    runs: list[Run]
    keys: list[str]
    ranking: list[Setting]
    importance: Mapping[str, float]
    comparisons: list[Comparison]
    evidence: Evidence


def studies(runs: Sequence[Run], *, metric: str = "auto", margin: float = MARGIN) -> list[Study]:
    """One study for each set of recordings and way of parting them, as their settings sort; what is of two is never
    judged together.

    Args:
        metric: a key of `MEASURES`, or `auto`: macro F1 where the classes are uneven, else accuracy.
        margin: the largest difference of no practical interest.
    """
    groups = defaultdict(list)
    for run in runs:
        groups[_arms.protocol_of(run)].append(run)
    identities = [{RECORDINGS: digest[:8], **dict(shared)} for digest, shared in groups]
    keys = varying(identities)
    found = [
        _study({key: identity.get(key, "-") for key in keys}, group, metric, margin)
        for identity, group in zip(identities, groups.values(), strict=True)
    ]
    return sorted(found, key=lambda each: [_arms.order_of(value) for value in each.settings.values()])


def _study(settings: dict[str, str], runs: list[Run], metric: str, margin: float) -> Study:
    if metric == "auto":
        metric = "test_macro_f1" if any(run.uneven_classes for run in runs) else "test_accuracy"
    measure = MEASURES[metric]
    keys = _arms.keys_of(runs)
    ranking = _arms.settings_of(runs, keys, measure)
    evidence = Evidence(measure)
    can_choose = all(each.validation is not None for each in ranking) or len(keys) <= 1
    compared: list[str | None] = list(keys) if can_choose and keys else [None if keys else ARM]
    comparisons = [_comparison(runs, key, keys, evidence, margin) for key in compared]
    return Study(
        title=_title(runs[0].corpus, settings),
        settings=settings,
        measure=measure,
        margin=margin,
        runs=runs,
        keys=keys,
        ranking=ranking,
        importance=_arms.importance(runs, keys, measure),
        comparisons=comparisons,
        evidence=evidence,
    )


def number_apart(studies: Sequence[Study]) -> str | None:
    """The key that tells the studies apart, where it is the only one and has numbers; None as well of unlike measures.

    Such is `split.train_per_class`, whose every value is a study of its own.
    """
    keys = {key for each in studies for key in each.settings}
    if len(keys) != 1 or keys == {RECORDINGS} or len({each.measure for each in studies}) > 1:
        return None
    (key,) = keys
    return key if sum(_arms.is_number(each.settings[key]) for each in studies) > 1 else None


def _title(corpus: str, settings: Mapping[str, str]) -> str:
    told = [f"{key}={value}" for key, value in settings.items() if value != "-" and not key.startswith("data")]
    return ", ".join([corpus, *told])


def _comparison(
    runs: Sequence[Run], key: str | None, keys: Sequence[str], evidence: Evidence, margin: float
) -> Comparison:
    measure = evidence.measure
    arms = _arms.arms_of(runs, key, keys, measure)
    by_name = {arm.name: arm for arm in arms}
    best = max(arms, key=lambda arm: _goodness(arm, measure))
    chosen = pairs_to_decide(list(by_name), best.name)
    pairs = {names: pair(by_name[names[0]].runs, by_name[names[1]].runs, evidence) for names in chosen}
    differences = decide(pairs, measure, margin)
    return Comparison(
        key=key,
        summaries=[_summary(arm, evidence) for arm in arms],
        differences=differences,
        spreads=spreads(differences, {arm.name: arm.runs for arm in arms}, evidence),
        warnings=warnings(arms, evidence, measure, margin),
        notes=_notes(arms, differences, measure),
    )


def _goodness(arm: Arm, measure: Measure) -> float:
    value = arm.validation if arm.validation is not None else -np.inf
    return value if measure.is_share else -value


def _summary(arm: Arm, evidence: Evidence) -> Summary:
    measure = evidence.measure
    low, high = interval_of(arm.runs, evidence) or (None, None)
    by_split = defaultdict(list)
    for run in arm.runs:
        by_split[run.split].append(getattr(run, measure.key))
    values = np.array([value for found in by_split.values() for value in found])
    return Summary(
        arm=arm,
        n=len(values),
        mean=float(np.mean([np.mean(found) for found in by_split.values()])),
        std=float(values.std(ddof=1)) if len(values) > 1 else None,
        low=low,
        high=high,
        min=float(values.min()),
        max=float(values.max()),
        test_accuracy=float(np.mean([run.test_accuracy for run in arm.runs])),
        train_accuracy=float(np.mean([run.train_accuracy for run in arm.runs])),
        cost=cost_of(arm.runs),
    )


def interval_of(runs: Sequence[Run], evidence: Evidence) -> tuple[float, float] | None:
    """At 95 % of the runs' mean by itself; None where there is nothing to judge by."""
    estimate = estimate_of(alone(runs, evidence), evidence.measure)
    if estimate is None:
        return None
    low, high = estimate.interval(CONFIDENCE)
    return max(low, 0.0), min(high, 1.0) if evidence.measure.is_share else high


def cost_of(runs: Sequence[Run]) -> Cost:
    """Medians over the runs."""
    found: dict[str, float | None] = {}
    for key in Cost.__dataclass_fields__:
        values = [getattr(run, key) for run in runs if getattr(run, key) is not None]
        found[key] = float(np.median(values)) if values else None
    for key in ("parameters", "multiply_adds"):
        value = found[key]
        found[key] = None if value is None else int(value)
    return Cost(**found)  # type: ignore[arg-type]


def _notes(arms: Sequence[Arm], differences: Sequence[Difference], measure: Measure) -> list[str]:
    """What a reader must know to take the figures for what they are."""
    notes = []
    if len(differences) > 1:
        notes.append(
            f"{len(differences)} differences are judged: p-values are Holm's, and the intervals are so wide that all "
            "of them together hold the truth in 95 of 100 cases."
        )
    if any(each.winner and each.corrected_t and each.corrected_t[0] < 0 < each.corrected_t[1] for each in differences):
        notes.append(
            "The corrected resampled t, the convention, leaves it open which arm is better: it sees one figure a split "
            "and assumes how much the splits share, where the verdict knows it from the predictions."
        )
    if told := _arms.choices_told(arms):
        notes.append(told)
    if passed_over := sum(arm.passed_over for arm in arms):
        notes.append(f"{passed_over} settings were passed over, since half of their runs or more are missing.")
    anew = {arm.name: arm.anew for arm in arms if arm.anew is not None and len({run.split for run in arm.runs}) > 1}
    if anew:
        told = ", ".join(f"{name} {points(each, measure)}" for name, each in anew.items())
        notes.append(
            "What the choice cost in honesty: had each split chosen by its own validation part, so that no recording "
            f"both chooses and judges, {measure.name} would be {told}."
        )
    return notes
