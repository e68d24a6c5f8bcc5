"""A small network of today's parts."""

import math

from torch import Tensor, nn
from torch.nn import functional

from audioid.models.network import Network
from audioid.registry import register
from audioid.schema import CnnSettings


class MeanOverTime(nn.Module):
    """`(batch, channels, frequency, time)` to `(batch, channels * frequency)`: frequencies are kept, times are not."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean(dim=-1).flatten(1)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, `(batch, channels, rows, columns)` to the same (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(features + self.branch(features), inplace=True)


@register("model", "cnn", CnnSettings)
def cnn(
    *,
    width: int,
    depth: int,
    dropout: float,
    in_channels: int,
    n_classes: int,
    image_size: int,
    blocks: int = 0,
    pretrained: str = "none",
) -> Network:
    """`depth` strided convolutions that halve the image, from `width` channels to four times as many; a linear head.

    After each of the last `blocks` of them comes a residual block: the image is small there, and work is cheap.
    `pretrained` is for whoever trains it, since which weights fit depends on the picture: these here are initial ones.
    """
    layers: list[nn.Module] = []
    channels = in_channels
    for stage in range(depth):
        wider = width * min(2**stage, 4)
        kernel = 5 if stage == 0 else 3
        layers += [
            nn.Conv2d(channels, wider, kernel, stride=2, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(wider),
            nn.ReLU(inplace=True),
        ]
        if stage >= depth - blocks:
            layers.append(Residual(wider))
        channels = wider
    rows = math.ceil(image_size / 2**depth)
    features = nn.Sequential(*layers, MeanOverTime(), nn.Dropout(dropout))
    return Network(features, nn.Linear(channels * rows, n_classes))
