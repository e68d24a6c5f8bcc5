"""Images of a corpus as grey PNG files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audioid.data.index import Index
from audioid.data.store import Rows
from audioid.files import replacing

AT_ONCE = 256  # images in memory


def render(index: Index, images: Rows, folder: Path, *, signed: bool) -> None:
    """Writes `folder/LABEL/NAME.png` for each recording of the index, whose rows `images` has.

    Raises:
        AudioidError: the folder cannot be written.
    """
    paths = [folder / name for name in png_names(index)]
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), AT_ONCE):
            some = paths[start : start + AT_ONCE]
            pictures = images[np.arange(start, start + len(some))][:, 0]
            list(pool.map(lambda path, image: write_png(path, image, signed=signed), some, pictures))


def png_names(index: Index) -> list[PurePosixPath]:
    """`LABEL/NAME.png` for each recording; those of the same label and name are told apart by a number."""
    seen: dict[str, int] = {}
    names = []
    for path, label in zip(index.table["path"], index.table["label"], strict=True):
        stem = PurePosixPath(path).stem
        key = f"{label}/{stem}".casefold()
        seen[key] = seen.get(key, 0) + 1
        names.append(PurePosixPath(label, f"{stem}.png" if seen[key] == 1 else f"{stem}-{seen[key]}.png"))
    return names


def write_png(path: Path, image: NDArray[np.float32], *, signed: bool) -> None:
    """An image `(frequency, time)` with its lowest frequency at the bottom, of values from 0 (`signed`: -1) to 1."""
    grey = (image + 1) / 2 if signed else image
    with replacing(path) as part:
        Image.fromarray((255 * grey[::-1].clip(0, 1)).round().astype(np.uint8)).save(part, format="png")
