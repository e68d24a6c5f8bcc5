"""From a trained model and recordings to ranked names."""

import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audioid.classifier import log_probabilities
from audioid.data.audio import SILENCE, Unreadable, Waveform
from audioid.data.clips import load_clips
from audioid.data.walk import Skipped, walk
from audioid.identification.answers import Model
from audioid.identification.together import Together

BATCH_SIZE = 32
SILENT = "there is nothing to hear in it"  # why a recording has no names


@dataclass(frozen=True)
class Answer:
    """The likeliest names of one recording with their probabilities, best first; or why there are none."""

    path: Path
    names: list[tuple[str, float]]
    error: str | None = None
    unknown_score: float | None = None  # above 0 it is like nothing that the model knows; None: the model cannot tell
    agree: int | None = None  # of several models, how many find the same name the likeliest

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

    Recordings are decoded while the network judges those before. Memory grows with the longest recording alone, where
    `audio.windows=all` hears it to its end.
    """
    heard_ahead = heard(model, iter(paths))
    while batch := list(next_batch(heard_ahead)):
        clips_of_each = [clips for _, clips in batch if not isinstance(clips, str)]
        found = iter(ranked(model, clips_of_each, top))
        for path, clips in batch:
            yield Answer(path, [], clips) if isinstance(clips, str) else replace(next(found), path=path)


def parts_of(model: Model) -> Sequence[Model]:
    """The models that answer together."""
    return model.models if isinstance(model, Together) else [model]


def tells_unknown(model: Model) -> bool:
    """Whether the model can tell what is none of its labels."""
    return any(part.sureness and part.sureness.threshold.isfinite() for part in parts_of(model))


Heard = tuple[Path, list[Waveform] | str]  # a recording's clips, or why there are none


def heard(model: Model, paths: Iterator[Path]) -> Iterator[Heard]:
    """Each recording in order, decoded by several threads, some ahead of who asks."""
    # Of recordings that are heard to their ends few may be large.
    ahead = 2 * BATCH_SIZE if model.audio.get("windows", 1) == 1 else 1
    waiting = deque[Future[Heard]]()
    pool = ThreadPoolExecutor()
    try:
        for path in paths:
            waiting.append(pool.submit(_decoded, model, path))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decoded(model: Model, path: Path) -> Heard:
    try:
        return path, sounding_clips(path, model.audio)
    except Unreadable as error:
        if path.is_dir():
            return path, "holds no recordings"
        is_unmatched = glob.has_magic(str(path)) and not os.path.lexists(path)
        return path, "stands for no file; correct it" if is_unmatched else error.reason


def sounding_clips(path: Path, audio: Mapping[str, Any]) -> list[Waveform]:
    """Those clips of a recording that a model with such `audio` judges.

    Raises:
        Unreadable: it cannot be read, or is `SILENT`: networks name silence too.
    """
    clips = [clip for clip in load_clips(path, **audio) if clip is not None]
    if all(np.ptp(clip) < SILENCE for clip in clips):
        raise Unreadable(path, SILENT)
    return clips


def next_batch(heard: Iterator[Heard]) -> Iterator[Heard]:
    """The next recordings, until there are enough clips, or what has none."""
    count = 0
    while count < BATCH_SIZE and (found := next(heard, None)) is not None:
        yield found
        count += 1 if isinstance(found[1], str) else len(found[1])


def ranked(model: Model, clips: Sequence[list[Waveform]], top: int) -> list[Answer]:
    """An answer, whose path is to be filled in, for each recording with its clips."""
    if not clips:
        return []
    found, every = judged(model, clips)
    scores = [each for _, each in every if each is not None]
    unknown = torch.stack(scores).mean(0).tolist() if scores else [None] * len(clips)
    agree = torch.stack([each.argmax(1) == found.argmax(1) for each, _ in every]).sum(0).tolist()
    best = found.exp().topk(min(top, len(model.labels)))
    return [
        Answer(
            Path(),
            [(model.labels[place], probability) for place, probability in zip(places, probabilities, strict=True)],
            unknown_score=score,
            agree=votes if every[1:] else None,
        )
        for places, probabilities, score, votes in zip(
            best.indices.tolist(), best.values.tolist(), unknown, agree, strict=True
        )
    ]


@torch.inference_mode()
def judged(model: Model, clips: Sequence[list[Waveform]]) -> tuple[Tensor, list[tuple[Tensor, Tensor | None]]]:
    """Log-probabilities `(recordings, labels)` of recordings with their clips, and those of each of the models that
    answer together, with unknown scores less the threshold `(recordings,)`, None where it cannot tell."""
    waveforms, counts = _joined(clips)
    every = [_of_one(part, waveforms, counts) for part in parts_of(model)]
    return torch.stack([each for each, _ in every]).mean(0).log_softmax(1), every


@torch.inference_mode()
def mean_features(model: Model, clips: Sequence[list[Waveform]]) -> Tensor:
    """Of recordings with their clips, the means of these clips' features `(recordings, n_features)`."""
    return _of_clips(model, *_joined(clips))[0]


def _joined(clips: Sequence[list[Waveform]]) -> tuple[Tensor, Tensor]:
    """All clips `(clips, time)`, and how many each recording has `(recordings,)`."""
    waveforms = torch.from_numpy(np.stack(list(chain.from_iterable(clips))))
    return waveforms, torch.tensor([len(each) for each in clips])


def _of_clips(model: Model, waveforms: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Features `(recordings, n_features)` and log-probabilities `(recordings, labels)` before any temperature."""
    features, logits = map(torch.cat, zip(*map(model.classifier.judge, waveforms.split(BATCH_SIZE)), strict=True))
    means = torch.segment_reduce(features, "mean", lengths=counts, axis=0)
    return means, log_probabilities(logits.double(), counts)


def _of_one(model: Model, waveforms: Tensor, counts: Tensor) -> tuple[Tensor, Tensor | None]:
    features, found = _of_clips(model, waveforms, counts)
    if not model.sureness:
        return found, None
    found = (found / model.sureness.temperature.double()).log_softmax(1)
    if not model.sureness.threshold.isfinite():
        return found, None
    return found, model.sureness.unknown_scores(features) - model.sureness.threshold
