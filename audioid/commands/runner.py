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
    except AudioidError as error:
        return _failed(str(error))
    except HydraException as error:
        return _failed(f"configuration: {str(error).splitlines()[0]}; correct it")
    except OSError as error:
        if error.filename is None:
            raise
        return _failed(f"{error.filename}: {error.strerror}; choose a folder that can be written")
    except (MemoryError, RuntimeError) as error:
        if not NO_MEMORY.search(str(error)):
            raise
        return _failed("model.width: there is not enough memory; lower it, image.size or data.batch_size")
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _failed(line: str) -> int:
    print(f"error: {line}", file=sys.stderr, flush=True)
    return 1


def _stop(signum: int, frame: FrameType | None) -> None:
    """Ends the whole program on SIGTERM, where Lightning would end one run of a sweep and report success."""
    print("Stopped by SIGTERM.", file=sys.stderr)
    sys.exit(128 + signum)
