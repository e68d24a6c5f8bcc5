"""How commands start, and what people type for that."""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

STARTED = "AUDIOID_COMMAND"  # the command that `audioid NAME` was started for; handed down to its further processes


def program(name: str) -> str:
    """The command `name` as people start it: `audioid train`, or `python train.py` from a checkout."""
    if STARTED in os.environ:
        return f"audioid {name}"
    return "python train.py" if name == "train" else f"python scripts/{name}.py"


def start(name: str) -> int:
    """Does the command `name`; returns its exit status. Ctrl-C ends it quietly, also while it is loaded."""
    try:
        status: int = import_module(f"audioid.commands.{name}").main()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 128 + signal.SIGINT
    return status


class CommandParser(argparse.ArgumentParser):
    """Of the command `name`; it tells of a wrong argument in one line."""

    def __init__(self, name: str, **described: Any) -> None:
        super().__init__(prog=program(name), **described)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; {self.prog} --help tells what there is\n")


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
