"""Run one protocol over several corpora and write one table: arm by corpus, with intervals.

SUITE.yaml names what all corpora share, as on the command line of a sweep, and what is each one's own:

    protocol: [experiment=compare]
    corpora:
      drums: [data=folder, data.root=my drums]
      birds: [data=manifest, data.file=birds.csv, "split.fold=0,1,2,3,4"]
      built-in: []

Started again it goes on with what is missing.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field
from tabulate import tabulate

from audioid.commands.runner import run_command
from audioid.comparison import suite
from audioid.comparison.records import find_runs
from audioid.comparison.study import Study, studies
from audioid.config import check_command_line
from audioid.errors import AudioidError
from audioid.files import path_argument, read_yaml, replacing
from audioid.program import CommandParser, program
from audioid.schema import Section
from audioid.validation import checked

NAME = re.compile(r"[\w][\w .+-]*")


class Suite(Section):
    """Overrides that all corpora share, and those of each."""

    protocol: Annotated[list[str], Field(min_length=1)]
    corpora: Annotated[dict[str, list[str]], Field(min_length=1)]


def main() -> int:
    return run_command(work)


def work() -> None:
    parser = CommandParser("suite", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=path_argument, metavar="SUITE.yaml")
    parser.add_argument(
        "--out", type=path_argument, metavar="DIR", help="where runs and table go (outputs/suites/NAME)"
    )
    arguments = parser.parse_args()
    chosen = read_suite(arguments.suite)
    out = arguments.out or Path("outputs/suites") / arguments.suite.stem
    for name, own in chosen.corpora.items():  # before the first is trained on for hours
        try:
            check_command_line(["--multirun", *chosen.protocol, *own])
        except AudioidError as error:
            raise AudioidError(f"{arguments.suite.name}: {name}: {error}") from error
    failed = [name for name, own in chosen.corpora.items() if _run(name, [*chosen.protocol, *own], out / name)]
    found = {name: study for name in chosen.corpora if (study := _study(out / name)) is not None}
    if len({study.measure.key for study in found.values()}) > 1:  # what is ranked together is measured alike
        uneven = {name: _study(out / name, metric="test_macro_f1") for name in found}
        found = {name: study for name, study in uneven.items() if study is not None}
    if not found:
        raise AudioidError(f"{arguments.suite}: no corpus has a finished run; see above")
    print(write(found, out))
    if failed:
        raise AudioidError(f"{', '.join(failed)}: not all runs ended well; see above, mend and start this again")


def read_suite(file: Path) -> Suite:
    """Raises AudioidError where the file is none of a suite."""
    if not file.is_file():
        raise AudioidError(f"{file}: is no file; write one as {program('suite')} --help shows")
    try:
        values = read_yaml(file)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise AudioidError(f"{file}: is no YAML ({reason}); see {program('suite')} --help") from error
    found = checked(Suite, values, file.name)
    for name in found.corpora:
        if not NAME.fullmatch(name):
            raise AudioidError(f"{file.name}: '{name}' cannot be a folder's name; use letters, digits and ' .+-_'")
    return found


def _run(name: str, overrides: list[str], folder: Path) -> int:
    """The exit status of the corpus's sweep, gone on with where it was begun."""
    print(f"== {name}", flush=True)
    begun = folder / "choices.json"
    if begun.is_file() and json.loads(begun.read_text(encoding="utf-8")) != overrides:
        raise AudioidError(f"{folder}: was begun with other choices; choose another --out, or remove it")
    with replacing(begun) as part:
        part.write_text(json.dumps(overrides), encoding="utf-8")
    is_resumed = (folder / "multirun.yaml").is_file()
    words = [f"resume={folder}"] if is_resumed else ["--multirun", *overrides, f"hydra.sweep.dir={folder}"]
    return subprocess.run([sys.executable, "-m", "audioid", "train", *words], check=False).returncode


def _study(folder: Path, metric: str | None = None) -> Study | None:
    """The corpus's study, by what its sweep compares by; of several, as where files changed, that with most runs."""
    try:
        runs, _ = find_runs(folder)
    except AudioidError:
        return None
    chosen = read_yaml(folder / "multirun.yaml")
    found = studies(runs, metric=metric or chosen["metric"], margin=chosen["margin"])
    return max(found, key=lambda study: len(study.runs))


def write(found: Mapping[str, Study], out: Path) -> str:
    """Writes `suite.json`, `suite.md` and `suite.csv`; returns the text to print."""
    headers, rows = suite.table_of(found)
    sentences = [each.sentence for each in suite.consistency(found)]
    with replacing(out / "suite.json") as part:
        part.write_text(json.dumps(suite.plain(found), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with replacing(out / "suite.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(suite.tidy(found))
    with replacing(out / "suite.md") as part:
        table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
        part.write_text("\n\n".join(["# Several corpora", table, *sentences]) + "\n", encoding="utf-8")
    table = tabulate(rows, headers, disable_numparse=True)
    return "\n\n".join([table, *sentences, f"Written to {out}: suite.md, suite.csv, suite.json"])
