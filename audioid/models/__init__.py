"""Networks: image in, logits out. Nothing here knows of audio."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from audioid.models.cnn import cnn
from audioid.models.normalize import Normalize
from audioid.models.original import original

__all__ = ["Normalize", "build"]


def build(model: Mapping[str, Any], *, n_classes: int, image_size: int) -> nn.Sequential:
    """A network from images `(batch, 1, image_size, image_size)` to logits `(batch, n_classes)`.

    Its first layer is `Normalize`, which holds the statistics of the training images.

    Raises:
        AudioidError: the name is unknown or the images are too small for this network.
    """
    if model["name"] == "original":
        layers = original(width=model["width"], n_classes=n_classes, image_size=image_size)
    else:
        layers = cnn(
            width=model["width"],
            depth=model["depth"],
            dropout=model["dropout"],
            n_classes=n_classes,
            image_size=image_size,
        )
    return nn.Sequential(Normalize(image_size), *layers)
