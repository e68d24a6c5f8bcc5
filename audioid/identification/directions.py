"""Recordings as directions: what a model's features say of them, whatever their size."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from audioid.identification.answers import Model
from audioid.identification.identify import heard, mean_features, next_batch
from audioid.sureness import placed


def directions(model: Model, paths: Iterable[Path]) -> Iterator[tuple[Path, Tensor | str]]:
    """Of each path, in order, its direction, float32 `(axes,)` of length 1, or why there is none; `paths` may be
    endless.

    It is that of the mean of the features of its clips: along the axes that the model tells the unknown by, at most
    128, where it has these, else along all features.
    """
    heard_ahead = heard(model, iter(paths))
    while batch := list(next_batch(heard_ahead)):
        clips_of_each = [clips for _, clips in batch if not isinstance(clips, str)]
        found = iter(_placed(model, mean_features(model, clips_of_each)) if clips_of_each else torch.empty(0))
        for path, clips in batch:
            direction = clips if isinstance(clips, str) else next(found)
            if not isinstance(direction, str) and not bool(direction.isfinite().all()):
                direction = "gives the network no finite features; export it again"
            yield path, direction


@torch.inference_mode()
def count_axes(model: Model) -> int:
    """How many axes the model's directions have."""
    silence = torch.zeros(1, round(model.audio["sample_rate"] * model.audio["seconds"]))
    return _placed(model, model.classifier.judge(silence)[0]).shape[1]


def _placed(model: Model, features: Tensor) -> Tensor:
    if model.sureness:
        return placed(features, model.sureness.basis)
    return functional.normalize(features, dim=1)
