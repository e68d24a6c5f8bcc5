"""Recordings to look at and to listen to: what a comparison is given, since it reads run records alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.records import Run


@dataclass(frozen=True)
class Shown:
    """A recording as one run's network is given it.

    Attributes:
        image: `(rows, columns, 3)`, row 0 on top: the highest of its rows' values.
        sound: a mono MP3.
    """

    image: NDArray[np.uint8]
    sound: bytes


class Showing(Protocol):
    def __call__(self, run: Run, paths: Sequence[str]) -> Mapping[str, Shown]:
        """Recordings by their paths in `predictions.csv`; those that cannot be read are missing."""
        ...
