"""Name recordings with a trained model, and sort them by their names."""

import argparse
import csv
import math
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from audioid.commands import timeline
from audioid.errors import AudioidError
from audioid.files import path_argument, replacing
from audioid.program import CommandParser, loading, program
from audioid.terminal import on_a_line

if TYPE_CHECKING:
    from audioid.data.walk import Skipped
    from audioid.identification.identify import Answer
    from audioid.identification.sorting import Sorter

FORMATS = ("table", "csv", "json", "jsonl")
TOP = 3
LONG = 10  # times as long as what is heard of it
DONE = {"copy": "copied", "move": "moved", "link": "linked"}


@dataclass
class Told:
    """Hands answers on, sorts them, tells on stderr of each recording without one, and counts what came of all."""

    answers: Iterable["Answer"]
    n_models: int
    sorter: "Sorter | None"
    heard: float  # seconds of each
    long: int = 0
    stayed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    sorted: Counter[str] = field(default_factory=Counter)  # by folder

    @property
    def read(self) -> int:
        return self.outcomes["named"] + self.outcomes["unknown"]

    def __iter__(self) -> Iterator["Answer"]:
        from audioid.identification.formats import outcomes

        for answer in self.answers:
            self.outcomes.update(outcomes(answer, self.n_models))
            if answer.error is not None:
                tqdm.write(f"{on_a_line(answer.path)}: {answer.error}", file=sys.stderr)
            else:
                self.long += seconds_of(answer.path) > LONG * self.heard
            if self.sorter and answer.error is None:
                self._sort(self.sorter, answer)
            yield answer

    def _sort(self, sorter: "Sorter", answer: "Answer") -> None:
        step = sorter.sort(answer)
        if step is None:
            self.stayed += 1
            return
        self.sorted[Path(step.made).parent.name] += 1
        if sorter.undo is None:
            tqdm.write(f"would {step.how} {on_a_line(step.source)} to {on_a_line(step.made)}", file=sys.stderr)


def seconds_heard(audio: Mapping[str, Any]) -> float:
    """How much of a recording a model hears."""
    windows = audio.get("windows", 1)
    return math.inf if windows == "all" else float(audio["seconds"] * windows)


def seconds_of(path: Path) -> float:
    """How long a recording says that it is; 0 where it does not."""
    from audioid.data.audio import UNKNOWN_FRAMES, Unreadable, open_recording

    with suppress(Unreadable), open_recording(path) as file:
        return file.frames / file.samplerate if file.frames < UNKNOWN_FRAMES else 0.0
    return 0.0


def tell_passed_over(passed_over: Iterable["Skipped"]) -> None:
    """A line on stderr for each reason why something in a folder was not read: how often, and where first."""
    paths: dict[str, list[str]] = {}
    for path, reason in passed_over:
        paths.setdefault(reason, []).append(on_a_line(path))
    for reason, some in paths.items():
        print(f"{len(some)} passed over{', first' if some[1:] else ':'} {some[0]}: {reason}", file=sys.stderr)


def arguments_of_command() -> argparse.Namespace:
    """What was asked for; ends the program where it is contradictory."""
    parser = CommandParser(
        "identify",
        description=__doc__,
        epilog=f"{program('identify')} --undo FILE takes back what a sorting did.",
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="the model folder of a run, RUN/model; or builtin, the ready-made model, builtin:fft a half of it",
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files, folders or globs; - for paths on the input, one a line"
    )
    parser.add_argument(
        "--with", action="append", default=[], metavar="MODEL", dest="others", help="another model, to answer together"
    )
    parser.add_argument("--top", type=int, metavar="K", help=f"names for each recording (default: {TOP})")
    parser.add_argument("--format", choices=[*FORMATS, timeline.AUDACITY], default="table", help="default: table")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="NAME", help="code that the model may run, such as my_nets.Tiny"
    )
    parser.add_argument(
        "--labels", metavar="NAME,...", help="the only names to choose from; the model's all, if not given"
    )
    parser.add_argument("--out", type=path_argument, metavar="FILE", help="where to write; the screen if not given")
    sorting = parser.add_argument_group("sorting into folders by name, never overwriting")
    how = sorting.add_mutually_exclusive_group()
    for name, done in DONE.items():
        how.add_argument(
            f"--{name}-to", type=path_argument, metavar="DIR", help=f"recordings are {done} into folders below DIR"
        )
    sorting.add_argument(
        "--min-confidence",
        type=float,
        default=0.0,
        metavar="P",
        help="what is less likely (0 to 1) goes to the folder unknown, as what is unknown does",
    )
    sorting.add_argument(
        "--rename", default="{name}", metavar="PATTERN", help='such as "{label} {confidence:.0f} {name}"'
    )
    sorting.add_argument("--dry-run", action="store_true", help="tell what would be done, and do nothing")
    sorting.add_argument("--undo", type=path_argument, metavar="FILE", help="take back what this file tells of")
    timeline.add_arguments(parser)
    found = parser.parse_intermixed_args()
    found.how = next((name for name in DONE if getattr(found, f"{name}_to")), None)
    if found.undo:
        given = {name: value for name, value in vars(found).items() if value and name != "undo"}
        if any(value != parser.get_default(name) for name, value in given.items()):
            parser.error("--undo: goes alone; leave out everything else")
        return found
    if found.model is None:
        parser.error("name a model and recordings")
    if not found.paths:
        parser.error(f"name recordings as well: files, folders or globs after the model {found.model}")
    if timeline.is_asked(found) and found.top is not None:
        parser.error("--top: a row of a timeline has one name; leave it out")
    found.top = TOP if found.top is None else found.top
    if found.top < 1:
        parser.error("--top: must be at least 1")
    if not 0 <= found.min_confidence <= 1:
        parser.error("--min-confidence: must be from 0 to 1, such as 0.8")
    if not found.how and (found.min_confidence or found.rename != "{name}" or found.dry_run):
        parser.error("--min-confidence, --rename, --dry-run: nothing is sorted; add --copy-to, --move-to or --link-to")
    timeline.check(found)
    if timeline.is_asked(found) and found.how:
        parser.error("--window, --hop, --onsets: a recording of several names has no folder; leave out the sorting")
    return found


def main() -> int:
    for stream in (sys.stdout, sys.stderr):  # names of files need not be UTF-8
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    try:
        arguments = arguments_of_command()
        if arguments.undo:
            take_back(arguments.undo)
            return 0
        told = work(arguments)
        if told is None:
            return 0
    except AudioidError as error:
        sys.exit(f"error: {on_a_line(error)}")
    except MemoryError:
        sys.exit("error: memory: there is not enough for this model's clips, or for this recording; shorten them")
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if not told.read:
        sys.exit("No recording could be read.")
    return 0


def work(arguments: argparse.Namespace) -> Told | None:
    """Names what was asked for, writes it, sorts it; None where it was timelines."""
    with loading():
        from audioid.identification import builtin
        from audioid.identification.formats import WRITERS, Layout, summary
        from audioid.identification.identify import find_recordings, identify, parts_of, tells_unknown
        from audioid.identification.together import among

    names = [arguments.model, *arguments.others]
    model = builtin.load_together(names, trust=arguments.trust)
    if arguments.labels is not None:
        model = among(model, [label.strip() for label in next(csv.reader([arguments.labels]), [])])
    if timeline.is_asked(arguments):
        timeline.work(model, _paths(arguments.paths), arguments)
        return None
    top, n_models = min(arguments.top, len(model.labels)), len(parts_of(model))
    layout = Layout(model.labels, top, tells_unknown(model), n_models)
    passed_over: list[Skipped] = []
    with ExitStack() as opened:
        sorter, undo = opened_sorter(arguments, opened)
        answers = identify(model, find_recordings(_paths(arguments.paths), passed_over), top=top)
        told = Told(answers, n_models, sorter, seconds_heard(model.audio))
        out: TextIO = sys.stdout
        if arguments.out:
            part = opened.enter_context(replacing(arguments.out))
            out = opened.enter_context(part.open("w", encoding="utf-8", errors="surrogateescape"))
        # A bar would tear a table on the same screen.
        hidden = True if out is sys.stdout and sys.stdout.isatty() else None  # None: where there is no terminal
        bar = opened.enter_context(tqdm(told, unit=" recordings", file=sys.stderr, disable=hidden, leave=False))
        try:
            WRITERS[arguments.format](bar, layout, out)
            out.flush()
        except BaseException:  # also of what was sorted until then one is told how to take it back
            tell_sorted(told, undo)
            raise
    tell_passed_over(passed_over)
    if told.read and (arguments.out or sorter or sys.stderr.isatty()):
        print(summary(told.outcomes), file=sys.stderr)
    if told.long:
        told_long = f"{told.long:,} far longer than the {told.heard:g} s that is heard of each"
        print(f"{told_long}; --window or --onsets names all of a recording", file=sys.stderr)
    if sorter and told.stayed:
        print(
            f"{told.stayed:,} left where they are: below {on_a_line(sorter.folder)} already, or sorted before",
            file=sys.stderr,
        )
    tell_sorted(told, undo)
    return told


def tell_sorted(told: Told, undo: Path | None) -> None:
    """How many recordings went into which folder, and how that is taken back; nothing where none did."""
    if not (undo and told.sorter and told.sorted):
        return
    folders = ", ".join(f"{on_a_line(name)} {count:,}" for name, count in sorted(told.sorted.items()))
    done = f"{DONE[told.sorter.how]} {told.sorted.total():,} ({folders})"
    print(f"{done}; to take it back: {program('identify')} --undo {shlex.quote(on_a_line(undo))}", file=sys.stderr)


def _paths(arguments: Iterable[str]) -> Iterator[str]:
    for argument in arguments:
        if argument == "-":
            yield from (line for line in (text.rstrip("\r\n") for text in sys.stdin) if line)
        else:
            yield argument


def opened_sorter(arguments: argparse.Namespace, opened: ExitStack) -> tuple["Sorter | None", Path | None]:
    """What sorts, if that is asked for, and where it writes what it does."""
    from audioid.identification.sorting import Sorter, check_pattern

    if not arguments.how:
        return None, None
    check_pattern(arguments.rename)
    folder: Path = getattr(arguments, f"{arguments.how}_to")
    undo, file = None, None
    if not arguments.dry_run:
        file = folder / f"undo {datetime.now():%Y-%m-%d %H-%M-%S}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            opened.callback(_remove_if_empty, file)
            undo = opened.enter_context(file.open("x", encoding="utf-8"))
        except OSError as error:
            raise AudioidError(f"{file}: {error.strerror}; choose a folder that can be written") from error
    return Sorter(folder, arguments.how, arguments.min_confidence, arguments.rename, undo), file


def _remove_if_empty(file: Path) -> None:
    if file.exists() and not file.stat().st_size:
        file.unlink()


def take_back(file: Path) -> None:
    """Undoes a sorting; ends with a failure where something stays."""
    from audioid.identification.sorting import undo

    left = list[str]()
    count = undo(file, left.append)
    for line in left:
        print(on_a_line(line), file=sys.stderr)
    print(f"{count:,} taken back{f', {len(left):,} left as they are, see above and {file}' if left else ''}")
    if left:
        sys.exit(1)
