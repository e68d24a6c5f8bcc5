"""Name recordings with a trained model."""

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from audioid.commands import timeline
from audioid.errors import AudioidError
from audioid.files import path_argument, replacing
from audioid.program import program
from audioid.terminal import on_a_line

if TYPE_CHECKING:
    from audioid.data.walk import Skipped
    from audioid.identification.identify import Answer


UNKNOWN = "unknown?"


@dataclass(frozen=True)
class Layout:
    """What every row has: so many of the `labels`, and whether the model can tell what is none of them."""

    labels: list[str]
    top: int
    tells_unknown: bool


def write_table(answers: Iterable["Answer"], layout: Layout, out: TextIO) -> None:
    """A line per recording: the names in columns, its path last, since only that has no set width.

    What is none of the labels has `unknown?` before the names that it would have.
    """
    width = max(len(on_a_line(label)) for label in layout.labels)
    for answer in answers:
        cells = [f"{on_a_line(label):{width}} {100 * probability:5.1f} %" for label, probability in answer.names]
        unread = f"{'(not read)':{layout.top * (width + 10) - 2}}"
        mark = [f"{UNKNOWN if answer.unknown else '':{len(UNKNOWN)}}"] if layout.tells_unknown else []
        print(*mark, *(cells or [unread]), on_a_line(answer.path), sep="  ", file=out)


def write_csv(answers: Iterable["Answer"], layout: Layout, out: TextIO) -> None:
    """A row per recording: its path, then each name and its probability, whether it is none of them and by what score
    (above 0: none), where the model can tell, then why nothing was found."""
    writer = csv.writer(out, lineterminator="\n")
    named = [f"{kind}_{rank + 1}" for rank in range(layout.top) for kind in ("label", "probability")]
    told = ["unknown", "unknown_score"] if layout.tells_unknown else []
    writer.writerow(["path", *named, *told, "error"])
    for answer in answers:
        cells = [cell for label, probability in answer.names for cell in (label, f"{probability:.6f}")]
        cells = cells or [""] * len(named)
        if layout.tells_unknown:
            score = answer.unknown_score
            cells += ["", ""] if score is None else [str(answer.unknown).lower(), f"{score:.4f}"]
        writer.writerow([answer.path, *cells, answer.error])


def write_json(answers: Iterable["Answer"], layout: Layout, out: TextIO) -> None:
    """A list with a line per recording."""
    before = "["
    for answer in answers:
        names = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.names]
        row: dict[str, object] = {"path": str(answer.path), "names": names}
        if layout.tells_unknown:
            score = answer.unknown_score
            row |= {"unknown": answer.unknown, "unknown_score": None if score is None else round(score, 4)}
        row["error"] = answer.error
        out.write(f"{before}\n{json.dumps(row, ensure_ascii=False)}")
        before = ","
    out.write("\n]\n")


WRITERS: dict[str, Callable[[Iterable["Answer"], Layout, TextIO], None]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
}


@dataclass
class Told:
    """Hands answers on, tells of each unreadable recording on stderr, and counts what was read."""

    answers: Iterable["Answer"]
    read: int = 0

    def __iter__(self) -> Iterator["Answer"]:
        for answer in self.answers:
            if answer.error is None:
                self.read += 1
            else:
                print(f"{on_a_line(answer.path)}: {answer.error}", file=sys.stderr)
            yield answer


def tell_passed_over(passed_over: Iterable["Skipped"]) -> None:
    """A line on stderr for each reason why something in a folder was not read: how often, and where first."""
    paths: dict[str, list[str]] = {}
    for path, reason in passed_over:
        paths.setdefault(reason, []).append(on_a_line(path))
    for reason, some in paths.items():
        print(f"{len(some)} passed over{', first' if some[1:] else ':'} {some[0]}: {reason}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog=program("identify"), description=__doc__)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="the model folder of a run, RUN/model; or builtin, the ready-made model, builtin:fft a half of it",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files, folders or globs")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="names for each recording (default: 3)")
    parser.add_argument("--format", choices=[*WRITERS, timeline.AUDACITY], default="table", help="default: table")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="NAME", help="code that the model may run, such as my_nets.Tiny"
    )
    parser.add_argument(
        "--labels", metavar="NAME,...", help="the only names to choose from; the model's all, if not given"
    )
    parser.add_argument("--out", type=path_argument, metavar="FILE", help="where to write; the screen if not given")
    timeline.add_arguments(parser)
    for stream in (sys.stdout, sys.stderr):  # names of files need not be UTF-8
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    try:
        arguments = parser.parse_args()
        if arguments.top < 1:
            parser.error("--top: must be at least 1")
        timeline.check(arguments)
        from audioid.identification import answers, builtin
        from audioid.identification.identify import find_recordings, identify, tells_unknown

        model = builtin.load(arguments.model, trust=arguments.trust)
        if arguments.labels is not None:
            model = answers.only(model, [label.strip() for label in next(csv.reader([arguments.labels]), [])])
        if timeline.is_asked(arguments):
            return timeline.work(model, arguments)
        top = min(arguments.top, len(model.labels))
        layout = Layout(model.labels, top, tells_unknown(model))
        passed_over: list[Skipped] = []
        told = Told(identify(model, find_recordings(arguments.paths, passed_over), top=top))
        with replacing(arguments.out) if arguments.out else nullcontext() as part:
            target = part.open("w", encoding="utf-8", errors="surrogateescape") if part else nullcontext(sys.stdout)
            with target as out:
                WRITERS[arguments.format](told, layout, out)
                out.flush()
        tell_passed_over(passed_over)
    except AudioidError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if not told.read:
        sys.exit("No recording could be read.")
    return 0
