"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from audioid.errors import AudioidError


def path_argument(text: str) -> Path:
    """A path of the command line; raises AudioidError for an empty one, which `Path` takes for the folder of work."""
    if not text:
        raise AudioidError("'': is no path; name a file or a folder")
    return Path(text)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it takes the place of `path` when the block ends well.

    Raises:
        AudioidError: `path` is a folder, or the one that holds it cannot be made or written.
    """
    if path.is_dir():
        raise AudioidError(f"{path}: is a folder; name a file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        # On Windows a file that a program shows, such as a table, cannot be replaced.
        advice = "close it where it is open, or " if isinstance(error, PermissionError) and path.exists() else ""
        raise AudioidError(f"{path}: {error.strerror or error}; {advice}choose a folder that can be written") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
