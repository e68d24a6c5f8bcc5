"""One object from a waveform to logits: what training fits, a model folder keeps, and identification uses."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from audioid import models, transforms
from audioid.models import Network, Normalize, Whole
from audioid.transforms.image import TimeFrequencyTransform


class AudioClassifier(nn.Module):
    """Waveforms `(batch, time)` to logits `(batch, n_classes)`: a picture, its normalisation, and a network.

    The picture has no weights, so what `state_dict` holds is the statistics of the training images and the network's.
    """

    def __init__(self, transform: TimeFrequencyTransform, normalize: Normalize, network: Network | Whole) -> None:
        super().__init__()
        self.transform, self.normalize, self.network = transform, normalize, network

    @property
    def pictures(self) -> list[TimeFrequencyTransform]:
        """What it sees of a waveform."""
        return [self.transform]

    def forward(self, waveform: Tensor) -> Tensor:
        return self.classify(self.transform(waveform))

    def classify(self, images: Tensor) -> Tensor:
        """Logits of images `(batch, channels, size, size)` that were made before."""
        logits: Tensor = self.network(self.normalize(images))
        return logits

    def features_and_logits(self, images: Tensor) -> tuple[Tensor | None, Tensor]:
        """As `features` and `classify` of these images, in one pass; no features where the network shows none."""
        return self.network.features_and_logits(self.normalize(images))

    def judge(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of waveforms, in one pass; the logits are both where the network shows no features."""
        features, logits = self.features_and_logits(self.transform(waveform))
        return logits if features is None else features.flatten(1), logits

    def features(self, waveform: Tensor) -> Tensor:
        """What the network's head decides by, `(batch, n_features)`: an embedding of each waveform."""
        features: Tensor = self.network.features(self.normalize(self.transform(waveform)))
        return features


def log_probabilities(logits: Tensor, counts: Tensor) -> Tensor:
    """Of recordings `(recordings, classes)`, from the logits of all their clips and how many each has, `(recordings,)`.

    Several clips' log-probabilities are averaged, and what comes out is made to sum to one: the geometric mean.
    """
    found = logits.log_softmax(1)
    if bool((counts == 1).all()):
        return found
    return torch.segment_reduce(found, "mean", lengths=counts, axis=0).log_softmax(1)


def build_classifier(
    *,
    audio: Mapping[str, Any],
    image: Mapping[str, Any],
    transform: Mapping[str, Any],
    model: Mapping[str, Any],
    n_classes: int,
    device: str = "cpu",
) -> AudioClassifier:
    """A classifier with initial weights on `device`, of groups of the configuration as plain values.

    Raises:
        AudioidError: the picture or the network does not allow these settings.
    """
    rate, size = audio["sample_rate"], image["size"]
    picture = transforms.build(transform, image, sample_rate=rate, n_samples=round(rate * audio["seconds"]))
    with torch.device(device):
        network = models.build(model, in_channels=picture.channels, n_classes=n_classes, image_size=size)
        normalize = Normalize(picture.channels, size)
    return AudioClassifier(picture, normalize, network)
