"""What people type to start a command, for help texts and messages."""

import os

STARTED = "AUDIOID_COMMAND"  # the command that `audioid NAME` was started for; handed down to its further processes


def program(name: str) -> str:
    """The command `name` as people start it: `audioid train`, or `python train.py` from a checkout."""
    if STARTED in os.environ:
        return f"audioid {name}"
    return "python train.py" if name == "train" else f"python scripts/{name}.py"
