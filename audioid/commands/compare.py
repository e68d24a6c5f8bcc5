"""Compare the transforms over all runs below a folder, again, and write the report."""

import argparse

from audioid.commands.runner import run_command
from audioid.comparison.report import compare
from audioid.files import path_argument
from audioid.program import program


def main() -> int:
    return run_command(work)


def work() -> None:
    parser = argparse.ArgumentParser(prog=program("compare"), description=__doc__)
    parser.add_argument("runs", type=path_argument, metavar="RUNS", help="a folder of runs, at any depth")
    parser.add_argument("--out", type=path_argument, metavar="DIR", help="where the report goes; RUNS if not given")
    arguments = parser.parse_args()
    print(compare(arguments.runs, arguments.out or arguments.runs))
