"""What no other choice beats in accuracy without costing more."""

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.statistics import Values


def front(gain: Values, costs: Values) -> NDArray[np.bool_]:
    """The Pareto front: `(choices,)`, true where no other has at least the gain at no more of any cost, and more of
    one or less of another.

    Args:
        gain: `(choices,)`, of which more is better.
        costs: `(choices, kinds)`, of which less is better.
    """
    as_good = (gain[:, None] >= gain) & (costs[:, None] <= costs).all(axis=2)
    better = (gain[:, None] > gain) | (costs[:, None] < costs).any(axis=2)
    return np.logical_not((as_good & better).any(axis=0))
