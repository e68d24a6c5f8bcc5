"""How well a property of the file, or one number of its sound, tells the label: what a network may learn instead.

A small decision tree sees the property alone and is cross-validated, five-fold and stratified; its balanced accuracy
(mean over classes of the share named rightly) is compared with that for shuffled labels. A property is warned of where

- it is better than all shuffles,
- it is at least `RATIO` times as good as chance, or has gone half of the way from chance to certainty, and
- it gains at least `MARGIN`.

The second rule is relative to chance because a property of two values can give only two of many classes away.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from audioid.errors import listed

RATIO, MARGIN = 1.5, 0.05
SHUFFLES = 20
FOLDS = 5
# More rows than these are drawn from, since thousands say as much: of each label alike, so that a rare one is seen,
# and of so many labels that each may have `FEWEST_ROWS`.
MOST_ROWS, FEWEST_ROWS = 5000, 10
# No leaf of a tree weighs less than this part of all recordings, or than half a label.
LEAST_LEAF = 1 / 200
# A value is named that has this many files and that chance would keep from the other classes once in a hundred times.
FEWEST_FILES = 5
LIKELIHOOD = 0.01
MOST_TELLING_RANGES = 3


@dataclass(frozen=True)
class Property:
    """A column of the measured table; `natural` ones may differ between sounds without any fault."""

    column: str
    title: str
    unit: str = ""
    numeric: bool = True
    natural: bool = False


PROPERTIES = (
    Property("sample_rate", "sample rate", " Hz", numeric=False),
    Property("subtype", "bit depth or subtype", numeric=False),
    Property("channels", "number of channels", " channel(s)", numeric=False),
    Property("format", "codec or container", numeric=False),
    Property("cutoff", "bandwidth (cut-off)", " Hz"),
    Property("seconds", "length", " s", natural=True),
    Property("level_dbfs", "level", " dBFS", natural=True),
)


@dataclass(frozen=True)
class Shortcut:
    """What one property alone achieves; accuracies are balanced, from 0 to 1.

    They are those of `rows` recordings of so many `labels`, `drawn` from more or all that can be looked at.
    """

    title: str
    accuracy: float
    chance: float
    shuffled_best: float
    warning: bool
    natural: bool
    telling: list[str]
    rows: int
    labels: int
    drawn: bool


def shortcuts(table: pd.DataFrame, seed: int = 0) -> list[Shortcut]:
    """The properties of `table` (its `label` and the columns of `PROPERTIES`), best first; constant ones are left out.

    Classes with fewer than two recordings are not looked at; with fewer than two classes there is nothing to tell.
    """
    table = table.dropna(subset=[each.column for each in PROPERTIES])
    table = table[table.groupby("label")["label"].transform("size") >= 2]
    if table["label"].nunique() < 2:
        return []
    varied = [each for each in PROPERTIES if table[each.column].nunique() > 1]
    sample = _drawn(table, seed)
    found = [_shortcut(table, sample, each, seed) for each in varied]
    return sorted(found, key=lambda each: each.chance - each.accuracy)


def _drawn(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """At most `MOST_ROWS` rows of `table`, in an order of chance: equally many of each label, or all that it has.

    Of more labels than can be looked at those are likelier which have more rows.
    """
    shuffled = table.sample(frac=1, random_state=seed)
    if len(table) <= MOST_ROWS:
        return shuffled
    labels = shuffled["label"].unique()[: MOST_ROWS // FEWEST_ROWS]
    return shuffled[shuffled["label"].isin(labels)].groupby("label").head(MOST_ROWS // len(labels))


def _shortcut(table: pd.DataFrame, sample: pd.DataFrame, one: Property, seed: int) -> Shortcut:
    rng = np.random.default_rng(seed)
    features = _features(sample[one.column], one.numeric)
    labels = pd.factorize(sample["label"], sort=True)[0]
    accuracy = _accuracy(features, labels, seed)
    shuffled = [_accuracy(features, rng.permutation(labels), seed) for _ in range(SHUFFLES)]
    chance = float(np.mean(shuffled))
    enough = accuracy >= RATIO * chance or accuracy >= (1 + chance) / 2
    warning = accuracy > max(shuffled) and enough and accuracy - chance >= MARGIN
    telling = _telling(table, one) if warning else []
    return Shortcut(
        title=one.title,
        accuracy=accuracy,
        chance=chance,
        shuffled_best=max(shuffled),
        warning=warning,
        natural=one.natural,
        telling=telling,
        rows=len(sample),
        labels=sample["label"].nunique(),
        drawn=len(sample) < len(table),
    )


def _features(values: pd.Series, numeric: bool) -> NDArray:
    """`(rows, features)`: the number itself, or a column for each value."""
    if numeric:
        return values.to_numpy(float)[:, None]
    return pd.get_dummies(values.astype(str)).to_numpy(float)


def _accuracy(features: NDArray, labels: NDArray, seed: int) -> float:
    folds = StratifiedKFold(min(FOLDS, int(np.bincount(labels).min())), shuffle=True, random_state=seed)
    classes = labels.max() + 1
    tree = DecisionTreeClassifier(
        max_leaf_nodes=4 * classes,
        min_samples_leaf=2,
        # By weight, in which labels are equal, so that a rare one may fill a leaf.
        min_weight_fraction_leaf=min(LEAST_LEAF, 0.5 / classes),
        class_weight="balanced",
        random_state=seed,
    )
    return float(balanced_accuracy_score(labels, cross_val_predict(tree, features, labels, cv=folds)))


def _telling(table: pd.DataFrame, one: Property) -> list[str]:
    """Sentences such as `44,101 Hz: only in bd, sd: 112 files`, those of fewest classes first."""
    if one.numeric and table[one.column].nunique() > 20:
        return _telling_ranges(table, one)
    sentences: list[tuple[int, int, str]] = []
    classes = table["label"].nunique()
    for value, rows in table.groupby(one.column):
        counts = rows["label"].value_counts()
        others = table[~table["label"].isin(counts.index)]
        # The chance that so many files fall into none of the other classes.
        absent = (1 - len(others) / len(table)) ** len(rows)
        if len(rows) >= FEWEST_FILES and len(counts) <= classes / 2 and absent < LIKELIHOOD:
            sentences.append(
                (
                    len(counts),
                    -len(rows),
                    f"{_shown(value, one)}: only in {listed(counts.index)}: {len(rows):,} files",
                )
            )
    return [sentence for _, _, sentence in sorted(sentences)]


def _telling_ranges(table: pd.DataFrame, one: Property) -> list[str]:
    """The classes whose middle halves lie farthest from the whole corpus's median."""
    median, deviation = float(table[one.column].median()), float(table[one.column].std())
    spread = {}
    for name, rows in table.groupby("label"):
        low, high = np.quantile(rows[one.column], [0.25, 0.75])
        spread[str(name)] = (max(low - median, median - high) / deviation, low, high)
    apart = sorted((item for item in spread.items() if item[1][0] > 0), key=lambda item: -item[1][0])[
        :MOST_TELLING_RANGES
    ]
    return [
        f"{name}: mostly {_range(low, high)}{one.unit} (median of all {_amount(median)})"
        for name, (_, low, high) in apart
    ]


def _range(low: float, high: float) -> str:
    ends = _amount(low), _amount(high)
    return " to ".join(ends) if ends[0] != ends[1] else ends[0]


def _amount(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _shown(value: object, one: Property) -> str:
    return f"{value:,.0f}{one.unit}" if isinstance(value, int | float | np.number) else f"{value}{one.unit}"
