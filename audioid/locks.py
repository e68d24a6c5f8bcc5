"""Locks between processes, for which nobody waits without a word."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from audioid.files import MAY_NOT_WRITE

logger = logging.getLogger(__name__)

SAY_AFTER = 10.0  # seconds


@contextmanager
def held(file: Path, work: str) -> Iterator[None]:
    """Hold the lock `file`; a wait of more than `SAY_AFTER` for another process, which does `work`, is told.

    Where this process may not write, as in a store that is shared to be read, it goes on without.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=SAY_AFTER)
    except Timeout:
        logger.warning("Waiting for another process, which %s and holds %s", work, file)
        lock.acquire()
    except OSError as error:
        # Of a lock that is another user's, in a folder where one may write, two would work at the same.
        if error.errno not in MAY_NOT_WRITE or os.access(file.parent, os.W_OK):
            raise
    try:
        yield
    finally:
        lock.release()
