"""Write the built-in corpus out as wav files in folders named by label: an example of the folder format."""

import argparse
import sys
from typing import cast

from audioid.config import compose
from audioid.data.synthetic import write_corpus
from audioid.errors import AudioidError
from audioid.files import path_argument
from audioid.schema import SyntheticData


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=path_argument, metavar="DIR", help="a folder that does not exist yet")
    parser.add_argument("--seed", help="of every draw")
    parser.add_argument("--per-class", help="recordings of each instrument")
    parser.add_argument("--kits", help="sets of instruments, each in its own room")
    try:
        choices = vars(parser.parse_args())
        root = choices.pop("root")
        settings = compose(
            ["data=synthetic", *(f"data.{key}={value}" for key, value in choices.items() if value is not None)]
        )
        data = cast(SyntheticData, settings.data)
        write_corpus(
            root,
            seed=data.seed,
            per_class=data.per_class,
            kits=data.kits,
            sample_rate=data.sample_rate,
            seconds=data.seconds,
        )
    except AudioidError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
