"""A folder of recordings with the direction of each, kept on disk and renewed for what has changed.

The file is safetensors: `directions`, float16 `(recordings, axes)`, and `recordings`, the bytes of a JSON list of path,
size and time of change of each. Loading it runs no code.
"""

import hashlib
import json
import math
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as as_bytes
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from audioid.code_version import code_version, sources_version
from audioid.data import audio as decoding
from audioid.data import clips as clipping
from audioid.data.walk import Skipped, walk
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.identification.answers import Model
from audioid.identification.directions import count_axes, directions
from audioid.model_description import DESCRIPTION, read_description

FORMAT = 1
FOLDER = ".audioid"  # in the library, where no other place is given
SAVE_EVERY = 60.0  # seconds of work that a killed process may lose
MANY = 200  # recordings, of which a line tells how far it is


class Recording(NamedTuple):
    """A file as it was when it was heard: its path below the library, with `/`, size and time of change."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Library:
    """Recordings below `root` and the direction of each, float32 `(recordings, axes)`.

    `files` are device and inode of each, by which a recording is known under any of its names. `unreadable` and
    `passed_over` are what has no direction, with the reason; `added` and `removed` count what was not so on disk.
    """

    root: Path
    recordings: Sequence[Recording]
    directions: Tensor
    files: Sequence[tuple[int, int]]
    unreadable: Sequence[Skipped]
    passed_over: Sequence[Skipped]
    added: int
    removed: int

    def path(self, row: int) -> Path:
        return self.root / self.recordings[row].path

    def label(self, row: int) -> str:
        """The name of the folder that holds the recording."""
        parent = self.path(row).parent
        return unicodedata.normalize("NFC", parent.name if parent != self.root else self.root.resolve().name)

    def rows_of(self, path: Path) -> list[int]:
        """Where the file at `path` itself stands, not copies of it; links to it are the same file."""
        try:
            status = os.stat(path)
        except OSError:
            return []
        return self._rows.get((status.st_dev, status.st_ino), [])

    @cached_property
    def _rows(self) -> dict[tuple[int, int], list[int]]:
        found: dict[tuple[int, int], list[int]] = {}
        for row, file in enumerate(self.files):
            found.setdefault(file, []).append(row)
        return found


def index_file(library: Path, folders: Sequence[Path], place: Path | None = None) -> Path:
    """Where a library's directions by the model in these folders lie: in `.audioid` in the library, or in `place`,
    where they have a name for each library.

    Raises:
        AudioidError: a model folder has no `model.json`, or a damaged one.
    """
    # With the weights' checksum.
    described = [read_description(folder / DESCRIPTION).model_dump() for folder in folders]
    name = _digest(json.dumps(described, sort_keys=True).encode())
    if place is None:
        return library / FOLDER / f"{name}.safetensors"
    return place / f"{_digest(os.fsencode(library.resolve()))}-{name}.safetensors"


def open_library(model: Model, root: Path, file: Path) -> Library:
    """The library below `root`, whose directions `file` keeps: it is read, and brought up to date where recordings are
    new, changed or gone. One that is damaged or of another version is made anew, which a line on stderr tells.

    Raises:
        AudioidError: `root` is no folder, none of its recordings can be read, or `file` cannot be written.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise AudioidError(f"{root}: {what}; --library takes the folder of recordings to search")
    found, passed_over = _found(root)
    version = _version(model)
    kept = _read(file, version, count_axes(model))
    known, unreadable = _renewed(model, root, found, kept, lambda known: _write(file, version, known))
    if not known:
        told = "holds no recordings"
        if unreadable:
            told = f"none of its {len(unreadable)} recordings can be read (first: {': '.join(unreadable[0])})"
        raise AudioidError(f"{root}: {told}; --library takes the folder of recordings to search")
    return Library(
        root,
        list(known),
        functional.normalize(torch.stack(list(known.values())).float()),
        [found[recording] for recording in known],
        unreadable,
        passed_over,
        added=len(known.keys() - kept.keys()),
        removed=len({recording.path for recording in kept} - {recording.path for recording in found}),
    )


def _renewed(
    model: Model,
    root: Path,
    found: Collection[Recording],
    kept: Mapping[Recording, Tensor],
    write: Callable[[Mapping[Recording, Tensor]], None],
) -> tuple[dict[Recording, Tensor], list[Skipped]]:
    """The directions of the recordings found, in their order, and what cannot be read; heard is what is not in `kept`.

    What was heard is written at once, since that it cannot be is better known before the work, from time to time, and
    in the end.
    """
    known = {recording: kept[recording] for recording in found if recording in kept}
    new = [recording for recording in found if recording not in kept]
    unreadable: list[Skipped] = []
    saved, last = set(kept), -math.inf
    heard = directions(model, (root / recording.path for recording in new))
    for recording, (_, direction) in zip(_telling(new), heard, strict=True):
        if isinstance(direction, str):
            unreadable.append((recording.path, direction))
            continue
        known[recording] = direction.half()
        if time.monotonic() - last > SAVE_EVERY:
            write(known)
            saved, last = set(known), time.monotonic()
    known = {recording: known[recording] for recording in found if recording in known}
    if known and known.keys() != saved:
        write(known)
    return known, unreadable


def _telling(recordings: Collection[Recording]) -> "tqdm[Recording]":
    """The recordings, and on stderr how far they are, where they are many."""
    seconds = 0.5 if sys.stderr.isatty() else 30.0
    few = len(recordings) < MANY
    return tqdm(recordings, desc="indexing", unit=" recordings", mininterval=seconds, leave=False, disable=few)


def _found(root: Path) -> tuple[dict[Recording, tuple[int, int]], list[Skipped]]:
    """Every recording below `root` with its device and inode, in the order of `walk`, and what is passed over."""
    found: dict[Recording, tuple[int, int]] = {}
    passed_over: list[Skipped] = []
    for path, reason in walk(root):
        if reason:
            passed_over.append((str(root / path), reason))
            continue
        try:
            status = os.stat(os.path.join(root, path))  # much faster than `/`
            found[Recording(path, status.st_size, status.st_mtime_ns)] = (status.st_dev, status.st_ino)
        except OSError:  # opening it will tell
            found[Recording(path, -1, -1)] = (-1, -1)
    return found, passed_over


def _version(model: Model) -> str:
    """Another text where the same model and recording may give other features."""
    pictures = [code_version(type(picture).__module__) for picture in model.classifier.pictures]
    return " ".join([str(FORMAT), sources_version([clipping, decoding], decoding.DECODERS), *pictures])


def _read(file: Path, version: str, axes: int) -> dict[Recording, Tensor]:
    """By recording its direction, float16 `(axes,)`; none where there is no such file, or it cannot be used."""
    try:
        with safe_open(file, "pt") as content:
            about = content.metadata() or {}
            if about.get("version") != version:
                raise ValueError("is of another version of audioid")
            kept, text = content.get_tensor("directions"), content.get_tensor("recordings")
        if about.get("checksum") != _checksum(kept, text):
            raise ValueError("is damaged")
        recordings = [Recording(*row) for row in json.loads(text.numpy().tobytes())]
        _refuse_others(recordings, kept, axes)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError) as error:
        reason = str(error) if str(error).startswith("is ") else "is damaged"
        print(f"{file}: {reason}; it is made anew", file=sys.stderr)
        return {}
    return dict(zip(recordings, kept, strict=True))


def _refuse_others(recordings: Sequence[Recording], kept: Tensor, axes: int) -> None:
    """Raises ValueError where these are no directions of these recordings."""
    if kept.dtype != torch.float16 or kept.shape != (len(recordings), axes) or not kept.isfinite().all():
        raise ValueError("is damaged")
    if any([type(value) for value in recording] != [str, int, int] for recording in recordings):
        raise ValueError("is damaged")


def _write(file: Path, version: str, known: Mapping[Recording, Tensor]) -> None:
    text = torch.frombuffer(bytearray(json.dumps(list(known)), "utf-8"), dtype=torch.uint8)
    tensors = {"directions": torch.stack(list(known.values())), "recordings": text}
    about = {"version": version, "checksum": _checksum(*tensors.values())}
    try:
        with replacing(file) as part:
            part.write_bytes(as_bytes(tensors, about))
    except AudioidError as error:
        reason = str(error).partition("; ")[0]
        raise AudioidError(f"{reason}; --index FOLDER keeps what is found out of the library elsewhere") from error


def _checksum(*tensors: Tensor) -> str:
    return _digest(*(tensor.numpy() for tensor in tensors))


def _digest(*parts: Any) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
