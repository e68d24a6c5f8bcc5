"""How a command ends: with its result, or with one line that says what is wrong."""

import os
import re
import signal
import sys
import warnings
from collections.abc import Callable
from io import TextIOWrapper
from types import FrameType

from hydra.errors import HydraException

from audioid.errors import AudioidError
from audioid.terminal import on_a_line

CLOSED_PIPE = 128 + 13  # as shells tell of SIGPIPE, which Windows lacks
NO_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory", re.IGNORECASE)


def run_command(work: Callable[[], object]) -> int:
    """Does `work` and returns the exit status: 0, or 1 after an error for people, told in one line on stderr.

    Raises:
        Exception: an error that nobody foresaw keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on instead of telling them in its own way
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # code pages such as Windows's lack most signs, and labels may have any
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE  # not 0: what it was to do, such as to train, need not be done
    except Exception as error:
        line = error_line(error)
        if line is None:
            raise
        print(f"error: {on_a_line(line)}", file=sys.stderr, flush=True)
        return 1
    return 0


def error_line(error: Exception) -> str | None:
    """What to tell people of an error, in one line; None for one that nobody foresaw."""
    if isinstance(error, AudioidError):
        return str(error)
    if isinstance(error, HydraException):
        return f"configuration: {str(error).splitlines()[0]}; correct it"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; choose a folder that can be written"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_MEMORY.search(str(error))):
        return "memory: there is not enough; lower model.width, image.size, audio.seconds or data.batch_size"
    return None


def _stop(signum: int, frame: FrameType | None) -> None:
    """Ends the whole program on SIGTERM, where Lightning would end one run of a sweep and report success."""
    print("Stopped by SIGTERM.", file=sys.stderr)
    sys.exit(128 + signum)
