"""What the predictions of the headline's arms show beyond one figure a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioid.comparison.agreement import Disagreement, Suspect, disagreements, suspects
from audioid.comparison.calibration import Beyond, Calibration, calibration, confidence_gap
from audioid.comparison.measures import Measure
from audioid.comparison.pairing import units_of
from audioid.comparison.predictions import read_predictions
from audioid.comparison.records import Run
from audioid.comparison.statistics import Estimate, Values
from audioid.comparison.study import Comparison, Study, Summary
from audioid.comparison.tally import Recordings, Tally
from audioid.comparison.together import FIRST, SECOND, Combined, Read, Together

MOST_ARMS = 6  # whose predictions are looked into; of more, those that validation puts first


@dataclass(frozen=True)
class ClassAccuracy:
    """Share of a class that was rightly named.

    Attributes:
        recordings: of the class that were tested.
        accuracy: of each arm, mean over the runs that had any to judge.
        difference: of the pair's first minus its second, mean over paired runs; its interval is for this class by
            itself, so of twenty classes one leaves out zero by chance. None where nothing can be judged by.
    """

    name: str
    recordings: int
    accuracy: Mapping[str, float]
    difference: Estimate | None


@dataclass(frozen=True)
class Analysis:
    """Of the arms whose predictions could be read.

    Attributes:
        runs: of each arm those that were read.
        pair: the two that are set against each other; None where there is one arm, or none share seed and split.
        confusions: of each arm, `(label, predicted)`, mean counts a run.
        combined: None without a pair.
    """

    classes: list[str]
    runs: Mapping[str, list[Run]]
    pair: tuple[str, str] | None
    by_class: list[ClassAccuracy]
    confusions: Mapping[str, Values]
    calibrations: Mapping[str, Calibration]
    disagreements: list[Disagreement]
    suspects: list[Suspect]
    combined: Combined | None


def analyse(study: Study) -> Analysis | None:
    """Of the study's headline, each run's predictions read once; None where no run's can be."""
    headline = study.comparisons[0]
    pair = pair_of(headline, study.measure)
    arms = {each.arm.name: each.arm.runs for each in _foremost(headline.summaries, pair, study.measure)}
    reader, together = _Reader(arms), Together()
    if pair:
        for unit in units_of(arms[pair[0]], arms[pair[1]]):
            together.add((reader.read(pair[0], one), reader.read(pair[1], two)) for one, two in unit)
    for name, runs in arms.items():
        for run in runs:
            if run.folder not in reader.seen:
                reader.read(name, run)
    if reader.recordings is None:
        return None
    return _analysis(reader, reader.recordings, pair if together.units else None, together)


def pair_of(comparison: Comparison, measure: Measure) -> tuple[str, str] | None:
    """Of the arms that share runs the two that validation puts first; without validation the first two."""
    rank = {each.arm.name: place for place, each in enumerate(_by_validation(comparison.summaries, measure))}
    found = [(each.first, each.second) for each in comparison.differences if each.n]
    return min(found, key=lambda names: sum(rank[name] for name in names), default=None)


def _by_validation(summaries: Sequence[Summary], measure: Measure) -> list[Summary]:
    best = -1.0 if measure.is_share else 1.0
    return sorted(summaries, key=lambda each: 0.0 if each.arm.validation is None else best * each.arm.validation)


def _foremost(summaries: Sequence[Summary], pair: tuple[str, str] | None, measure: Measure) -> list[Summary]:
    first = [each.arm.name for each in _by_validation(summaries, measure)]
    kept = list(dict.fromkeys([*(pair or ()), *first]))[:MOST_ARMS]
    return [each for each in summaries if each.arm.name in kept]


class _Reader:
    """Reads runs into one tally an arm."""

    def __init__(self, names: Iterable[str]) -> None:
        self.recordings: Recordings | None = None
        self.runs: dict[str, list[Run]] = {name: [] for name in names}
        self.tallies: dict[str, Tally] = {}
        self.beyond: dict[Path, Beyond] = {}
        self.seen: set[Path] = set()

    def read(self, name: str, run: Run) -> Read | None:
        """None where the predictions are damaged or of other classes; the study's warnings tell."""
        self.seen.add(run.folder)
        try:
            found = read_predictions(run)
        except Exception:  # one run's file must not end the analysis of the others
            return None
        if self.recordings is None:
            self.recordings = Recordings(found.classes)
        if found.classes != self.recordings.classes:
            return None
        numbers = self.recordings.numbers(found)
        self.tallies.setdefault(name, Tally(len(found.classes))).add(numbers, found)
        self.beyond[run.folder] = numbers, (found.predicted == found.labels) - found.probabilities.max(axis=1)
        self.runs[name].append(run)
        return Read(run, numbers, found)


def _analysis(reader: _Reader, recordings: Recordings, pair: tuple[str, str] | None, together: Together) -> Analysis:
    labels, clusters = np.array(recordings.labels), np.array(recordings.clusters)
    tallies = {name: reader.tallies[name] for name in reader.runs if name in reader.tallies}
    for tally in tallies.values():
        tally.grow(len(labels))
    by_class = [
        ClassAccuracy(
            name=name,
            recordings=int((labels == each).sum()),
            accuracy={arm: float(one.class_accuracy[each] / one.class_runs[each]) for arm, one in tallies.items()},
            difference=together.difference(FIRST, SECOND, clusters, of=labels == each) if pair else None,
        )
        for each, name in enumerate(recordings.classes)
        if all(one.class_runs[each] for one in tallies.values())
    ]
    return Analysis(
        classes=recordings.classes,
        runs={name: runs for name, runs in reader.runs.items() if runs},
        pair=pair,
        by_class=by_class,
        confusions={name: one.confusion(labels) for name, one in tallies.items()},
        calibrations={
            name: calibration(one, confidence_gap(reader.beyond, reader.runs[name], clusters))
            for name, one in tallies.items()
        },
        disagreements=disagreements(recordings, {name: tallies[name] for name in pair}) if pair else [],
        suspects=suspects(recordings, tallies),
        combined=together.combined(pair, clusters) if pair else None,
    )
