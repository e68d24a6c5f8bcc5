"""Images of a corpus as grey PNG files."""

import re
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audioid.data.index import Index
from audioid.data.store import StoredRows
from audioid.files import replacing

AT_ONCE = 256  # images in memory
MAX_NAME = 80  # bytes of a name; Windows takes 260 characters for a whole path
RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE
)  # Windows's devices


def render(index: Index, images: StoredRows, folder: Path, *, signed: bool) -> None:
    """Writes `folder/LABEL/NAME.png` for each recording of the index, whose rows `images` has.

    Raises:
        AudioidError: the folder cannot be written.
    """
    paths = [folder / name for name in png_names(index)]
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), AT_ONCE):
            some = paths[start : start + AT_ONCE]
            pictures = images[np.arange(start, start + len(some))]
            list(pool.map(lambda path, image: write_png(path, image, signed=signed), some, pictures))


def png_names(index: Index) -> list[PurePosixPath]:
    """`LABEL/NAME.png` for each recording, a folder for each label, none of which leads elsewhere."""
    taken: Counter[str] = Counter()
    folders = {label: free_name(label, taken) for label in index.classes}
    taken_in = {label: Counter[str]() for label in index.classes}
    return [
        PurePosixPath(folders[label], f"{free_name(PurePosixPath(path).stem, taken_in[label])}.png")
        for path, label in zip(index.table["path"], index.table["label"], strict=True)
    ]


def free_name(wanted: str, taken: Counter[str]) -> str:
    """`wanted` as a name that any file system takes, with a number where that is in `taken`, to which it is added."""
    name = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", unicodedata.normalize("NFC", wanted)).strip(" .")
    name = name.encode(errors="ignore")[:MAX_NAME].decode(errors="ignore").rstrip(" .") or "_"
    if RESERVED.match(name):
        name = f"_{name}"
    free = name
    while taken[free.casefold()]:
        taken[name.casefold()] += 1
        free = f"{name}-{taken[name.casefold()]}"
    taken[free.casefold()] += 1
    return free


def write_png(path: Path, image: NDArray[np.float32], *, signed: bool) -> None:
    """An image `(channels, rows, time)`, its channels side by side and row 0 at the bottom, of values from 0 (`signed`:
    -1) to 1."""
    grey = np.concatenate((image + 1) / 2 if signed else image, axis=1)
    with replacing(path) as part:
        Image.fromarray((255 * grey[::-1].clip(0, 1)).round().astype(np.uint8)).save(part, format="png")
