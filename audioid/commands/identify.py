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

from audioid.errors import AudioidError
from audioid.files import path_argument, replacing
from audioid.program import program
from audioid.terminal import on_a_line

if TYPE_CHECKING:
    from audioid.data.walk import Skipped
    from audioid.identification.identify import Answer


def write_table(answers: Iterable["Answer"], labels: list[str], top: int, out: TextIO) -> None:
    """A line per recording: the names in columns, its path last, since only that has no set width."""
    width = max(len(on_a_line(label)) for label in labels)
    for answer in answers:
        cells = [f"{on_a_line(label):{width}} {100 * probability:5.1f} %" for label, probability in answer.names]
        unread = f"{'(not read)':{top * (width + 10) - 2}}"
        print("  ".join(cells) if cells else unread, on_a_line(answer.path), sep="  ", file=out)


def write_csv(answers: Iterable["Answer"], labels: list[str], top: int, out: TextIO) -> None:
    """A row per recording: its path, then each name and its probability, then why there are none."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["path", *(f"{kind}_{rank + 1}" for rank in range(top) for kind in ("label", "probability")), "error"]
    )
    for answer in answers:
        cells = [cell for label, probability in answer.names for cell in (label, f"{probability:.6f}")]
        writer.writerow([answer.path, *(cells or [""] * 2 * top), answer.error])


def write_json(answers: Iterable["Answer"], labels: list[str], top: int, out: TextIO) -> None:
    """A list with a line per recording."""
    before = "["
    for answer in answers:
        names = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.names]
        row = {"path": str(answer.path), "names": names, "error": answer.error}
        out.write(f"{before}\n{json.dumps(row, ensure_ascii=False)}")
        before = ","
    out.write("\n]\n")


WRITERS: dict[str, Callable[[Iterable["Answer"], list[str], int, TextIO], None]] = {
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
    parser.add_argument("--format", choices=WRITERS, default="table", help="default: table")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="NAME", help="code that the model may run, such as my_nets.Tiny"
    )
    parser.add_argument(
        "--labels", metavar="NAME,...", help="the only names to choose from; the model's all, if not given"
    )
    parser.add_argument("--out", type=path_argument, metavar="FILE", help="where to write; the screen if not given")
    for stream in (sys.stdout, sys.stderr):  # names of files need not be UTF-8
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    try:
        arguments = parser.parse_args()
        if arguments.top < 1:
            parser.error("--top: must be at least 1")
        from audioid.identification import answers, builtin
        from audioid.identification.identify import find_recordings, identify

        model = builtin.load(arguments.model, trust=arguments.trust)
        if arguments.labels is not None:
            model = answers.only(model, [label.strip() for label in next(csv.reader([arguments.labels]), [])])
        top = min(arguments.top, len(model.labels))
        passed_over: list[Skipped] = []
        told = Told(identify(model, find_recordings(arguments.paths, passed_over), top=top))
        with replacing(arguments.out) if arguments.out else nullcontext() as part:
            target = part.open("w", encoding="utf-8", errors="surrogateescape") if part else nullcontext(sys.stdout)
            with target as out:
                WRITERS[arguments.format](told, model.labels, top, out)
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
