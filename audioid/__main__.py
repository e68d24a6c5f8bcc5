"""`audioid NAME ...`: every command under one name. Nothing but the chosen command is imported."""

import ast
import difflib
import os
import sys
from importlib.metadata import version
from pathlib import Path

from audioid.program import STARTED, start

# The way of the data.
COMMANDS = (
    "synthesize",
    "audit",
    "render",
    "prepare",
    "pretrain",
    "train",
    "compare",
    "suite",
    "identify",
    "similar",
    "export",
    "serve",
)


def main() -> int:
    """Starts the command that the first argument names; returns its exit status."""
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if name in ("-h", "--help", "--version"):
        print(f"audioid {version('audioid')}" if name == "--version" else _help())
        return 0
    if name not in COMMANDS:
        # Lightning starts the further processes of a run on several devices with the words that Hydra got: no name.
        if STARTED not in os.environ:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else "audioid --help lists them"
            print(f"error: {name}: no such command; {hint}", file=sys.stderr)
            return 1
        name, arguments = os.environ[STARTED], sys.argv[1:]
    os.environ[STARTED] = name
    sys.argv[1:] = arguments
    return start(name)


def _help() -> str:
    lines = ["audioid: which picture of sound lets a network tell your recordings apart, and what is a new one?", ""]
    lines += [f"  audioid {name:11} {_summary(name)}" for name in COMMANDS]
    return "\n".join([*lines, "", "audioid NAME --help tells what each takes."])


def _summary(name: str) -> str:
    """The first line of a command's own description, read without importing the command."""
    source = Path(__file__).with_name("commands") / f"{name}.py"
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
