"""Figures of a comparison in sentences and table rows, for pages and texts."""

import json
from collections.abc import Sequence

import numpy as np

from audioid.comparison.analysis import Analysis
from audioid.comparison.arms import Setting
from audioid.comparison.decisions import CONFIDENCE, Difference, margin_told, points
from audioid.comparison.measures import Measure
from audioid.comparison.records import varying
from audioid.comparison.searches import ArmSearch, SearchRecord, numbered
from audioid.comparison.statistics import Estimate
from audioid.comparison.study import Comparison, Summary
from audioid.comparison.together import Combined

NONE, NEGATIVE = "\N{EN DASH}", "\N{MINUS SIGN}"
MOST_IN_CELL = 6  # decisions: those of four arms
SURE = 0.01  # a gap between confidence and accuracy that is of no interest
Row = list[str]


def amount(value: float | None, measure: Measure) -> str:
    """A value of the measure: `94.5`, `0.213`, a dash for None."""
    return NONE if value is None else f"{measure.scale * value:.{1 if measure.is_share else 3}f}"


def spelled(value: float | None, digits: int = 3) -> str:
    """`33.2 M`, `1.49`, a dash for None."""
    if value is None:
        return NONE
    for size, mark in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value >= size:
            return f"{value / (1e3 if mark == ' k' else size):.{digits}g}{mark}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.{digits}g}"


def counted(recordings: Sequence[object]) -> str:
    return f"{len(recordings):,} recording{'' if len(recordings) == 1 else 's'}"


def odds(difference: Difference, margin: float, measure: Measure) -> str:
    """`The odds, given these runs: 61 % that ...`; empty where there is nothing to judge by."""
    found = difference.odds
    if not found:
        return ""
    within = margin_told(margin, measure)
    return (
        f"The odds, given these runs: {_chance(found.first)} that {difference.first} is better by more than {within}, "
        f"{_chance(found.second)} that {difference.second} is, {_chance(found.neither)} that neither is."
    )


def _chance(share: float) -> str:
    percent = 100 * share
    if percent < 0.5:
        return "under 1 %"
    return "over 99 %" if percent > 99.5 else f"{percent:.0f} %"


def interval(low: float | None, high: float | None, measure: Measure) -> str:
    return NONE if low is None or high is None else f"{points(low, measure)} to {points(high, measure)}"


COSTS = ("transform", "fitting", "memory", "parameters", "multiply-adds")


def beside(measure: Measure) -> Row:
    """The column of the accuracy, where the measure is another."""
    return [] if measure.key == "test_accuracy" else ["accuracy %"]


def arms_headers(measure: Measure) -> Row:
    """Of the columns of `arms`."""
    return ["", "runs", "mean", "std", "range", *beside(measure), "training", *COSTS]


def arms(comparison: Comparison, measure: Measure) -> list[Row]:
    """A row an arm under `arms_headers`."""
    return [_arm(each, measure) for each in comparison.summaries]


def _arm(summary: Summary, measure: Measure) -> Row:
    cost = summary.cost
    return [
        summary.arm.name,
        str(summary.n),
        amount(summary.mean, measure),
        amount(summary.std, measure),
        f"{amount(summary.min, measure)} to {amount(summary.max, measure)}",
        *(f"{100 * summary.test_accuracy:.1f}" for _ in beside(measure)),
        f"{100 * summary.train_accuracy:.1f}",
        f"{spelled(cost.transform_ms_per_clip)} ms",
        f"{spelled(cost.fit_seconds)} s",
        f"{spelled(cost.peak_memory_mib)} MiB",
        spelled(cost.parameters),
        spelled(cost.multiply_adds),
    ]


DIFFERENCES = ("", "pairs", "mean", "interval", "at", "p", "corrected t", "decision")


def differences(comparison: Comparison, measure: Measure) -> list[Row]:
    """A row a difference under `DIFFERENCES`."""
    return [
        [
            f"{each.first} \N{MINUS SIGN} {each.second}",
            str(each.n),
            NONE if each.mean is None else points(each.mean, measure),
            interval(each.low, each.high, measure),
            NONE if each.confidence is None else f"{100 * each.confidence:.3g} %",
            NONE if each.p_value is None else f"{each.p_value:.2g}",
            interval(each.corrected_t[0], each.corrected_t[1], measure) if each.corrected_t else NONE,
            each.decision,
        ]
        for each in comparison.differences
    ]


def ranking(settings: Sequence[Setting], keys: Sequence[str], measure: Measure) -> list[Row]:
    """A row a setting: its values, runs, validation, test and its standard deviation."""
    return [
        [
            *(each.values.get(key, NONE) for key in keys),
            str(len(each.runs)),
            amount(each.validation, measure),
            amount(each.test, measure),
            amount(each.std, measure),
        ]
        for each in settings
    ]


def unlike(comparison: Comparison) -> list[Row]:
    """A row a setting that is not the same in all of the arms' runs: its key, and each arm's values."""
    summaries = comparison.summaries
    keys = varying([run.settings for each in summaries for run in each.arm.runs])
    return [
        [key, *(", ".join(sorted({run.settings.get(key, NONE) for run in each.arm.runs})) for each in summaries)]
        for key in keys
    ]


def search(found: SearchRecord, arms: Sequence[str]) -> list[Row]:
    """A row for what the search came to, and one for each key, what matters most first: the best value of each arm,
    and in brackets the share of the key in the variance between its trials."""
    of = [found.transforms[arm] for arm in arms]
    rows = [
        ["trials", *(str(each.trials) for each in of)],
        ["given up or diverged", *(str(each.pruned) for each in of)],
        ["best trial", *(numbered(each.best.trial) for each in of)],
        [f"its {judged_by(found)}", *(spelled(found.best_value(arm)) for arm in arms)],
    ]
    keys = dict.fromkeys(key for each in of for key in each.best.settings)
    for key in sorted(keys, key=lambda key: -max(each.importances.get(key, 0.0) for each in of)):
        rows.append([key, *(_best_of(key, each) for each in of)])
    return rows


def judged_by(found: SearchRecord) -> str:
    """`validation loss` or `validation accuracy`."""
    return found.judged_by.replace("val_", "validation ")


def _best_of(key: str, found: ArmSearch) -> str:
    if key not in found.best.settings:
        return NONE
    share = f" ({100 * found.importances[key]:.0f} %)" if key in found.importances else ""
    return f"{short(found.best.settings[key])}{share}"


def short(value: object) -> str:
    """A value of a setting as it is chosen, such as `null`: of a fraction three digits."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def with_interval(summary: Summary | None, measure: Measure) -> str:
    """An arm's mean: `94.5 (93.0 to 96.1)`."""
    if summary is None:
        return "-"
    mean = points(summary.mean, measure)
    if summary.low is None or summary.high is None:
        return mean
    return f"{mean} ({points(summary.low, measure)} to {points(summary.high, measure)})"


def decision(difference: Difference, measure: Measure, *, is_only: bool) -> str:
    """`cwt by 2.1`, `no difference` or `undecided`, the arms with it unless there are no others."""
    pair = "" if is_only else f" ({difference.first}, {difference.second})"
    if difference.winner:
        return f"{difference.winner} by {points(abs(difference.mean or 0), measure)}{pair}"
    return f"{'no difference' if difference.decision == 'equivalent' else 'undecided'}{pair}"


def decisions(differences: Sequence[Difference], measure: Measure) -> str:
    """All in one cell, empty where there are none; of many, those that are undecided are counted alone."""
    is_short = len(differences) <= MOST_IN_CELL
    told = [each for each in differences if is_short or each.decision != "undecided"]
    parts = [decision(each, measure, is_only=len(differences) == 1) for each in told]
    left = len(differences) - len(told)
    return "; ".join([*parts, f"{left} undecided"] if left else parts)


def combined(found: Combined) -> str:
    """Whether the two arms together beat each alone."""
    alone = " and ".join(f"{100 * value:.1f} % ({name})" for name, value in found.alone.items())
    better = found.better_alone
    text = f"Together they name {100 * found.accuracy:.1f} % rightly, alone {alone}."
    if found.seeds:
        seeds = " and ".join(f"{100 * value:.1f} % ({name})" for name, value in found.seeds.items())
        text += f" Two seeds of the same arm together: {seeds}."
    gains = "; ".join(f"over {name} alone {gain(each)}" for name, each in found.gains.items())
    if found.beats_each:
        return f"{text} Together they beat each alone: gain {gains}."
    return f"{text} That they beat {better}, the better alone, is not shown: gain {gains}."


def gain(found: Estimate | None) -> str:
    """In points with its interval at 95 %."""
    if found is None:
        return "not to be judged"
    low, high = found.interval(CONFIDENCE)
    return f"{100 * found.mean:+.1f} points ({100 * low:.1f} to {100 * high:.1f})".replace("-", "\N{MINUS SIGN}")


def sureness(analysis: Analysis) -> list[str]:
    """A sentence an arm on how its confidence stands to how often it is right."""
    found = []
    for name, each in analysis.calibrations.items():
        total = each.counts.sum()
        confidence = 100 * float(np.nansum(each.counts * each.confidence) / total)
        right = 100 * float(np.nansum(each.counts * each.accuracy) / total)
        found.append(
            f"{name} {_how_sure(each.gap)}: {confidence:.1f} % sure on average, {right:.1f} % right; expected "
            f"calibration error {100 * each.error:.1f} points, Brier score {each.brier:.3f}."
        )
    return found


def _how_sure(found: Estimate | None) -> str:
    """What an arm's confidence is shown to be, of how often it is right beyond it."""
    if found is None:
        return "is not to be judged by so few runs"
    low, high = found.interval(CONFIDENCE)
    if low > -SURE and high < SURE:
        return "is as sure as it should be, to a point"
    ends = sorted((100 * low, 100 * high) if found.mean > 0 else (-100 * low, -100 * high))
    by = f"{100 * abs(found.mean):.1f} points (95 % interval {ends[0]:.1f} to {ends[1]:.1f})"
    if high < 0:
        return f"is too sure by {by}"
    if low > 0:
        return f"is less sure than it could be, by {by}"
    how = "right oftener than sure" if found.mean > 0 else "surer than right"
    return f"is {how} by {by.replace('-', NEGATIVE)}, which may be chance"


def mistaken(analysis: Analysis, most: int = 3) -> str:
    """The commonest confusions of each arm, in words."""
    found = []
    for name, counts in analysis.confusions.items():
        wrong = counts * (1 - np.eye(len(counts)))
        places = [divmod(int(each), len(counts)) for each in np.argsort(-wrong, axis=None)[:most]]
        told = [
            f"{analysis.classes[row]} for {analysis.classes[column]} ({wrong[row, column]:.1f} a run)"
            for row, column in places
            if wrong[row, column] > 0
        ]
        found.append(f"{name} most often takes {', '.join(told)}" if told else f"{name} takes none for another")
    return "; ".join(found) + "."


def by_class(analysis: Analysis) -> list[Row]:
    """A row a class: recordings, each arm's accuracy in percent, the pair's difference with its interval."""
    return [
        [
            each.name,
            str(each.recordings),
            *(f"{100 * each.accuracy[name]:.1f}" for name in analysis.confusions),
            *([gain(each.difference)] if analysis.pair else []),
        ]
        for each in analysis.by_class
    ]


def headline(comparison: Comparison, measure: Measure) -> str:
    """The verdict; of several the arm that is better than all others, or that there is none."""
    found = comparison.differences
    if len(found) < 2:
        return found[0].verdict if found else comparison.warnings[0]
    names = [each.arm.name for each in comparison.summaries]
    beaten = {name: [_loser(each) for each in found if each.winner == name] for name in names}
    for name, others in beaten.items():
        if len(others) == len(names) - 1:
            return f"{name} better than {_listed(others)}"
    best = (max if measure.is_share else min)(comparison.summaries, key=lambda each: each.mean)
    told = f"none of {len(names)} arms is shown to be better than all others; the best mean has {best.arm.name}"
    return told + "".join(f"; {name} better than {_listed(others)}" for name, others in beaten.items() if others)


def _loser(difference: Difference) -> str:
    return difference.second if difference.winner == difference.first else difference.first


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
