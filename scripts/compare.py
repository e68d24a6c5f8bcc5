"""Compare the transforms over all runs below a folder, again, and write the report."""

import argparse
import sys
from pathlib import Path

from audioid.comparison.report import compare
from audioid.errors import AudioidError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, metavar="RUNS", help="a folder of runs, at any depth")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report goes; RUNS if not given")
    arguments = parser.parse_args()
    try:
        print(compare(arguments.runs, arguments.out or arguments.runs))
    except AudioidError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
