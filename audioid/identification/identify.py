"""From a trained model and recordings to ranked names."""

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from audioid.classifier import log_probabilities
from audioid.data.audio import Unreadable, Waveform
from audioid.data.clips import load_clips
from audioid.data.walk import Skipped, walk
from audioid.identification.answers import Model

BATCH_SIZE = 32


@dataclass(frozen=True)
class Answer:
    """The likeliest names of one recording with their probabilities, best first; or why there are none."""

    path: Path
    names: list[tuple[str, float]]
    error: str | None = None
    unknown_score: float | None = None  # above 0 it is like nothing that the model knows; None: the model cannot tell

    @property
    def unknown(self) -> bool | None:
        """Whether it is none of the model's labels, where the model can tell."""
        return None if self.unknown_score is None else self.unknown_score > 0


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
    """An answer per path, in order, with the `top` likeliest names; `paths` may be endless.

    Memory grows with the longest recording alone, where `audio.windows=all` hears it to its end.
    """
    paths = iter(paths)
    while batch := list(_batch(model, paths)):
        heard = [clips for _, clips in batch if not isinstance(clips, str)]
        found = iter(ranked(model, heard, top))
        for path, clips in batch:
            if isinstance(clips, str):
                yield Answer(path, [], clips)
            else:
                names, unknown_score = next(found)
                yield Answer(path, names, unknown_score=unknown_score)


def tells_unknown(model: Model) -> bool:
    """Whether the model can tell what is none of its labels."""
    return model.sureness is not None and bool(model.sureness.threshold.isfinite())


def _batch(model: Model, paths: Iterator[Path]) -> Iterator[tuple[Path, list[Waveform] | str]]:
    """The next recordings, with their clips or why there are none, until there are enough of either."""
    count = 0
    while count < BATCH_SIZE and (path := next(paths, None)) is not None:
        try:
            clips = [clip for clip in load_clips(path, **model.audio) if clip is not None]
            yield path, clips
            count += len(clips)
        except Unreadable as error:
            yield path, "holds no recordings" if path.is_dir() else error.reason
            count += 1


@torch.inference_mode()
def ranked(model: Model, clips: list[list[Waveform]], top: int) -> list[tuple[list[tuple[str, float]], float | None]]:
    """Of recordings, by the clips of each: the `top` likeliest names with probabilities, and the unknown score."""
    if not clips:
        return []
    waveforms = torch.from_numpy(np.stack(list(chain.from_iterable(clips))))
    features, logits = map(torch.cat, zip(*map(model.classifier.judge, waveforms.split(BATCH_SIZE)), strict=True))
    counts = torch.tensor([len(each) for each in clips])
    found = log_probabilities(logits.double(), counts)
    scores = list[float | None]([None] * len(clips))
    if model.sureness:
        found = model.sureness.probabilities(found).log()
    if model.sureness and tells_unknown(model):
        means = torch.segment_reduce(features, "mean", lengths=counts, axis=0)
        scores = (model.sureness.unknown_scores(means) - model.sureness.threshold).tolist()
    best = found.exp().topk(min(top, len(model.labels)))
    return [
        ([(model.labels[place], probability) for place, probability in zip(places, probabilities, strict=True)], score)
        for places, probabilities, score in zip(best.indices.tolist(), best.values.tolist(), scores, strict=True)
    ]
