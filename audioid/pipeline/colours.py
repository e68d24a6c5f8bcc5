"""The colours that pictures of sound are shown in."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from audioid.transforms.image import FREQUENCY


def colour_scale(image: NDArray[np.floating], row_label: str) -> dict[str, Any]:
    """matplotlib's `cmap`, `vmin` and `vmax` for an image `(rows, time)`: from its least to its largest value, or
    evenly about 0 where it has values below."""
    if image.min() >= 0:
        return {"cmap": "magma", "vmin": image.min(), "vmax": image.max()}
    # The first of cepstral coefficients, the level, would leave no colour for the others.
    largest = np.abs(image if row_label == FREQUENCY else image[1:]).max()
    return {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}


def coloured(image: NDArray[np.floating], row_label: str) -> NDArray[np.uint8]:
    """An image `(rows, time)`, row 0 the lowest, as `(rows, time, 3)` with row 0 on top."""
    scale = colour_scale(image, row_label)
    shade = Normalize(scale["vmin"], scale["vmax"], clip=True)(image[::-1])
    return np.asarray(colormaps[scale["cmap"]](shade, bytes=True)[..., :3])
