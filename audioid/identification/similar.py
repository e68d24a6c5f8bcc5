"""From recordings to those of a library that sound most like them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from audioid.identification.answers import Model
from audioid.identification.directions import directions
from audioid.identification.identify import BATCH_SIZE
from audioid.identification.library import Library
from audioid.identification.search import Near, nearest


@dataclass(frozen=True)
class Neighbour:
    """A recording of the library, the name of its folder, and its cosine to what was asked, no less than 0."""

    path: Path
    similarity: float
    label: str


@dataclass(frozen=True)
class Found:
    """What is most like one recording, the nearest first; or why nothing was found."""

    path: Path
    neighbours: list[Neighbour]
    error: str | None = None


def similar(model: Model, library: Library, paths: Iterable[Path], *, top: int) -> Iterator[Found]:
    """What is most like each path, in order, the `top` nearest; `paths` may be endless.

    The file itself is none of its neighbours where the library has it; copies of it are.
    """
    every = directions(model, paths)
    while batch := list(islice(every, BATCH_SIZE)):
        heard = [(path, found) for path, found in batch if not isinstance(found, str)]
        own = [library.rows_of(path) for path, _ in heard]
        questions = torch.stack([found for _, found in heard]) if heard else library.directions[:0]
        answers = iter(nearest(library.directions, questions, top, own))
        for path, found in batch:
            if isinstance(found, str):
                yield Found(path, [], found)
            else:
                yield Found(path, [_neighbour(library, near) for near in next(answers)])


def _neighbour(library: Library, near: Near) -> Neighbour:
    return Neighbour(library.path(near.row), min(max(near.cosine, 0.0), 1.0), library.label(near.row))
