"""Locks between processes, for which nobody waits without a word."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

SAY_AFTER = 10.0  # seconds
MAY_NOT_WRITE = (errno.EROFS, errno.EACCES, errno.EPERM)


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
        if error.errno not in MAY_NOT_WRITE:
            raise
    try:
        yield
    finally:
        lock.release()
