"""On which recordings two arms disagree, and which every run of every arm names otherwise than the label."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audioid.comparison.tally import Recordings, Tally, mean_probabilities


@dataclass(frozen=True)
class Opinion:
    """What an arm's runs made of one recording.

    Attributes:
        name: the one that most of the runs gave.
        right: share of the runs that gave the label.
        probability: of the label, by the mean of the runs' log-probabilities.
    """

    name: str
    right: float
    runs: int
    probability: float


@dataclass(frozen=True)
class Disagreement:
    """Most runs of one arm name the recording rightly, most of the other wrongly."""

    path: str
    label: str
    opinions: Mapping[str, Opinion]


@dataclass(frozen=True)
class Suspect:
    """Every run of every arm gives the recording the same other name: its label may be wrong.

    Attributes:
        name: the one that all give.
        given: probability of the label, by the mean of all runs' log-probabilities.
        named: probability of `name`.
    """

    path: str
    label: str
    name: str
    runs: int
    given: float
    named: float


def disagreements(recordings: Recordings, pair: Mapping[str, Tally]) -> list[Disagreement]:
    """Of two arms: by how far the shares of runs that are right lie apart, and then the label's probabilities."""
    labels = np.array(recordings.labels)
    rows = np.arange(len(labels))
    judged = np.array([tally.judged for tally in pair.values()])
    with np.errstate(invalid="ignore"):
        right = np.array([tally.votes[rows, labels] for tally in pair.values()]) / judged
    probability = np.array([mean_probabilities([tally]) for tally in pair.values()])
    apart = np.flatnonzero((right.max(axis=0) > 0.5) & (right.min(axis=0) < 0.5))  # never where one is NaN
    of_label = probability[:, rows, labels]
    order = np.lexsort((-np.abs(of_label[0] - of_label[1])[apart], -np.abs(right[0] - right[1])[apart]))
    return [
        Disagreement(
            path=recordings.paths[number],
            label=recordings.classes[labels[number]],
            opinions={
                name: Opinion(
                    name=recordings.classes[tally.votes[number].argmax()],
                    right=float(right[place, number]),
                    runs=int(judged[place, number]),
                    probability=float(of_label[place, number]),
                )
                for place, (name, tally) in enumerate(pair.items())
            },
        )
        for number in apart[order]
    ]


def suspects(recordings: Recordings, tallies: Mapping[str, Tally]) -> list[Suspect]:
    """Recordings that every run names wrongly, all alike and with confidence; the most doubtful label first.

    Confident is a probability of the other name of more than a half, or as in confident learning (Northcutt, Jiang and
    Chuang 2021, eq. 2) of at least the mean one that recordings of that name have for it: their rule by itself passes
    over half of the wrong labels where networks are sure of nearly all. Where runs are wrong more often than right
    there are none: what they agree on is no evidence. They rank by the normalised margin, the label's probability less
    that of the other name. All predictions are of runs that did not train on the recording;
    one that no run of some arm has judged is none.
    """
    labels = np.array(recordings.labels)
    votes = sum((tally.votes for tally in tallies.values()), np.zeros((len(labels), len(recordings.classes)), int))
    probability = mean_probabilities(list(tallies.values()))
    usual = np.array(
        [probability[labels == each, each].mean() if (labels == each).any() else np.inf for each in range(len(votes.T))]
    )
    name = votes.argmax(axis=1)
    rows = np.arange(len(labels))
    is_suspect = (name != labels) & (votes.max(axis=1) == votes.sum(axis=1))
    is_suspect &= np.all([tally.judged > 0 for tally in tallies.values()], axis=0)
    is_suspect &= votes[rows, labels].sum() > votes.sum() / 2
    is_suspect &= probability[rows, name] >= np.minimum(usual, 0.5)[name]
    found = [
        Suspect(
            path=recordings.paths[number],
            label=recordings.classes[labels[number]],
            name=recordings.classes[name[number]],
            runs=int(votes[number].sum()),
            given=float(probability[number, labels[number]]),
            named=float(probability[number, name[number]]),
        )
        for number in np.flatnonzero(is_suspect)
    ]
    return sorted(found, key=lambda each: each.given - each.named)
