"""A small network of today's parts."""

import math

from torch import Tensor, nn

from audioid.models.network import Network
from audioid.registry import register
from audioid.schema import CnnSettings


class MeanOverTime(nn.Module):
    """`(batch, channels, frequency, time)` to `(batch, channels * frequency)`: frequencies are kept, times are not."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean(dim=-1).flatten(1)


@register("model", "cnn", CnnSettings)
def cnn(
    *,
    width: int,
    depth: int,
    dropout: float,
    in_channels: int,
    n_classes: int,
    image_size: int,
    pretrained: str = "none",
) -> Network:
    """`depth` strided convolutions that halve the image, from `width` channels to four times as many; a linear head.

    `pretrained` is for whoever trains it, since which weights fit depends on the picture: these here are initial ones.
    """
    layers: list[nn.Module] = []
    channels = in_channels
    for block in range(depth):
        wider = width * min(2**block, 4)
        kernel = 5 if block == 0 else 3
        layers += [
            nn.Conv2d(channels, wider, kernel, stride=2, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(wider),
            nn.ReLU(inplace=True),
        ]
        channels = wider
    rows = math.ceil(image_size / 2**depth)
    features = nn.Sequential(*layers, MeanOverTime(), nn.Dropout(dropout))
    return Network(features, nn.Linear(channels * rows, n_classes))
