"""From a trained model and recordings to ranked names."""

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from audioid.data.audio import Unreadable, load
from audioid.data.walk import Skipped, walk
from audioid.identification.answers import Model

BATCH_SIZE = 32


@dataclass(frozen=True)
class Answer:
    """The likeliest names of one recording with their probabilities, best first; or why there are none."""

    path: Path
    names: list[tuple[str, float]]
    error: str | None = None


def find_recordings(arguments: Iterable[str], passed_over: list[Skipped]) -> Iterator[Path]:
    """The recordings that files, folders (as `walk` finds them) and globs stand for.

    A file is taken whatever its name. An argument that stands for nothing is handed on as it is, so that
    `identify` tells of it. What cannot be used in a folder is added to `passed_over`, with the reason.
    """

    def below(folder: Path) -> Iterator[Path]:
        for path, reason in walk(folder):
            if reason:
                passed_over.append((str(folder / path), reason))
            else:
                yield folder / path

    for argument in arguments:
        path = Path(argument)
        matches = [path] if path.exists() else [Path(found) for found in sorted(glob.glob(argument, recursive=True))]
        recordings = (found for match in matches for found in (below(match) if match.is_dir() else [match]))
        first = next(recordings, path)
        yield first
        yield from recordings


def identify(model: Model, paths: Iterable[Path], *, top: int) -> Iterator[Answer]:
    """An answer per path, in order, with the `top` likeliest names; `paths` may be endless, memory is bounded."""
    paths = iter(paths)
    while batch := list(islice(paths, BATCH_SIZE)):
        waveforms: dict[int, np.ndarray] = {}
        reasons: dict[int, str] = {}
        for place, path in enumerate(batch):
            try:
                waveforms[place] = load(path, **model.audio)
            except Unreadable as error:
                reasons[place] = "holds no recordings" if path.is_dir() else error.reason
        ranked = dict(zip(waveforms, _ranked(model, list(waveforms.values()), top), strict=True))
        for place, path in enumerate(batch):
            yield Answer(path, ranked.get(place, []), reasons.get(place))


@torch.inference_mode()
def _ranked(model: Model, waveforms: list[np.ndarray], top: int) -> list[list[tuple[str, float]]]:
    if not waveforms:
        return []
    logits = model.classifier(torch.from_numpy(np.stack(waveforms)))
    best = logits.double().softmax(1).topk(min(top, len(model.labels)))
    return [
        [(model.labels[place], probability) for place, probability in zip(places, probabilities, strict=True)]
        for places, probabilities in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
