"""Sounds that browsers have sent: a folder of their own, in which each lies until it is answered."""

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from audioid.data.audio import Unreadable, count_frames, open_recording
from audioid.errors import AudioidError

LARGEST = 300 * 2**20  # bytes of a file
MOST_BYTES = 2 * 2**30  # of all files that wait, or are on their way
MOST_FILES = 500  # that wait, or are asked about at once
LONGEST = 3600.0  # seconds of a recording
MOST_VALUES = 3600 * 2 * 192_000  # samples of all channels of a recording: an hour of stereo at 192 kHz
KEPT = 1800.0  # seconds, of what nobody asked about, or what broke off on its way
LONGEST_NAME = 200  # characters
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tabs and ends of lines


class Upload(NamedTuple):
    """A sound that was sent, and what its sender calls it."""

    path: Path
    name: str


class Uploads:
    """The files below `folder`, which holds nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._coming = 0  # uploads on their way
        self._waiting = (0, 0)  # files, and their bytes
        self._sent = Counter[str]()  # how often each path came: the same file of two senders lies at one
        self._counting = Lock()  # uploads come in one thread and are answered in others

    def holds(self, path: object) -> bool:
        """Whether a path, as a browser may give one, leads to a file below the folder."""
        try:
            return isinstance(path, str) and Path(path).resolve().is_relative_to(self.folder) and Path(path).is_file()
        except (OSError, ValueError, RuntimeError):
            return False

    @contextmanager
    def coming(self) -> Iterator[None]:
        """An upload is on its way within the block. What came whole lies in a folder of its own then; anything else,
        as of an upload that broke off, goes once no other is on its way."""
        self.sweep()
        self._waiting = _count(self.folder.glob("*/*"))
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            if not self._coming:
                for entry in self._entries():
                    if not entry.is_dir():
                        self._remove(Path(entry))
            self._waiting = _count(self.folder.glob("*/*"))

    def has_room(self, size: int) -> bool:
        """Whether so many bytes may come, beside what waits and what has arrived of that on its way."""
        (files, waiting), (parts, arrived) = self._waiting, _count(self.folder.glob("*"))
        return files + parts <= MOST_FILES and waiting + arrived + size <= MOST_BYTES

    def arrived(self, paths: Iterable[str]) -> None:
        """Files have come whole, once more where they were here."""
        with self._counting:
            self._sent.update(paths)

    @contextmanager
    def taken(self, sent: Sequence[object]) -> Iterator[list[Upload]]:
        """What Gradio says was sent (`path`, `orig_name`), as files that are gone after the block, whatever comes,
        unless others have sent the same.

        Raises:
            AudioidError: it is too much, or none of the files here.
        """
        found = [each for each in sent if isinstance(each, dict) and self.holds(each.get("path"))]
        try:
            if len(sent) > MOST_FILES:
                raise AudioidError(f"{len(sent)} files are more than {MOST_FILES}; take fewer at once")
            if len(found) < len(sent):
                raise AudioidError("what was sent is not here any more; send it again")
            yield [Upload(Path(each["path"]), _name(each)) for each in found]
        finally:
            for each in found:
                self._done(each["path"])
            self.sweep()

    def sweep(self) -> None:
        """Removes what has lain here for longer than `KEPT`."""
        for entry in self._entries():
            with suppress(OSError):
                if time.time() - entry.stat().st_mtime > KEPT:
                    shutil.rmtree(entry) if entry.is_dir() else os.unlink(entry)
        with self._counting:
            self._sent = Counter({path: count for path, count in self._sent.items() if self.holds(path)})

    def _done(self, path: str) -> None:
        """One of those who sent a file has their answer; who comes last has it removed."""
        with self._counting:
            self._sent[path] -= 1
            if self._sent[path] <= 0:
                del self._sent[path]
                self._remove(Path(path))

    def _remove(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            if path.parent.resolve() != self.folder:
                path.parent.rmdir()

    def _entries(self) -> list[os.DirEntry[str]]:
        try:
            return list(os.scandir(self.folder))
        except OSError:
            return []


def _count(paths: Iterable[Path]) -> tuple[int, int]:
    """How many of them are files, and their bytes."""
    sizes = []
    for path in paths:
        with suppress(OSError):
            if path.is_file():
                sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


def checked_length(upload: Upload) -> float:
    """How long a recording is, in seconds.

    Raises:
        Unreadable: it is longer than `LONGEST`, holds more than `MOST_VALUES`, or is none.
    """
    with open_recording(upload.path) as file:
        longest, widest = round(LONGEST * file.samplerate), MOST_VALUES // file.channels
        frames = count_frames(file, most=min(longest, widest) + 1)  # a header may leave the length open
        sample_rate = file.samplerate
    if frames > longest:
        raise Unreadable(upload.path, f"is longer than {LONGEST / 60:g} minutes; cut it")
    if frames > widest:
        told = f"holds more than {MOST_VALUES:,} samples; cut it, or take fewer channels or a lower sample rate"
        raise Unreadable(upload.path, told)
    return frames / sample_rate


def _name(sent: dict[str, object]) -> str:
    name = sent.get("orig_name")
    return sendable(name if isinstance(name, str) and name else Path(str(sent["path"])).name)[-LONGEST_NAME:]


def sendable(text: str) -> str:
    """As Unicode, which what files are called need not be, without characters that steer a terminal."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.encode(errors="replace").decode())
