"""Arrays computed once per content and settings, kept on disk and shared by all runs and processes.

A stage's recordings fall into shards by checksum, so that a new file makes only one shard anew. An entry is
one shard: a folder `ROOT/STAGE/KEY` with `rows.npy` (memory-mapped) and `entry.json`, where KEY is a digest of
everything the rows depend on. A process that makes an entry holds the lock `KEY.lock`, writes in `KEY.part`
and renames that folder at the end. A process that reads an entry holds a shared lock on its `rows.npy`, and
such an entry is never evicted. The operating system drops both locks when a process dies, however it dies.
"""

import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import AcquireReturnProxy, FileLock, Timeout
from numpy.typing import NDArray

from audioid.errors import AudioidError

log = logging.getLogger(__name__)

FORMAT = 1
# Entries up to this size are checked whole when they are opened (2 GB/s on one core). In larger ones each row
# is checked when a process first reads it, so that opening a corpus larger than memory does not read it all.
CHECK_AT_OPENING = 64 * 2**20  # bytes
SAY_WHO_WAITS = 10.0  # seconds
STALLED = 600.0  # seconds without a new row, after which the maker of an entry is taken to hang

Row = NDArray[np.float32]
# Given positions in the checksums, one result for each in that order: a row, or the reason why there is none.
Compute = Callable[[NDArray[np.intp]], Iterable[Row | str]]


@dataclass(frozen=True)
class Stage:
    """What is computed: all that its rows depend on, apart from the recordings.

    `version` is that of the stage's code: another one where the same settings may give other values.
    """

    name: str
    version: str
    settings: Mapping[str, Any]
    shape: tuple[int, ...]  # of one row

    def key(self, checksums: Sequence[str]) -> str:
        """The name of the entry that holds these recordings."""
        everything = json.dumps([FORMAT, asdict(self), checksums], sort_keys=True)
        return hashlib.sha256(everything.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class _Contents:
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
    def read(cls, path: Path) -> "_Contents":
        sealed = json.loads(path.read_text(encoding="utf-8"))
        if sealed["crc"] != _crc_of_json(sealed["contents"]):
            raise ValueError(f"{path.name} is damaged")
        return cls(**sealed["contents"])


class _UnusableError(Exception):
    """An entry is damaged, or not there."""


class _Entry:
    """One shard's rows, mapped and under a shared lock. Raises _UnusableError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.contents = _Contents.read(folder / "entry.json")
            with open(folder / "rows.npy", "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_nlink == 0:
                    raise FileNotFoundError(folder)  # evicted while it was being opened
                # The mapping keeps a duplicate of the descriptor, and so the lock, for as long as it lives.
                self.rows = _mapped(file, len(self.contents.crc))
        except FileNotFoundError as error:
            raise _UnusableError("it is not there") from error
        except BlockingIOError as error:
            raise _UnusableError("it is being evicted") from error
        except (ValueError, KeyError, TypeError) as error:
            raise _UnusableError(f"it is damaged ({error})") from error
        self._checked = np.zeros(len(self.rows), dtype=bool)
        if self.rows.nbytes <= CHECK_AT_OPENING:
            self.check(np.arange(len(self.rows)))

    def check(self, numbers: NDArray[np.intp]) -> None:
        """Raise _UnusableError where one of these rows is not as it was written."""
        for number in numbers[~self._checked[numbers]]:
            if zlib.crc32(self.rows[number]) != self.contents.crc[number]:
                raise _UnusableError(f"it is damaged (row {number})")
            self._checked[number] = True


class StoredRows:
    """The rows of a `stage` in the order of the `checksums` that were asked for, read from disk when indexed.

    `rows[numbers]` is float32 `(len(numbers), *stage.shape)`; `failed` holds the reason by checksum for each
    recording that has no row, whose values read as NaN. May be handed to other processes.
    Reading raises AudioidError where the rows were damaged or removed since they were opened.
    """

    def __init__(
        self, stage: Stage, checksums: Sequence[str], entries: Sequence[_Entry], places: NDArray[np.intp]
    ) -> None:
        self.stage, self.checksums = stage, checksums
        self.failed = {checksum: why for entry in entries for checksum, why in entry.contents.failed.items()}
        self._folders = [entry.folder for entry in entries]
        self._open: dict[int, _Entry] = dict(enumerate(entries))
        self._places = places  # (row, 2): which entry, and which row in it

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, numbers: NDArray[np.intp]) -> Row:
        places = self._places[numbers]
        rows = np.empty((len(places), *self.stage.shape), dtype=np.float32)
        for which in np.unique(places[:, 0]):
            here = places[:, 0] == which
            rows[here] = self._read(int(which), places[here, 1])
        return rows

    def only(self, numbers: NDArray[np.intp]) -> "StoredRows":
        """These rows alone, in this order."""
        rows = copy(self)
        rows._open = self._open  # copies are made without, and then nothing would keep the entries from eviction
        rows.checksums, rows._places = [self.checksums[number] for number in numbers], self._places[numbers]
        rows.failed = {checksum: self.failed[checksum] for checksum in self.failed.keys() & set(rows.checksums)}
        return rows

    def _read(self, which: int, numbers: NDArray[np.intp]) -> Row:
        folder = self._folders[which]
        try:
            entry = self._open.get(which) or self._open.setdefault(which, _Entry(folder))
            entry.check(numbers)
        except _UnusableError as error:
            with suppress(OSError):  # so that the next run makes the entry anew
                (folder / "entry.json").unlink()
            raise AudioidError(f"{folder}: {error}; start again, and it is made anew") from error
        return entry.rows[numbers]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}


def shard_of(checksum: str, shards: int) -> int:
    """The shard, from 0 to `shards` - 1, in which the recording with this hexadecimal checksum is kept."""
    return int(checksum[:12], 16) % shards


class Store:
    """The entries under `root`, kept below `max_bytes` by evicting those that were used the longest time ago.

    What live processes use stays, even where that is more than `max_bytes`.
    """

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self.root = root
        self.max_bytes = max_bytes

    def rows(self, stage: Stage, checksums: Sequence[str], compute: Compute, *, shards: int) -> StoredRows:
        """The stage's rows of the recordings with these checksums; what is not in the store yet is computed.

        Several processes may ask at once: each shard is computed by one, and the others wait for it.
        Raises AudioidError where the store cannot be written, or where a process that makes an entry hangs.
        """
        first: dict[str, int] = {}
        for position, checksum in enumerate(checksums):
            first.setdefault(checksum, position)
        members: list[list[str]] = [[] for _ in range(shards)]
        for checksum in sorted(first):
            members[shard_of(checksum, shards)].append(checksum)

        entries: list[_Entry] = []
        place: dict[str, tuple[int, int]] = {}
        for shard in filter(None, members):
            place |= {checksum: (len(entries), number) for number, checksum in enumerate(shard)}
            positions = np.array([first[checksum] for checksum in shard])
            entries.append(self._entry(stage, shard, positions, compute))
        places = np.array([place[checksum] for checksum in checksums], dtype=np.intp).reshape(-1, 2)
        return StoredRows(stage, checksums, entries, places)

    def _entry(self, stage: Stage, checksums: list[str], positions: NDArray[np.intp], compute: Compute) -> _Entry:
        folder = self.root / stage.name / stage.key(checksums)
        try:
            return self._opened(folder)
        except _UnusableError:
            pass
        with self._making(folder):
            try:
                return self._opened(folder)  # another process may have made it since
            except _UnusableError as error:
                if folder.exists():
                    log.warning("%s: %s; it is made anew", folder, error)
            self._make(folder, stage, checksums, compute(positions))
            return self._opened(folder)

    def _opened(self, folder: Path) -> _Entry:
        with self._told():
            entry = _Entry(folder)
        with suppress(OSError):  # a store that may only be read keeps no marks of use
            os.utime(folder / "entry.json")
        return entry

    @contextmanager
    def _making(self, folder: Path) -> Iterator[None]:
        """Hold the right to make this entry, waiting for a process that has it as long as that one works."""
        with self._told():
            folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_suffix(".lock"))
        part = folder.with_suffix(".part")
        progress, since = _last_write(part), time.monotonic()
        while not lock.is_locked:
            try:
                with self._told():
                    lock.acquire(timeout=SAY_WHO_WAITS)
            except Timeout:
                if _last_write(part) != progress:
                    progress, since = _last_write(part), time.monotonic()
                if time.monotonic() - since > STALLED:
                    raise AudioidError(
                        f"{part}: {_maker(part)} has stopped making it; end that process and start again"
                    ) from None
                log.warning("Waiting for %s, which is making %s", _maker(part), folder)
        try:
            yield
        finally:
            lock.release()

    def _make(self, folder: Path, stage: Stage, checksums: list[str], results: Iterable[Row | str]) -> None:
        part = folder.with_suffix(".part")
        try:
            with self._told():
                for remains in (folder, part):
                    if remains.exists():
                        shutil.rmtree(remains)
                self._make_room(4 * len(checksums) * int(np.prod(stage.shape)))
                part.mkdir()
                (part / "maker").write_text(f"process {os.getpid()} on {socket.gethostname()}")
            contents = self._write_rows(part / "rows.npy", stage, checksums, results)
            with self._told():
                contents.write(part / "entry.json")
                (part / "maker").unlink()
                _sync_folder(part)
                os.replace(part, folder)
                _sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _write_rows(self, path: Path, stage: Stage, checksums: list[str], results: Iterable[Row | str]) -> _Contents:
        # Written, not mapped: on a full disk a mapping ends the process with SIGBUS. Without a buffer, since
        # closing the file would try again to write what is in it.
        crc: list[int] = []
        failed: dict[str, str] = {}
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(checksums), *stage.shape)}
        with self._told():
            file = open(path, "wb", buffering=0)  # noqa: SIM115
        with file:
            with self._told():
                np.lib.format.write_array_header_1_0(file, header)
            for checksum, result in zip(checksums, results, strict=True):
                if isinstance(result, str):
                    failed[checksum] = result
                    result = np.full(stage.shape, np.nan)
                row: Row = np.ascontiguousarray(result, dtype="<f4")
                if row.shape != stage.shape:
                    raise ValueError(f"stage {stage.name} made a row {row.shape}, not {stage.shape}")
                crc.append(zlib.crc32(row.data))
                with self._told():
                    _write(file, row)
            with self._told():
                os.fsync(file.fileno())
        return _Contents(asdict(stage), checksums, crc, failed)

    def _make_room(self, needed: int) -> None:
        """Evict until `needed` bytes more fit, the longest unused first; clear away what killed makers left."""
        for part in self.root.glob("*/*.part"):
            with suppress(Timeout), _only_maker(part):
                shutil.rmtree(part, ignore_errors=True)  # its maker may just have finished
        used = {rows.parent: _last_use_and_size(rows.parent) for rows in self.root.glob("*/*/rows.npy")}
        excess = sum(size for _, size in used.values()) + needed - self.max_bytes
        for folder, (_, size) in sorted(used.items(), key=lambda item: item[1]):
            if excess > 0 and _evict(folder):
                excess -= size
                log.info("%s evicted, to stay below store.max_gib", folder)
        if excess > 0:
            log.warning("%s is %.1f GiB over store.max_gib, and all is in use", self.root, excess / 2**30)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """An error of the file system in one line that says what to do."""
        try:
            yield
        except Timeout:
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                what = "the disk is full; free some space (make clean-cache empties the store)"
            else:
                what = f"{error.strerror or error}; make it writable"
            raise AudioidError(f"{self.root}: {what} or set store.root to a folder elsewhere") from error


def _mapped(file: BinaryIO, rows: int) -> Row:
    """The array of an open `rows.npy`; raises ValueError where it is not exactly what it says."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("rows.npy is in another format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    array = np.memmap(file, dtype="<f4", mode="r", offset=file.tell(), shape=shape)
    if dtype != array.dtype or len(array) != rows or os.stat(file.fileno()).st_size != array.offset + array.nbytes:
        raise ValueError("rows.npy has another size or type than it says")
    return array


def _only_maker(folder: Path) -> AcquireReturnProxy:
    """The right to make or remove this entry, for a `with`; raises Timeout where a process has it."""
    return FileLock(folder.with_suffix(".lock")).acquire(timeout=0)


def _evict(folder: Path) -> bool:
    """Remove an entry and return True, unless a process makes or reads it."""
    try:
        with _only_maker(folder), open(folder / "rows.npy", "r+b") as rows:
            fcntl.flock(rows, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
    except (Timeout, FileNotFoundError, BlockingIOError):
        return False
    return True


def _last_use_and_size(folder: Path) -> tuple[float, int]:
    """Zeros for an entry that another process removes just now."""
    try:
        files = [path.stat() for path in folder.iterdir()]
        return (folder / "entry.json").stat().st_mtime, sum(file.st_size for file in files)
    except FileNotFoundError:
        return 0.0, 0


def _crc_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def _last_write(part: Path) -> float | None:
    """When the rows that another process is making last grew, None before the first."""
    try:
        return (part / "rows.npy").stat().st_mtime
    except OSError:
        return None


def _maker(part: Path) -> str:
    try:
        return (part / "maker").read_text()
    except OSError:
        return "another process"


def _write(file: FileIO, row: Row) -> None:
    left = row.data.cast("B")
    while left:  # a nearly full disk takes a part, then raises
        left = left[file.write(left) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
