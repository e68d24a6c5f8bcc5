"""One shard of stored rows on disk, and the locks that keep its maker, its readers and its eviction apart.

An entry is a folder `KEY` with `rows.npy` and `entry.json`. A process that makes or removes it
holds the lock `KEY.lock` and works in `KEY.part`; each reader holds a lock of its own, `KEY.TOKEN.lock`. The
operating system drops all of them when a process dies, however it dies.
"""

import errno
import io
import json
import math
import os
import secrets
import shutil
import sys
import threading
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

# Entries up to this size are checked whole when they are opened, so that what is damaged is made anew at once; opening
# larger ones does not read all. Every row is checked whenever it is read (a fifth of a millisecond for 32 of 40 kB).
CHECK_AT_OPENING = 64 * 2**20  # bytes

STORE_ELSEWHERE = "make it writable or set store.root to a folder elsewhere"

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
    """One shard's rows, open to be read, and kept from eviction as long as this lives. Raises UnusableError.

    Read, not mapped: the disk is asked for a row at a time, not for the pages of a mapping one after the other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with suppress(OSError):  # where no lock can be made, nothing can be evicted either
            _keep_from_eviction(folder, self)
        try:
            self.contents = Contents.read(folder / "entry.json")
            self._shape = (len(self.contents.crc), *self.contents.stage["shape"])
            self._file, self._begin = _opened(folder / "rows.npy", self._shape)
        except FileNotFoundError as error:
            raise UnusableError("it is not there") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableError(f"it is damaged ({error})") from error
        weakref.finalize(self, self._file.close)
        self._alone = threading.Lock()
        self._row_bytes = 4 * math.prod(self._shape[1:])
        if self._shape[0] * self._row_bytes <= CHECK_AT_OPENING:
            self.read(np.arange(self._shape[0]))

    def expect(self, numbers: NDArray[np.intp]) -> None:
        """Has the disk fetch these rows, all at once, while others are read."""
        if sys.platform == "linux":
            for number in numbers.tolist():
                start = self._begin + number * self._row_bytes
                os.posix_fadvise(self._file.fileno(), start, self._row_bytes, os.POSIX_FADV_WILLNEED)

    def read(self, numbers: NDArray[np.intp]) -> Row:
        """These rows, float32 `(len(numbers), *shape)`; raises UnusableError where one is not as it was written."""
        rows = np.empty((len(numbers), *self._shape[1:]), dtype="<f4")
        for number, row in zip(numbers.tolist(), rows, strict=True):
            read = self._read_at(self._begin + number * self._row_bytes, row)
            is_whole = read == row.nbytes  # the file may have been cut since it was opened
            if not is_whole or zlib.crc32(row.data) != self.contents.crc[number]:
                raise UnusableError(f"it is damaged (row {number})")
        return rows

    def _read_at(self, start: int, row: Row) -> int:
        if sys.platform != "win32":  # where a forked process shares the place in the file
            return os.preadv(self._file.fileno(), [row.data], start)
        with self._alone:
            self._file.seek(start)
            return self._file.readinto(row.data) or 0


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
            raise AudioidError(f"{place}: {what} or set store.root to a folder elsewhere") from error
        raise AudioidError(f"{place}: {error.strerror or error}; {STORE_ELSEWHERE}") from error


def _header(shape: tuple[int, ...]) -> bytes:
    """What a `.npy` file of float32 begins with."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue()


def _opened(path: Path, shape: tuple[int, ...]) -> tuple[io.FileIO, int]:
    """A `rows.npy`, and where in it the rows begin; raises ValueError where it is not of this shape."""
    header = _header(shape)
    file = open(path, "rb", buffering=0)  # noqa: SIM115
    try:
        if file.read(len(header)) != header:
            raise ValueError("rows.npy has another header")
        if file.seek(0, io.SEEK_END) != len(header) + 4 * math.prod(shape):
            raise ValueError("rows.npy has another size")
    except BaseException:
        file.close()
        raise
    return file, len(header)


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
