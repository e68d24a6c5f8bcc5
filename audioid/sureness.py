"""How sure an answer is: calibrated probabilities, and how unlike all that the model knows a recording is."""

import math
from collections.abc import Mapping
from copy import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

NEIGHBOURS = 4  # recordings learned from, to which a recording is held
CROWD = 10  # sounds of the background
SHARE = 0.75  # of the distance to the background that counts against that to the neighbours
NEAR = 1e-3  # so that a recording learned from itself is not infinitely near


class Sureness(nn.Module):
    """What a model folder knows of its model's answers.

    Probabilities are the softmax of log-probabilities over `temperature` (Guo et al., ICML 2017). The unknown score of
    features is the mean log distance to the nearest of the recordings learned from (k nearest neighbours: Sun et al.,
    ICML 2022), less `SHARE` of that to the nearest of a background of all kinds of sound, as relative Mahalanobis
    distances are (Ren et al. 2021): what lies far from everything is not stranger for that, and what is nearer to
    sounds of another kind is. Features are taken as directions, along the `basis` `(n_features, axes)`.

    Args:
        known: features of recordings learned from, `(n_known, axes)`, as `placed` gives them.
        background: those of other sounds, `(n_background, axes)`; there may be none.
        threshold: unknown scores above it are of recordings that the model does not know; None where nothing is known
            of scores, so that none is.
    """

    temperature: Tensor
    basis: Tensor
    known: Tensor
    background: Tensor
    threshold: Tensor

    def __init__(
        self, *, temperature: float, basis: Tensor, known: Tensor, background: Tensor, threshold: float | None
    ) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.tensor(temperature))
        self.register_buffer("threshold", torch.tensor(math.inf if threshold is None else threshold))
        self.register_buffer("basis", basis)
        self.register_buffer("known", known)
        self.register_buffer("background", background)

    @classmethod
    def of(cls, kept: Mapping[str, Tensor], n_features: int) -> "Sureness":
        """That whose `state_dict` was kept, for a network of so many features.

        Raises:
            ValueError: it is none, and why.
        """
        if set(kept) != {"temperature", "threshold", "basis", "known", "background"}:
            raise ValueError(f"it holds {', '.join(sorted(kept)) or 'nothing'}")
        shapes = {name: tuple(values.shape) for name, values in kept.items()}
        axes = shapes["basis"][-1:]
        is_shaped = (
            (shapes["temperature"], shapes["threshold"], shapes["basis"]) == ((), (), (n_features, *axes))
            and all(len(shapes[name]) == 2 and shapes[name][1:] == axes for name in ("known", "background"))
            and shapes["known"][0] > 0
        )
        if not is_shaped:
            raise ValueError(f"of shapes {shapes}, for {n_features} features")
        numbers = [values for name, values in kept.items() if name != "threshold"]
        if not (all(values.isfinite().all() for values in numbers) and kept["temperature"] > 0):
            raise ValueError("it holds no finite numbers")
        if kept["threshold"].isnan():
            raise ValueError("its threshold is no number")
        made = cls(
            temperature=float(kept["temperature"]),
            basis=kept["basis"],
            known=kept["known"],
            background=kept["background"],
            threshold=float(kept["threshold"]),
        )
        return made.requires_grad_(False)

    def tempered(self) -> "Sureness":
        """That of log-probabilities which have been divided by the temperature."""
        made = copy(self)
        made._buffers = self._buffers | {"temperature": torch.ones_like(self.temperature)}
        return made

    def probabilities(self, log_probabilities: Tensor) -> Tensor:
        """Of each class, `(batch, classes)`, from what the network gives: logits or log-probabilities."""
        return (log_probabilities / self.temperature).softmax(1)

    def unknown_scores(self, features: Tensor) -> Tensor:
        """Of features `(batch, n_features)`, such as the means over a recording's clips: `(batch,)`."""
        places = placed(features, self.basis)
        scores = mean_log_distance(places @ self.known.T, NEIGHBOURS)
        if len(self.background):
            scores = scores - SHARE * mean_log_distance(places @ self.background.T, CROWD)
        return scores

    def forward(self, log_probabilities: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities `(batch, classes)` and unknown scores less the threshold `(batch,)`: above 0, unknown."""
        return self.probabilities(log_probabilities), self.unknown_scores(features) - self.threshold


def placed(features: Tensor, basis: Tensor) -> Tensor:
    """Features `(batch, n_features)` as directions along the basis, `(batch, axes)`, each of length 1."""
    return functional.normalize(functional.normalize(features, dim=1) @ basis, dim=1)


def mean_log_distance(cosines: Tensor, count: int) -> Tensor:
    """To the nearest `count` of others, `(batch,)`, by the cosines of directions `(batch, others)`."""
    nearest = cosines.topk(min(count, cosines.shape[1]), dim=1).values
    return ((2 - 2 * nearest).clamp(min=0).sqrt() + NEAR).log().mean(1)
