"""Write labelled sounds as wav files, a folder per label: the built-in corpus, or instruments of the generator."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from audioid.commands.runner import run_command
from audioid.config import compose
from audioid.data.synthetic import write_corpus
from audioid.errors import AudioidError
from audioid.files import path_argument, replacing
from audioid.program import CommandParser
from audioid.schema import SyntheticDataSettings
from audioid.validation import checked


def main() -> int:
    return run_command(work)


def work() -> None:
    parser = CommandParser("synthesize", description=__doc__)
    parser.add_argument("root", nargs="?", type=path_argument, metavar="DIR", help="a folder that does not exist yet")
    parser.add_argument("--seed", help="of every draw (default: 0)")
    corpus = parser.add_argument_group("the built-in corpus, where no --instrument is given")
    corpus.add_argument("--per-class", help="recordings of each instrument")
    corpus.add_argument("--kits", help="sets of instruments, each in its own room")
    generator = parser.add_argument_group("the generator")
    generator.add_argument(
        "--list", action="store_true", help="tell the labels and the kinds of each, and write nothing"
    )
    generator.add_argument(
        "--instrument", action="append", metavar="NAME", help="a label, a kind, or all; several with commas"
    )
    generator.add_argument("--makers", help="makers of each kind (default: 4)")
    generator.add_argument("--takes", help="sounds of each maker (default: 1)")
    generator.add_argument("--seconds", help="of each sound (default: 1)")
    generator.add_argument("--sample-rate", help="in hertz (default: 22050)")
    generator.add_argument(
        "--page", type=path_argument, metavar="FILE.html", help="a page to see and hear them instead of a folder"
    )
    given = {key: value for key, value in vars(parser.parse_args()).items() if value not in (None, False)}
    if "list" in given:
        _refuse(given, set(given) - {"list"}, "goes without --list; leave one of them out")
        return _tell_kinds()
    if ("root" in given) == ("page" in given):
        parser.error("name a DIR, or --page or --list, but one of them alone")
    if "page" in given and given["page"].suffix != ".html":
        raise AudioidError(f"--page: {given['page']} is no name of a page; let it end in .html")
    if "instrument" in given:
        _refuse(
            given, {"per_class", "kits"}, "is of the built-in corpus, not of an --instrument; leave one of them out"
        )
        return _generate(given)
    _refuse(given, {"makers", "takes", "seconds", "sample_rate", "page"}, "needs --instrument NAME; all stands for all")
    return _write_built_in(given.pop("root"), given)


def _refuse(given: Mapping[str, Any], keys: set[str], reason: str) -> None:
    """Raises AudioidError for the first of the given options that would be ignored."""
    for key in given:
        if key in keys:
            raise AudioidError(f"{'DIR' if key == 'root' else '--' + key.replace('_', '-')}: {reason}")


def _write_built_in(root: Path, choices: dict[str, Any]) -> None:
    settings = compose(["data=synthetic", *(f"data.{key}={value}" for key, value in choices.items())])
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


def _tell_kinds() -> None:
    from audioid.generator.kinds import KINDS

    for label in dict.fromkeys(kind.label for kind in KINDS):
        kinds = ", ".join(kind.model.__name__ for kind in KINDS if kind.label == label)
        print(f"{label:15} {kinds}")


def _generate(choices: dict[str, Any]) -> None:
    from audioid.generator.files import Wanted, kinds_named, write_sounds

    kinds = kinds_named([name.strip() for text in choices.pop("instrument") for name in text.split(",")])
    root, page = choices.pop("root", None), choices.pop("page", None)
    wanted = checked(Wanted, {key: yaml.safe_load(value) for key, value in choices.items()}, "")
    if root:
        print(f"Sounds in {root}: {write_sounds(root, kinds, wanted)}, kinds: {len(kinds)}")
        return
    from audioid.pipeline.sounds_page import sounds_page

    with replacing(page) as part:
        part.write_text(sounds_page(kinds, wanted), encoding="utf-8")
    print(f"To see and hear: {page} ({page.stat().st_size / 1e6:.1f} MB), kinds: {len(kinds)}")
