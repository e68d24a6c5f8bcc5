"""The features that a run's network has of its test recordings, for TensorBoard's projector."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.predictions import read_predictions
from audioid.comparison.records import Run
from audioid.comparison.showing import Showing, Shown

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FEATURES = "features.npy"
MOST_RECORDINGS = 500
MOST_FEATURES = 512
THUMBNAIL = 32  # pixels
GREY = 128  # where there is no picture
HEADER = ["label", "predicted", "right", "path"]


def add_embedding(writer: "SummaryWriter", tag: str, run: Run, showing: Showing | None) -> None:
    """The run's `features.npy` with names and thumbnails, of at most `MOST_RECORDINGS`, evenly chosen.

    Raises:
        OSError, ValueError: they cannot be read, or are not of its predictions.
    """
    import torch

    file = run.folder / FEATURES
    features = np.load(file, mmap_mode="r", allow_pickle=False)
    found = read_predictions(run)
    if features.ndim != 2 or len(features) != len(found.paths) or features.shape[1] > MOST_FEATURES:
        raise ValueError(f"{file}: is not of its predictions.csv")
    rows = np.unique(np.linspace(0, len(features) - 1, min(len(features), MOST_RECORDINGS)).round().astype(int))
    paths = found.paths[rows].tolist()
    shown = showing(run, paths) if showing else {}
    names = np.array(found.classes)[[found.labels[rows], found.predicted[rows]]]
    is_right = np.where(found.labels[rows] == found.predicted[rows], "right", "wrong")
    metadata = [[" ".join(text.split()) for text in row] for row in zip(*names, is_right, paths, strict=True)]
    thumbnails = torch.from_numpy(np.stack([_thumbnail(shown.get(path)) for path in paths])) / 255 if shown else None
    writer.add_embedding(
        np.nan_to_num(features[rows].astype(np.float32)),
        metadata=metadata,
        metadata_header=HEADER,
        label_img=thumbnails,
        tag=tag,
    )


def _thumbnail(shown: Shown | None) -> NDArray[np.uint8]:
    """`(3, THUMBNAIL, THUMBNAIL)`."""
    from PIL import Image

    if shown is None:
        return np.full((3, THUMBNAIL, THUMBNAIL), GREY, np.uint8)
    small = Image.fromarray(shown.image).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    return np.asarray(small).transpose(2, 0, 1)
