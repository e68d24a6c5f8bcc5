"""The recordings below a folder, for training and for identification alike."""

import os
import posixpath
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from audioid.data.audio import AUDIO_SUFFIXES

# Sound formats that libsndfile does not read; told apart from files that are no sound at all.
FOREIGN_SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".wma", ".wv", ".ape", ".amr", ".webm", ".mka"})

# A path, and why it cannot be used.
Skipped = tuple[str, str]


def walk(root: Path) -> Iterator[tuple[str, str]]:
    """The recordings at any depth below `root`, and what cannot be used: paths relative to it, with `/`, and reasons.

    The reason is empty for a recording. Folder by folder, names in order, the files of a folder before its folders.
    Hidden files and folders (also the `._` files of macOS) are passed over; links are followed, each folder once.
    """
    seen: set[tuple[int, int]] = set()
    # Links last, so that a folder goes by its own name, not by that of a link to it.
    folders, links = [""], deque[str]()
    while folders or links:
        folder = folders.pop() if folders else links.popleft()
        try:
            status = os.stat(root / folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            # The slash makes the folder's own name the label that is missing.
            yield posixpath.join(folder, ""), f"cannot be opened ({error.strerror}); change who may read it"
            continue
        prefix, below = posixpath.join(folder, ""), list[str]()
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            # Of millions of files the functions of posixpath would be half of the time.
            path, linked, suffix = prefix + name, entry.is_symlink(), name[name.rfind(".") :].lower()
            if os.path.isdir(entry.path) if linked else entry.is_dir():
                (links if linked else below).append(path)
            elif not _encodable(path):
                yield os.fsencode(path).decode(errors="backslashreplace"), "has a name that is not UTF-8; rename it"
            elif suffix in FOREIGN_SUFFIXES:
                yield path, f"is {suffix[1:]}, which libsndfile cannot read; convert it to wav or flac"
            elif suffix in AUDIO_SUFFIXES:
                yield path, ""
        folders += reversed(below)


def _encodable(path: str) -> bool:
    try:
        return path.isascii() or bool(path.encode())
    except UnicodeEncodeError:
        return False
