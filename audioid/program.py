"""How commands start, and what people type for that."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

STARTED = "AUDIOID_COMMAND"  # the command that `audioid NAME` was started for; handed down to its further processes


def program(name: str) -> str:
    """The command `name` as people start it: `audioid train`, or `python train.py` from a checkout."""
    if STARTED in os.environ:
        return f"audioid {name}"
    return "python train.py" if name == "train" else f"python scripts/{name}.py"


@contextmanager
def loading() -> Iterator[None]:
    """For imports of what is heavy: its objects stay to the end, so no garbage is looked for among them, neither now
    nor as the program ends. That is a third of the time that one answer takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
