"""What in its picture spoke for a name: where hiding it makes the network surest of something else."""

from dataclasses import dataclass

import torch
from captum.attr import Occlusion
from torch import Tensor
from torch.nn import functional

from audioid.classifier import AudioClassifier
from audioid.identification.answers import Answering, Model

# Of an image's side: what is hidden at once, and by how much that moves (held to other ways by
# scripts/bench_explanations.py).
WINDOW, STEP = 1 / 5, 1 / 20
AT_ONCE = 64  # images
MARKED = 0.1  # of an image, at most
SILENT = 0.05  # of an image's largest: 4 of 80 decibels above its floor hardly show
DRAWS = 16


@dataclass(frozen=True)
class Explanation:
    """What spoke for a name, and what comes of hiding at most `MARKED` of the image, as silence.

    `strength` `(size, size)`, row 0 the lowest, is how far hiding the surroundings of each pixel lowers the name's
    log-probability, at least 0, and 0 where nothing sounds; `marked` `(size, size)` is true where it is largest. The
    name has `probability` as things are, `hidden` where `marked` is hidden, and `elsewhere` where the same shape is at
    other places, on average.
    """

    strength: Tensor
    marked: Tensor
    probability: float
    hidden: float
    elsewhere: float

    @property
    def share(self) -> float:
        """How much of the image is marked, 0 to 1."""
        return float(self.marked.float().mean())


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
    size = image.shape[-1]
    # A square's effect is that of all its pixels alike, also of those where hiding changes nothing.
    strength = strength.clamp(min=0) * _sounds(image)
    marked = torch.zeros(size * size, dtype=torch.bool)
    marked[strength.flatten().topk(max(1, round(MARKED * size * size))).indices] = True
    marked = marked.view(size, size) & (strength > 0)
    moves = torch.randint(size, (DRAWS, 2), generator=torch.Generator().manual_seed(0)).tolist()
    masks = torch.stack([torch.zeros_like(marked), marked, *(marked.roll(move, (0, 1)) for move in moves)])
    as_is, hidden, *elsewhere = log_probabilities(model, image * ~masks[:, None])[:, place].exp().tolist()
    return Explanation(strength, marked, as_is, hidden, sum(elsewhere) / DRAWS)


def _sounds(image: Tensor) -> Tensor:
    """Where hiding changes anything of an image `(channels, size, size)`: true `(size, size)` where it is not near 0 on
    average of 3 x 3 pixels, of which single ones may be noise."""
    loudest = image.abs().amax(0)
    around = functional.avg_pool2d(loudest[None], 3, 1, 1, count_include_pad=False)[0]
    return around > SILENT * loudest.max()


def log_probabilities(model: Model, images: Tensor) -> Tensor:
    """Of images `(batch, channels, size, size)` that a model of one picture is given, `(batch, labels)`, calibrated."""
    logits = _logits(model, images)
    return (logits / model.sureness.temperature if model.sureness else logits).log_softmax(1)


def _logits(model: Model, images: Tensor) -> Tensor:
    if isinstance(model, Answering):
        return model.grouped(_logits(model.model, images))
    assert isinstance(model.classifier, AudioClassifier)
    return model.classifier.classify(images)
