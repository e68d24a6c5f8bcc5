"""Of the recordings that a model has learned from, those that sound most like a new one."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

from audioid.data.audio import Waveform
from audioid.identification.answers import Model
from audioid.identification.identify import mean_features
from audioid.identification.search import nearest
from audioid.model_folder import TrainedModel
from audioid.sureness import placed


class Known(NamedTuple):
    """A recording learned from, as its model folder names it: its path in the corpus, label, and cosine, 0 to 1."""

    path: str
    label: str
    similarity: float


def learned_from(models: Iterable[Model]) -> set[str]:
    """The paths of all recordings that model folders name as learned from."""
    return {known.path for model in models if isinstance(model, TrainedModel) for known in model.known or []}


def nearest_known(model: Model, clips: Sequence[Waveform], *, top: int) -> list[Known]:
    """The `top` nearest to a recording with these clips, the nearest first; none where the model names none."""
    if not (isinstance(model, TrainedModel) and model.sureness and model.known):
        return []
    with torch.inference_mode():
        direction = placed(mean_features(model, [list(clips)]), model.sureness.basis)
        directions = functional.normalize(model.sureness.known, dim=1)  # they are kept in half precision
        found = nearest(directions, direction, top)[0]
    return [Known(*model.known[near.row], min(max(near.cosine, 0.0), 1.0)) for near in found]
