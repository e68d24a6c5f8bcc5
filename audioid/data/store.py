"""Arrays computed once per content and settings, kept on disk and shared by all runs and processes.

A stage's recordings fall into shards by checksum, so that a new file makes only one shard anew. An entry
(`audioid.data.entry`) is one shard: the folder `ROOT/STAGE/KEY`, where KEY is a digest of everything its rows
depend on.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from audioid.data.entry import Entry, Row, UnusableError, disk_errors, evict, only_maker, write_entry
from audioid.data.threads import bar
from audioid.errors import AudioidError

log = logging.getLogger(__name__)

FORMAT = 1
SAY_WHO_WAITS = 10.0  # seconds
# What an entry is called; whatever else lies where the store is told to be is none of its business.
ENTRY_NAME = re.compile("[0-9a-f]{32}")
AT_ONCE = 256  # rows that the disk is asked for together
STALLED = 600.0  # seconds without a new row, after which the maker of an entry is taken to hang

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


class StoredRows:
    """The rows of a `stage` in the order of the `checksums` that were asked for, read from disk when indexed.

    `rows[numbers]` is float32 `(len(numbers), *stage.shape)`; `failed` holds the reason by checksum for each
    recording that has no row, whose values read as NaN. May be handed to other processes.
    Reading raises AudioidError where the rows were damaged or removed since they were opened, or the disk fails.
    """

    def __init__(
        self, stage: Stage, checksums: Sequence[str], entries: Sequence[Entry], places: NDArray[np.intp]
    ) -> None:
        self.stage, self.checksums = stage, checksums
        self.failed = {checksum: why for entry in entries for checksum, why in entry.contents.failed.items()}
        self._folders = [entry.folder for entry in entries]
        self._open: dict[int, Entry] = dict(enumerate(entries))
        self._places = places  # (row, 2): which entry, and which row in it

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, numbers: NDArray[np.intp]) -> Row:
        places = self._places[numbers]
        rows = np.empty((len(places), *self.stage.shape), dtype=np.float32)
        for first in range(0, len(places), AT_ONCE):
            some = places[first : first + AT_ONCE]
            of_each = {int(which): np.flatnonzero(some[:, 0] == which) for which in np.unique(some[:, 0])}
            for which, here in of_each.items():
                self._entry(which).expect(some[here, 1])
            for which, here in of_each.items():
                rows[first + here] = self._read(which, some[here, 1])
        return rows

    def only(self, numbers: NDArray[np.intp]) -> "StoredRows":
        """These rows alone, in this order."""
        rows = copy(self)
        rows._open = self._open  # copies are made without, and then nothing would keep the entries from eviction
        rows.checksums, rows._places = [self.checksums[number] for number in numbers], self._places[numbers]
        rows.failed = {checksum: self.failed[checksum] for checksum in self.failed.keys() & set(rows.checksums)}
        return rows

    def _read(self, which: int, numbers: NDArray[np.intp]) -> Row:
        with self._usable(which):
            return self._entry(which).read(numbers)

    def _entry(self, which: int) -> Entry:
        with self._usable(which):
            return self._open.get(which) or self._open.setdefault(which, Entry(self._folders[which]))

    @contextmanager
    def _usable(self, which: int) -> Iterator[None]:
        try:
            yield
        except UnusableError as error:
            folder = self._folders[which]
            try:  # so that the next run makes the entry anew
                (folder / "entry.json").unlink(missing_ok=True)
                advice = "start again, and it is made anew"
            except OSError:
                advice = "it cannot be removed from here: remove it, or set store.root to a folder elsewhere"
            raise AudioidError(f"{folder}: {error}; {advice}") from error
        except OSError as error:
            what = f"cannot be read ({error.strerror or error})"
            raise AudioidError(f"{self._folders[which]}: {what}; check its disk or set store.root elsewhere") from error

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

        entries: list[Entry] = []
        place: dict[str, tuple[int, int]] = {}
        for shard in filter(None, members):
            place |= {checksum: (len(entries), number) for number, checksum in enumerate(shard)}
            positions = np.array([first[checksum] for checksum in shard])
            entries.append(self._entry(stage, shard, positions, compute))
        places = np.array([place[checksum] for checksum in checksums], dtype=np.intp).reshape(-1, 2)
        return StoredRows(stage, checksums, entries, places)

    def _entry(self, stage: Stage, checksums: list[str], positions: NDArray[np.intp], compute: Compute) -> Entry:
        folder = self.root / stage.name / stage.key(checksums)
        try:
            return self._opened(folder)
        except UnusableError:
            pass
        with self._making(folder):
            try:
                return self._opened(folder)  # another process may have made it since
            except UnusableError as error:
                if folder.exists():
                    log.warning("%s: %s; it is made anew", folder, error)
            self._make(folder, stage, checksums, compute(positions))
            return self._opened(folder)

    def _opened(self, folder: Path) -> Entry:
        with disk_errors(self.root):
            entry = Entry(folder)
        with suppress(OSError):  # a store that may only be read keeps no marks of use
            os.utime(folder / "entry.json")
        return entry

    @contextmanager
    def _making(self, folder: Path) -> Iterator[None]:
        """Hold the right to make this entry, waiting for a process that has it as long as that one works."""
        with disk_errors(self.root):
            folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_suffix(".lock"))
        part = folder.with_suffix(".part")
        progress, since = _last_write(part), time.monotonic()
        while not lock.is_locked:
            try:
                with disk_errors(self.root):
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
            with disk_errors(self.root):
                for remains in (folder, part):
                    if remains.exists():
                        shutil.rmtree(remains)
                self._make_room(4 * len(checksums) * int(np.prod(stage.shape)))
                part.mkdir()
                maker = part / "maker"
                maker.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            with bar(stage.name, len(checksums), results) as told:
                write_entry(part, asdict(stage), checksums, told, shape=stage.shape)
            with disk_errors(self.root):
                maker.unlink()
                os.replace(part, folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _make_room(self, needed: int) -> None:
        """Evict until `needed` bytes more fit, the longest unused first; clear away what killed makers left."""
        for part in (part for part in self.root.glob("*/*.part") if ENTRY_NAME.fullmatch(part.stem)):
            with suppress(Timeout), only_maker(part):
                shutil.rmtree(part, ignore_errors=True)  # its maker may just have finished
        entries = [rows.parent for rows in self.root.glob("*/*/rows.npy") if ENTRY_NAME.fullmatch(rows.parent.name)]
        used = {entry: _last_use_and_size(entry) for entry in entries}
        excess = sum(size for _, size in used.values()) + needed - self.max_bytes
        for folder, (_, size) in sorted(used.items(), key=lambda item: item[1]):
            if excess > 0 and evict(folder):
                excess -= size
                log.info("%s evicted, to stay below store.max_gib", folder)
        if excess > 0:
            log.warning("%s is %.1f GiB over store.max_gib, and all is in use", self.root, excess / 2**30)


def _last_use_and_size(folder: Path) -> tuple[float, int]:
    """Zeros for an entry that another process removes just now."""
    try:
        files = [path.stat() for path in folder.iterdir()]
        return (folder / "entry.json").stat().st_mtime, sum(file.st_size for file in files)
    except FileNotFoundError:
        return 0.0, 0


def _last_write(part: Path) -> float | None:
    """When the rows that another process is making last grew, None before the first."""
    try:
        return (part / "rows.npy").stat().st_mtime
    except OSError:
        return None


def _maker(part: Path) -> str:
    try:
        return (part / "maker").read_text(encoding="utf-8")
    except OSError:
        return "another process"
