"""Files that appear whole or not at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryFile
from typing import Any

import yaml

from audioid.errors import AudioidError

MAY_NOT_WRITE = (errno.EROFS, errno.EACCES, errno.EPERM)


def path_argument(text: str) -> Path:
    """A path of the command line; raises AudioidError for an empty one, which `Path` takes for the folder of work, and
    for the sign by which programs mean the screen."""
    if text in ("", "-"):
        raise AudioidError(f"'{text}': is no path; name a file or a folder{', or leave it out' * (text == '-')}")
    return Path(text)


def stays_below(path: str) -> bool:
    """Whether a path, as any system may read it, stays below the folder that it is joined to."""
    readings = PurePosixPath(path), PureWindowsPath(path)
    return not any(each.anchor or ".." in each.parts for each in readings)


def check_writable(folder: Path) -> None:
    """Makes `folder` where there is none, before work whose result goes there.

    Raises:
        AudioidError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise AudioidError(f"{folder}: {error.strerror or error}; choose a folder that can be written") from error


@contextmanager
def replacing(path: Path, remedy: str = "choose a folder that can be written") -> Iterator[Path]:
    """A temporary name beside `path` to write to; it takes the place of `path` when the block ends well.

    `remedy` says what to do where it cannot be written.

    Raises:
        AudioidError: `path` is a folder, or the one that holds it cannot be made or written.
    """
    if path.is_dir():
        raise AudioidError(f"{path}: is a folder; name a file")
    # A name that nobody could have laid a link at.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        # On Windows a file that a program shows, such as a table, cannot be replaced.
        advice = "close it where it is open, or " if isinstance(error, PermissionError) and path.exists() else ""
        raise AudioidError(f"{path}: {error.strerror or error}; {advice}{remedy}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def where_allowed() -> Iterator[None]:
    """A block that writes what can be made again; it is left where that may not be, as in a store shared to be read."""
    try:
        yield
    except AudioidError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in MAY_NOT_WRITE:
            raise


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
    """A temporary folder beside `root` to write to; it becomes `root` when the block ends well.

    Raises:
        AudioidError: `root` is there already, or cannot be written.
    """
    part = root.parent / f".{root.name}.{os.getpid()}"  # `root` may be "." or "/"
    try:
        if root.exists():
            raise FileExistsError(None, "is there already")
        part.mkdir(parents=True)
        yield part
        os.replace(part, root)
    except OSError as error:
        raise AudioidError(f"{root}: {error.strerror or error}; name a new folder where you may write") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read_yaml(file: Path) -> Any:
    """The plain values of a YAML file: nothing in it is resolved, referred to or run.

    Raises:
        OSError, ValueError, yaml.YAMLError: it cannot be read, refers to parts of itself, or is no YAML.
    """
    with file.open(encoding="utf-8") as text:
        return yaml.load(text, _PlainLoader)


class _PlainLoader(yaml.SafeLoader):
    """YAML without references, by which a small file can grow without end."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"{Path(self.name).name}: refers to parts of itself")
        return super().compose_node(parent, index)
