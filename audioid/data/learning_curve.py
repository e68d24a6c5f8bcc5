"""Fewer recordings to learn from, judged by the same test part: what would more labels bring?"""

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import ArrayLike

from audioid.data.split import RowNumbers, SplitIndices

STREAM = 1  # of the split's seed, so that the draws are none of the split's own


def at_most(
    found: SplitIndices, targets: RowNumbers, per_class: int, *, seed: int, groups: ArrayLike | None = None
) -> SplitIndices:
    """The parts with at most `per_class` recordings of each class to train on; the test part stays whole.

    What is kept for one number is also kept for every larger one. Where recordings come in groups, those of a class are
    taken from as many of its groups as there are, in turn. A class that loses some keeps the same share of its
    validation part, at least one recording: whoever has labelled ten has no hundred to choose the epoch by.

    Args:
        targets: `(rows,)`, the class of each row of the index.
        seed: that of the split.
        groups: `(rows,)` of any one type.
    """
    rng = default_rng([seed, STREAM])
    members = np.arange(len(targets)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    train, val = list[RowNumbers](), list[RowNumbers]()
    for target in range(int(targets.max()) + 1):
        of_class = [part[targets[part] == target] for part in (found.train, found.val)]
        in_turn = [_in_turn(rows, members[rows], rng) for rows in of_class]
        share = min(1.0, per_class / max(1, len(of_class[0])))
        train.append(in_turn[0][:per_class])
        val.append(in_turn[1][: max(1, round(share * len(of_class[1])))])
    return SplitIndices(np.sort(np.concatenate(train)), np.sort(np.concatenate(val)), found.test)


def _in_turn(rows: RowNumbers, groups: RowNumbers, rng: Generator) -> RowNumbers:
    """The rows in an order of chance in which each group gives its first before any gives its second, and so on."""
    shuffled = rng.permutation(len(rows))
    rows, groups = rows[shuffled], groups[shuffled]
    _, first, number, counts = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    by_group = np.argsort(groups, kind="stable")
    turn = np.empty_like(by_group)
    turn[by_group] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows[np.lexsort((first[number], turn))]
