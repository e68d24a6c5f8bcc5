"""Scores by which it might be told what a model does not know, beside audioid's: for scripts/bench_sureness.py alone.

Each takes what a network makes of its training part, and gives a function of features `(n, features)` and logits
`(n, classes)` that is the higher, the stranger a recording is, `(n,)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from sklearn.covariance import ShrunkCovariance
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from audioid.sureness import Sureness

Array = NDArray[np.float64]
Score = Callable[[Array, Array], Array]
AXES = 64


@dataclass(frozen=True)
class Learned:
    """What a network makes of its training part: features `(n, features)`, logits `(n, classes)`, classes `(n,)`."""

    features: Array
    logits: Array
    targets: NDArray[np.intp]
    sureness: Sureness

    @cached_property
    def axes(self) -> PCA:
        return PCA(min(AXES, *self.features.shape)).fit(self.features)

    def squared_distances(self, features: Array, *, to_classes: bool) -> Array:
        """Of Mahalanobis: to the nearest class's mean by the covariance within classes, or to the mean of all.

        Both covariances are drawn towards a ball by the same share, else their difference says how much they were.
        """
        own, places = self.axes.transform(self.features), self.axes.transform(features)
        targets = self.targets if to_classes else np.zeros_like(self.targets)
        classes = [targets == number for number in np.unique(targets)]
        means = [own[here].mean(0) for here in classes]
        centred = np.concatenate([own[here] - mean for here, mean in zip(classes, means, strict=True)])
        inside = ShrunkCovariance(shrinkage=0.1, assume_centered=True).fit(centred)
        return np.min([inside.mahalanobis(places - mean) for mean in means], axis=0)

    def neighbour_distance(self, features: Array, count: int) -> Array:
        own, places = normalize(self.features), normalize(features)
        return NearestNeighbors(n_neighbors=min(count, len(own))).fit(own).kneighbors(places)[0][:, -1]

    def residual(self, features: Array) -> Array:
        """The length of what lies outside of the training part's chief axes."""
        rest = features - self.axes.inverse_transform(self.axes.transform(features))
        return np.linalg.norm(rest, axis=1)


def scores(learned: Learned) -> dict[str, Score]:
    """By name: Hendrycks and Gimpel 2017, Hendrycks 2022, Liu 2020, Lee 2018, Ren 2021, Sun 2022, Wang 2022, ours."""
    # ViM's residual is brought to the scale of logits by the training part.
    alpha = learned.logits.max(1).mean() / learned.residual(learned.features).mean().clip(1e-9)
    return {
        "largest softmax": lambda _, logits: -log_softmax(logits, axis=1).max(1),
        "largest logit": lambda _, logits: -logits.max(1),
        "energy": lambda _, logits: -logsumexp(logits, axis=1),
        "Mahalanobis": lambda features, _: learned.squared_distances(features, to_classes=True),
        "relative Mahalanobis": lambda features, _: (
            learned.squared_distances(features, to_classes=True) - learned.squared_distances(features, to_classes=False)
        ),
        "nearest neighbour": lambda features, _: learned.neighbour_distance(features, 1),
        "fifth neighbour": lambda features, _: learned.neighbour_distance(features, 5),
        "ViM": lambda features, logits: alpha * learned.residual(features) - logsumexp(logits, axis=1),
        "audioid": lambda features, _: (
            learned.sureness.unknown_scores(torch.from_numpy(features.astype(np.float32))).double().numpy()
        ),
    }
