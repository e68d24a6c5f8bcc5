"""What the runs of a folder are alternatives of: settings, and the arms that are compared."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from audioid.comparison.measures import Measure
from audioid.comparison.records import Run, varying

ARM = "transform"


@dataclass(frozen=True)
class Setting:
    """Runs that differ in seed and split alone; `values` are the keys in which settings differ.

    `validation` is the mean over splits of the mean over seeds, None where there is no validation part.
    """

    values: Mapping[str, str]
    runs: list[Run]
    validation: float | None
    test: float
    std: float | None


@dataclass(frozen=True)
class Arm:
    """One value of the key that is compared, at the setting that validation puts first.

    Attributes:
        chosen: the other keys' values where several settings were tried.
        tried: how many settings validation had to choose from.
        passed_over: settings that lack too many runs to be among them.
        anew: the measure if each split had chosen a setting by its own validation part; None where one was tried.
    """

    name: str
    runs: list[Run]
    chosen: Mapping[str, str]
    tried: int
    passed_over: int
    validation: float | None
    anew: float | None


def order_of(value: str | None) -> tuple[int, float, str]:
    """Numbers sort as numbers, before texts."""
    try:
        return (0, float(value or ""), "")
    except ValueError:
        return (1, 0.0, value or "")


def is_number(value: str | None) -> bool:
    """Whether it has a place on an axis."""
    rank, number, _ = order_of(value)
    return rank == 0 and isfinite(number)


def protocol_of(run: Run) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What runs must share to be set side by side: recordings and how they were parted."""
    shared = sorted((key, value) for key, value in run.settings.items() if _is_of_protocol(key))
    return run.index_digest, tuple(shared)


def _is_of_protocol(key: str) -> bool:
    return key.partition(".")[0] in ("split", "data") and key != "data.batch_size"


def keys_of(runs: Sequence[Run]) -> list[str]:
    """The keys that were varied, the transform first and its own next.

    Not those that only follow another choice: what differs with the transform alone, as in `experiment=original`, what
    an option of a group brings along, as `augment=specaugment` its masks, and what nobody chose and the keys that were
    chosen settle, as `image.frequency_scale=mel` the changes that its pictures cannot show.
    """
    settings = [{key: value for key, value in run.settings.items() if not _is_of_protocol(key)} for run in runs]
    keys = varying(settings)
    keys = [key for key in keys if not any(_follows(key, [head], settings) for head in {ARM, key.partition(".")[0]})]
    chosen = [key for key in keys if any(key in run.chosen for run in runs)]
    keys = [key for key in keys if not _follows(key, chosen, settings)]
    return sorted(keys, key=lambda key: (key != ARM, not key.startswith(f"{ARM}."), key))


def _follows(key: str, heads: Sequence[str], settings: Sequence[Mapping[str, str]]) -> bool:
    """Whether the values of `heads` together, of which there are several, have one value of `key` alone each."""
    within = defaultdict(set)
    for each in settings:
        within[tuple(each.get(head) for head in heads)].add(each.get(key))
    return key not in heads and len(within) > 1 and all(len(values) == 1 for values in within.values())


def settings_of(runs: Iterable[Run], keys: Sequence[str], measure: Measure) -> list[Setting]:
    """The settings by validation, the best first; without validation as their values sort."""
    groups = defaultdict(list)
    for run in runs:
        groups[tuple((key, run.settings[key]) for key in keys if key in run.settings)].append(run)
    found = [_setting(dict(values), members, measure) for values, members in groups.items()]
    found.sort(key=lambda each: [order_of(each.values.get(key)) for key in keys])
    best = -1.0 if measure.is_share else 1.0
    return sorted(found, key=lambda each: np.inf if each.validation is None else best * each.validation)


def _setting(values: dict[str, str], runs: list[Run], measure: Measure) -> Setting:
    test = [getattr(run, measure.key) for run in runs]
    return Setting(
        values=values,
        runs=runs,
        validation=mean_over_splits(runs, measure.validation_key),
        test=mean_over_splits(runs, measure.key) or 0.0,
        std=float(np.std(test, ddof=1)) if len(test) > 1 else None,
    )


def mean_over_splits(runs: Sequence[Run], key: str) -> float | None:
    """Of a key of `metrics.json` the mean over splits of the mean over seeds; None where a run lacks it."""
    by_split = defaultdict(list)
    for run in runs:
        by_split[run.split].append(getattr(run, key))
    values = [each for found in by_split.values() for each in found]
    return None if None in values else float(np.mean([np.mean(found) for found in by_split.values()]))


def arms_of(runs: Sequence[Run], key: str | None, keys: Sequence[str], measure: Measure) -> list[Arm]:
    """An arm for each value of `key`, at its best setting by validation; all settings are arms where `key` is None.

    Settings are chosen between by the seeds and splits that all of them have. One that has at most half of the runs of
    another, as in a sweep that was stopped, is passed over.
    """
    if key is None:
        found = settings_of(runs, keys, measure)
        return [Arm(name_of(each.values, keys), each.runs, {}, 1, 0, each.validation, None) for each in found]
    values = sorted({run.settings[key] for run in runs if key in run.settings}, key=order_of)
    others = [each for each in keys if each != key]
    return [
        _arm(value, [run for run in runs if run.settings.get(key) == value], key, others, measure) for value in values
    ]


def _arm(value: str, runs: list[Run], key: str, others: Sequence[str], measure: Measure) -> Arm:
    settings = settings_of(runs, others, measure)
    most = max(len(each.runs) for each in settings)
    whole = [each for each in settings if 2 * len(each.runs) > most]
    shared = set.intersection(*({run.pairing for run in each.runs} for each in whole))
    alike = settings_of((run for each in whole for run in each.runs if run.pairing in shared), others, measure)
    first = alike[0].values if alike else whole[0].values
    best = next(each for each in whole if each.values == first)
    return Arm(
        name=name_of({key: value}, [key]),
        runs=best.runs,
        chosen=best.values if len(settings) > 1 else {},
        tried=len(whole),
        passed_over=len(settings) - len(whole),
        validation=best.validation,
        anew=_chosen_anew(whole, measure) if len(whole) > 1 else None,
    )


def _chosen_anew(settings: Sequence[Setting], measure: Measure) -> float | None:
    """The measure, mean over splits, if each split had chosen by its own validation part: no recording that chose
    is then one that judges."""
    found = []
    for split in sorted({run.split for each in settings for run in each.runs}, key=str):
        scores = []
        for each in settings:
            runs = [run for run in each.runs if run.split == split]
            validation = mean_over_splits(runs, measure.validation_key) if runs else None
            if validation is not None:
                scores.append((validation, np.mean([getattr(run, measure.key) for run in runs])))
        if scores:
            found.append((max if measure.is_share else min)(scores, key=lambda each: each[0])[1])
    return float(np.mean(found)) if found else None


def choices_told(arms: Iterable[Arm]) -> str:
    """How the arms that had a choice came to their settings, in sentences; empty where none had."""
    arms = list(arms)
    sentences = []
    if found := [f"{arm.name} the best of {arm.runs[0].searched} trials" for arm in arms if arm.runs[0].searched]:
        sentences.append(f"Settings were searched for before, by validation data alone: {'; '.join(found)}.")
        runs = [run for arm in arms for run in arm.runs]
        if len({run.split for run in runs}) > 1 or any(run.settings.get("split") != "given" for run in runs):
            sentences.append("Some recordings both chose and judge, so the figures may flatter.")
    if found := [
        f"{arm.name} the best of {arm.tried} ({', '.join(f'{key}={value}' for key, value in arm.chosen.items())})"
        for arm in arms
        if arm.tried > 1
    ]:
        sentences.append(f"Settings were chosen by the mean over all runs' validation parts: {'; '.join(found)}.")
    return " ".join(sentences)


def name_of(values: Mapping[str, str], keys: Sequence[str]) -> str:
    """`cwt wavelet=mexh width=32`: of a key its last word, unless another of `keys` ends in it too."""
    last = [key.rpartition(".")[2] for key in keys]
    words = [values[ARM]] if ARM in values else []
    for key, word in zip(keys, last, strict=True):
        if key in values and key != ARM:
            words.append(f"{word if last.count(word) == 1 else key}={values[key]}")
    return " ".join(words)


def importance(runs: Sequence[Run], keys: Sequence[str], measure: Measure) -> dict[str, float]:
    """How much each key matters: from its worst to its best value, the test measure's mean over all other choices.

    A value's mean is over the settings that have it, so that one with more seeds counts no more.
    """
    settings = settings_of(runs, keys, measure)
    spans = {}
    for key in keys:
        means = defaultdict(list)
        for each in settings:
            if key in each.values:
                means[each.values[key]].append(each.test)
        if len(means) > 1:
            marginal = [float(np.mean(found)) for found in means.values()]
            spans[key] = max(marginal) - min(marginal)
    return spans
