"""Locks between processes, for which nobody waits without a word."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

SAY_AFTER = 10.0  # seconds


@contextmanager
def held(file: Path, work: str) -> Iterator[None]:
    """Hold the lock `file`; a wait of more than `SAY_AFTER` for another process, which does `work`, is told."""
    lock = FileLock(file)
    try:
        lock.acquire(timeout=SAY_AFTER)
    except Timeout:
        logger.warning("Waiting for another process, which %s and holds %s", work, file)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
