"""The network of the original scripts."""

from torch import nn

from audioid.errors import AudioidError
from audioid.models.network import Network
from audioid.registry import register
from audioid.schema import SMALLEST_ORIGINAL, OriginalSettings


@register("model", "original", OriginalSettings)
def original(*, width: int, in_channels: int, n_classes: int, image_size: int) -> Network:
    """Two 5x5 convolutions with ReLU and 2x2 max-pooling, then two linear layers with no activation between.

    The second linear layer is the head.

    Raises:
        AudioidError: the images are smaller than 16 x 16.
    """
    rows = ((image_size - 4) // 2 - 4) // 2
    if rows < 1:
        raise AudioidError(
            f"image.size: {image_size} is too small for model=original; make it at least {SMALLEST_ORIGINAL}"
        )
    features = nn.Sequential(
        nn.Conv2d(in_channels, 16, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * rows * rows, width),
    )
    return Network(features, nn.Linear(width, n_classes))
