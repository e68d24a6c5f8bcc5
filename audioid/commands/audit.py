"""What is wrong or suspicious in a corpus, before training on it: printed, and written as audit.json and audit.html."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from audioid.commands.runner import run_command
from audioid.config import compose
from audioid.files import check_writable, path_argument
from audioid.program import CommandParser, program
from audioid.rules import check_places


def main() -> int:
    return run_command(work)


def work() -> None:
    parser = CommandParser("audit", description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as data=folder data.root=DIR")
    parser.add_argument("--out", type=path_argument, metavar="DIR", default=Path("outputs/audit"))
    arguments = parser.parse_args()
    settings = compose(arguments.overrides)
    check_places(settings.data)
    check_writable(arguments.out)  # after that, so that no folder is made for nothing
    from audioid.audit.report import audit, text, write  # heavy, so after the configuration is known to be right
    from audioid.data.corpus import read_corpus

    index = read_corpus(settings.data, Path(settings.store.root).expanduser())
    found = audit(index, settings.split, grouped_training(arguments.overrides))
    print(text(found))
    write(found, index, arguments.out)
    print(f"\nWritten to {arguments.out}: audit.html and audit.json")


def grouped_training(overrides: Sequence[str]) -> str:
    """The command, for a shell, that trains on what `overrides` choose with near duplicates on one side."""
    chosen = [text.split("=", 1) for text in overrides if not text.startswith("split")]
    words = [f"{key}={shlex.quote(value)}" for key, value in chosen]
    return " ".join([program("train"), *words, "split=grouped split.group=near_duplicates"])
