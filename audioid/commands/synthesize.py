"""Write the built-in corpus out as wav files, a folder per label: an example of the format."""

import argparse
from typing import cast

from audioid.commands.runner import run_command
from audioid.config import compose
from audioid.data.synthetic import write_corpus
from audioid.files import path_argument
from audioid.program import program
from audioid.schema import SyntheticDataSettings


def main() -> int:
    return run_command(work)


def work() -> None:
    parser = argparse.ArgumentParser(prog=program("synthesize"), description=__doc__)
    parser.add_argument("root", type=path_argument, metavar="DIR", help="a folder that does not exist yet")
    parser.add_argument("--seed", help="of every draw")
    parser.add_argument("--per-class", help="recordings of each instrument")
    parser.add_argument("--kits", help="sets of instruments, each in its own room")
    choices = vars(parser.parse_args())
    root = choices.pop("root")
    settings = compose(
        ["data=synthetic", *(f"data.{key}={value}" for key, value in choices.items() if value is not None)]
    )
    data = cast(SyntheticDataSettings, settings.data)
    write_corpus(
        root,
        seed=data.seed,
        per_class=data.per_class,
        kits=data.kits,
        sample_rate=data.sample_rate,
        seconds=data.seconds,
    )
    print(
        f"{sum(1 for _ in root.glob('*/*.wav'))} recordings of {sum(1 for _ in root.iterdir())} instruments in {root}"
    )
