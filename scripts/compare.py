"""Compare the transforms over all runs below a folder, again, and write the report."""

import argparse
import sys

from audioid.comparison.report import compare
from audioid.errors import AudioidError
from audioid.files import path_argument


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=path_argument, metavar="RUNS", help="a folder of runs, at any depth")
    parser.add_argument("--out", type=path_argument, metavar="DIR", help="where the report goes; RUNS if not given")
    try:
        arguments = parser.parse_args()
        print(compare(arguments.runs, arguments.out or arguments.runs))
    except AudioidError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
