"""Write the built-in corpus out as wav files in folders named by label: an example of the folder format."""

import argparse
import sys
from pathlib import Path

from audioid.data.synthetic import write_corpus
from audioid.errors import AudioidError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, metavar="DIR", help="a folder that does not exist yet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per-class", type=int, default=60, help="recordings of each instrument")
    parser.add_argument("--kits", type=int, default=12, help="sets of instruments in rooms")
    parser.add_argument("--sample-rate", type=int, default=22050, help="hertz")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each recording")
    try:
        write_corpus(**vars(parser.parse_args()))
    except AudioidError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
