"""Groups of recordings joined, and shared out whole to parts so that each class is spread as wanted."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from audioid.errors import AudioidError

RowNumbers = NDArray[np.int64]

# Orders of the groups that are tried, and the groups that all tries together may place.
TRIES = 64
PLACEMENTS = 20_000
SWEEPS = 8
# A class missing from a part costs more than all unevenness, which is below 2 per class.
MISSING = 1e6


def joined(groups: RowNumbers, others: RowNumbers) -> RowNumbers:
    """Groups in which rows are together that are so in either of two groupings, directly or through other rows.

    Args:
        groups: `(rows,)`, numbered from 0 without gaps.
        others: `(rows,)`, numbered from 0 without gaps.

    Returns:
        `(rows,)`, numbered from 0 in the order of the smallest number in `groups`.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Each group of either kind is a node, each row an edge.
    offset = int(groups.max()) + 1
    nodes = offset + int(others.max()) + 1
    edges = coo_array((np.ones(groups.size, np.int8), (groups, offset + others)), shape=(nodes, nodes))
    components = connected_components(edges, directed=False)[1][groups]
    return np.unique(components, return_inverse=True)[1].astype(np.int64)


def part_groups(
    targets: RowNumbers, groups: RowNumbers, shares: NDArray[np.float64], classes: Sequence[str], rng: Generator
) -> RowNumbers:
    """For each row its part `(rows,)`: no group in two parts, each class in every part.

    Minimises the sum over parts and classes of `((count - share * size) / size) ** 2`: groups are placed
    greedily, largest first, then moved one by one, smallest first, while that helps; the best of several orders
    is kept. scikit-learn's StratifiedGroupKFold knows only equal parts, and may leave classes out of them.

    Args:
        targets: `(rows,)`, numbered from 0.
        groups: `(rows,)`, numbered from 0.
        shares: `(parts,)`, the fraction of each class that a part should get.
        classes: names for `targets`.

    Raises:
        AudioidError: no such parts were found; names a class that would be missing from one.
    """
    search = _Search(targets, groups, shares, len(classes))
    tries = max(1, min(TRIES, PLACEMENTS // search.sizes.size))
    cost, parts = min((search.run(rng, shuffle=0.5 * (number > 0)) for number in range(tries)), key=lambda run: run[0])
    placed = np.array(parts)[groups]
    if cost >= MISSING:
        seen = np.unique(np.stack([targets, placed]), axis=1)[0]
        label = classes[int(np.argmax((counts := np.bincount(seen)) * (counts < len(shares))))]
        raise AudioidError(
            f"label '{label}': its groups hold other labels too, and no way was found to have it in each of "
            f"{len(shares)} parts; have fewer parts (split.folds, split.val_fraction=0) or smaller groups"
        )
    return placed


class _Search:
    """Plain lists and numbers: groups are small, and numpy's overhead per group would be most of the time."""

    def __init__(self, targets: RowNumbers, groups: RowNumbers, shares: NDArray[np.float64], classes: int) -> None:
        pairs, counts = np.unique(groups * classes + targets, return_counts=True)
        self.sizes = np.bincount(groups)  # rows per group
        self.members: list[list[tuple[int, int]]] = [[] for _ in self.sizes]  # (class, rows) of each group
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self.members[pair // classes].append((pair % classes, count))
        totals = np.bincount(targets, minlength=classes)
        self.goals = np.outer(shares, totals).tolist()
        self.weights = (1 / np.maximum(totals, 1) ** 2.0).tolist()

    def run(self, rng: Generator, shuffle: float) -> tuple[float, list[int]]:
        """The cost and, for each group, its part; larger groups first, less strictly so the larger `shuffle`."""
        parts, weights = range(len(self.goals)), self.weights
        # How far each part's count of each class is above its goal, and how many groups of the class it has.
        excess = [[-goal for goal in goals] for goals in self.goals]
        holders = [[0] * len(weights) for _ in parts]
        placed = [-1] * len(self.members)
        noise = np.exp(shuffle * rng.standard_normal(self.sizes.size))
        order = np.lexsort((rng.random(self.sizes.size), -self.sizes * noise)).tolist()
        for sweep in range(SWEEPS):
            moved = False
            # Where a class is missing, the smallest group that mends it should move.
            for group in reversed(order) if sweep else order:
                members, now = self.members[group], placed[group]
                if now >= 0:
                    for label, count in members:
                        excess[now][label] -= count
                        holders[now][label] -= 1
                costs = []
                for part in parts:
                    cost = 0.0
                    for label, count in members:
                        cost += weights[label] * count * (count + 2 * excess[part][label])
                        if sweep and not holders[part][label]:
                            cost -= MISSING
                    costs.append(cost)
                least = min(costs)
                part = now if now >= 0 and costs[now] <= least + 1e-12 else costs.index(least)
                for label, count in members:
                    excess[part][label] += count
                    holders[part][label] += 1
                placed[group] = part
                moved |= part != now
            if not moved:
                break
        cost = sum(w * e * e for row in excess for w, e in zip(weights, row, strict=True))
        missing = sum(
            goal > 0 and not held
            for goals, row in zip(self.goals, holders, strict=True)
            for goal, held in zip(goals, row, strict=True)
        )
        return cost + MISSING * missing, placed
