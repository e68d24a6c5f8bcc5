"""Centring and scaling of images by the statistics of the training part."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """`(image - mean) / deviation` for images `(batch, channels, size, size)`; the identity until `fit` is called."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, size, size))
        self.register_buffer("deviation", torch.ones(channels, size, size))

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.deviation

    def fit(self, batches: Iterable[Tensor], over: Literal["global", "pixel"]) -> None:
        """Takes mean and deviation from batches of images, over all pixels of a channel or for each pixel.

        Where all images agree there is nothing to scale, and the deviation stays 1.
        """
        count = 0
        total = torch.zeros(self.mean.shape, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for batch in batches:
            count += len(batch)
            total += batch.double().sum(0)
            squares += batch.double().square().sum(0)
        mean, square = total / count, squares / count
        if over == "global":
            mean, square = (each.mean((-2, -1), keepdim=True).expand_as(each) for each in (mean, square))
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, 1.0))
