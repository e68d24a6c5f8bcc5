"""One shard of stored rows on disk, and the locks that keep its maker, its readers and its eviction apart.

An entry is a folder `KEY` with `rows.npy` (memory-mapped) and `entry.json`. A process that makes or removes it
holds the lock `KEY.lock` and works in `KEY.part`; each reader holds a lock of its own, `KEY.TOKEN.lock`. The
operating system drops all of them when a process dies, however it dies.
"""

import errno
import io
import json
import os
import secrets
import shutil
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import AcquireReturnProxy, BaseFileLock, FileLock, Timeout
from numpy.typing import NDArray

from audioid.errors import AudioidError

# Entries up to this size are checked whole when they are opened (2 GB/s on one core). In larger ones each row
# is checked when a process first reads it, so that opening a corpus larger than memory does not read it all.
CHECK_AT_OPENING = 64 * 2**20  # bytes

Row = NDArray[np.float32]


class UnusableError(Exception):
    """An entry is damaged, or not there."""


@dataclass(frozen=True)
class Contents:
    """What `entry.json` tells of `rows.npy`."""

    stage: Mapping[str, Any]
    checksums: Sequence[str]  # of the recordings, in the order of the rows
    crc: Sequence[int]  # CRC-32 of each row's bytes
    failed: Mapping[str, str]  # reason by checksum; such a row is NaN

    def write(self, path: Path) -> None:
        contents = asdict(self)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"crc": _crc_of_json(contents), "contents": contents}, file)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def read(cls, path: Path) -> "Contents":
        sealed = json.loads(path.read_text(encoding="utf-8"))
        if sealed["crc"] != _crc_of_json(sealed["contents"]):
            raise ValueError(f"{path.name} is damaged")
        return cls(**sealed["contents"])


class Entry:
    """One shard's rows, mapped, and kept from eviction as long as this lives. Raises UnusableError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with suppress(OSError):  # where no lock can be made, nothing can be evicted either
            _keep_from_eviction(folder, self)
        try:
            self.contents = Contents.read(folder / "entry.json")
            shape = (len(self.contents.crc), *self.contents.stage["shape"])
            self.rows: Row = _mapped(folder / "rows.npy", shape)
        except FileNotFoundError as error:
            raise UnusableError("it is not there") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableError(f"it is damaged ({error})") from error
        self._checked = np.zeros(len(self.rows), dtype=bool)
        if self.rows.nbytes <= CHECK_AT_OPENING:
            self.check(np.arange(len(self.rows)))

    def check(self, numbers: NDArray[np.intp]) -> None:
        """Raise UnusableError where one of these rows is not as it was written."""
        for number in numbers[~self._checked[numbers]]:
            if zlib.crc32(self.rows[number]) != self.contents.crc[number]:
                raise UnusableError(f"it is damaged (row {number})")
            self._checked[number] = True


def write_entry(
    part: Path,
    stage: Mapping[str, Any],
    checksums: Sequence[str],
    results: Iterable[Row | str],
    *,
    shape: tuple[int, ...],
) -> None:
    """Fills the folder `part` with a result for each checksum: a row of this shape, or why there is none.

    Raises:
        AudioidError: the disk cannot be written.
        ValueError: a row has another shape.
    """
    # Written, not mapped: on a full disk a mapping ends the process with SIGBUS. Without a buffer, since
    # closing the file would try again to write what is in it.
    crc: list[int] = []
    failed: dict[str, str] = {}
    with disk_errors(part.parent):
        file = open(part / "rows.npy", "wb", buffering=0)  # noqa: SIM115
    with file:
        with disk_errors(part.parent):
            file.write(_header((len(checksums), *shape)))
        for checksum, result in zip(checksums, results, strict=True):
            if isinstance(result, str):
                failed[checksum] = result
                result = np.full(shape, np.nan)
            row: Row = np.ascontiguousarray(result, dtype="<f4")
            if row.shape != shape:
                raise ValueError(f"stage {stage['name']} made a row {row.shape}, not {shape}")
            crc.append(zlib.crc32(row.data))
            left = row.data.cast("B")
            with disk_errors(part.parent):
                while left:  # a nearly full disk takes a part, then raises
                    left = left[file.write(left) :]
        with disk_errors(part.parent):
            os.fsync(file.fileno())
            Contents(stage, checksums, crc, failed).write(part / "entry.json")


def only_maker(folder: Path) -> AcquireReturnProxy:
    """The right to make or remove this entry, for a `with`; raises Timeout where a process has it."""
    return FileLock(folder.with_suffix(".lock")).acquire(timeout=0)


def evict(folder: Path) -> bool:
    """Remove an entry and return True, unless a process makes or reads it."""
    part = folder.with_suffix(".part")
    try:
        with only_maker(folder):
            if _is_read(folder):
                return False
            os.rename(folder, part)  # Windows refuses while a file in it is open
            if _is_read(folder):  # who came in since the first look; nobody can from now on
                os.rename(part, folder)
                return False
            shutil.rmtree(part)
    except OSError:
        return False
    return True


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Tells an error of the file system in one line that says what to do, as an AudioidError."""
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = "the disk is full; free some space (the store may be removed, it is made anew when needed)"
        else:
            what = f"{error.strerror or error}; make it writable"
        raise AudioidError(f"{place}: {what} or set store.root to a folder elsewhere") from error


def _header(shape: tuple[int, ...]) -> bytes:
    """What a `.npy` file of float32 begins with."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue()


def _mapped(path: Path, shape: tuple[int, ...]) -> Row:
    """The array of a `rows.npy`; raises ValueError where it is not of this shape."""
    header = _header(shape)
    with open(path, "rb") as file:
        if file.read(len(header)) != header:
            raise ValueError("rows.npy has another header")
        rows = np.memmap(file, "<f4", "r", len(header), shape)
        if file.seek(0, io.SEEK_END) != len(header) + rows.nbytes:
            raise ValueError("rows.npy has another size")
    return rows


def _keep_from_eviction(folder: Path, reader: object) -> None:
    """Holds a lock beside the entry until `reader` or its process goes."""
    lock = FileLock(folder.with_suffix(f".{secrets.token_hex(8)}.lock"), thread_local=False)
    lock.acquire()
    weakref.finalize(reader, _release, lock, os.getpid())


def _release(lock: BaseFileLock, holder: int) -> None:
    if os.getpid() != holder:  # a fork's copy of the reader went
        return
    lock.release()
    with suppress(OSError):
        os.unlink(lock.lock_file)


def _is_read(folder: Path) -> bool:
    """Whether a live process reads the entry; clears away the locks of those that were killed."""
    for path in folder.parent.glob(f"{folder.name}.*.lock"):
        try:
            FileLock(path).acquire(timeout=0).lock.release()
        except Timeout:
            return True
        path.unlink(missing_ok=True)
    return False


def _crc_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
