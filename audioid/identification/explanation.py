"""What in its picture spoke for a name: where hiding it makes the network surest of something else."""

from dataclasses import dataclass

import torch
from captum.attr import Occlusion
from torch import Tensor

from audioid.classifier import AudioClassifier
from audioid.identification.answers import Answering, Model

# Of an image's side: what is hidden at once, and by how much that moves (held to other ways by
# scripts/bench_explanations.py).
WINDOW, STEP = 1 / 5, 1 / 20
AT_ONCE = 64  # images
MARKED = 0.1  # of an image
DRAWS = 16


@dataclass(frozen=True)
class Explanation:
    """What spoke for a name, and what comes of hiding as much as `MARKED` of the image, as silence.

    `strength` `(size, size)`, row 0 the lowest, is how far hiding the surroundings of each pixel lowers the name's
    log-probability, at least 0; `marked` `(size, size)` is true where it is largest. The name has `probability` as
    things are, `hidden` where `marked` is hidden, and `elsewhere` where the same shape is at other places, on average.
    """

    strength: Tensor
    marked: Tensor
    probability: float
    hidden: float
    elsewhere: float


def explain(model: Model, image: Tensor, place: int) -> Explanation:
    """Why a model of one picture gives an image `(channels, size, size)` the label at `place` among its own.

    Square after square is hidden (occlusion: Zeiler and Fergus, ECCV 2014).
    """
    size = image.shape[-1]
    window, step = max(1, round(WINDOW * size)), max(1, round(STEP * size))
    with torch.inference_mode():
        found = Occlusion(lambda images: log_probabilities(model, images)).attribute(
            image[None],
            sliding_window_shapes=(len(image), window, window),
            strides=(len(image), step, step),
            baselines=0,
            target=place,
            perturbations_per_eval=AT_ONCE,
        )
    return by_hiding(model, image, place, found[0].mean(0))


@torch.inference_mode()
def by_hiding(model: Model, image: Tensor, place: int, strength: Tensor) -> Explanation:
    """The explanation by a `strength` `(size, size)`, held to what comes of hiding where it is largest."""
    size, strength = image.shape[-1], strength.clamp(min=0)
    marked = torch.zeros(size * size, dtype=torch.bool)
    marked[strength.flatten().topk(max(1, round(MARKED * size * size))).indices] = True
    marked = marked.view(size, size)
    moves = torch.randint(size, (DRAWS, 2), generator=torch.Generator().manual_seed(0)).tolist()
    masks = torch.stack([torch.zeros_like(marked), marked, *(marked.roll(move, (0, 1)) for move in moves)])
    as_is, hidden, *elsewhere = log_probabilities(model, image * ~masks[:, None])[:, place].exp().tolist()
    return Explanation(strength, marked, as_is, hidden, sum(elsewhere) / DRAWS)


def log_probabilities(model: Model, images: Tensor) -> Tensor:
    """Of images `(batch, channels, size, size)` that a model of one picture is given, `(batch, labels)`, calibrated."""
    logits = _logits(model, images)
    return (logits / model.sureness.temperature if model.sureness else logits).log_softmax(1)


def _logits(model: Model, images: Tensor) -> Tensor:
    if isinstance(model, Answering):
        return model.grouped(_logits(model.model, images))
    assert isinstance(model.classifier, AudioClassifier)
    return model.classifier.classify(images)
