"""Find the recordings of a library that sound most like given ones, as a trained model hears them."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from audioid.commands.identify import tell_passed_over
from audioid.errors import AudioidError
from audioid.files import path_argument, replacing
from audioid.identification.json_list import write_list
from audioid.program import CommandParser, loading
from audioid.terminal import on_a_line

if TYPE_CHECKING:
    from audioid.data.walk import Skipped
    from audioid.identification.library import Library
    from audioid.identification.similar import Found

SHOWN = 20  # questions on a page
LISTED = 20  # recordings of the library that cannot be read


def write_table(every: Iterable["Found"], out: TextIO) -> None:
    """A line for each question, and below it one for each neighbour: rank, similarity, label and path."""
    for found in every:
        print(on_a_line(found.path), *(["(not read)"] if found.error else []), sep="  ", file=out)
        width = max((len(on_a_line(each.label)) for each in found.neighbours), default=0)
        for rank, each in enumerate(found.neighbours, 1):
            label = f"{on_a_line(each.label):{width}}"
            print(f"{rank:4}  {each.similarity:.4f}  {label}  {on_a_line(each.path)}", file=out)


def write_csv(every: Iterable["Found"], out: TextIO) -> None:
    """A row for each neighbour; of what cannot be read one that says why."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["question", "rank", "path", "similarity", "label", "error"])
    for found in every:
        for rank, each in enumerate(found.neighbours, 1):
            writer.writerow([found.path, rank, each.path, f"{each.similarity:.4f}", each.label, None])
        if found.error:
            writer.writerow([found.path, None, None, None, None, found.error])


def write_json(every: Iterable["Found"], out: TextIO) -> None:
    """A list with a line for each question."""
    write_list(map(_as_json, every), out)


def _as_json(found: "Found") -> str:
    neighbours = [
        {"rank": rank, "path": str(each.path), "similarity": round(each.similarity, 4), "label": each.label}
        for rank, each in enumerate(found.neighbours, 1)
    ]
    row = {"question": str(found.path), "neighbours": neighbours, "error": found.error}
    return json.dumps(row, ensure_ascii=False)


WRITERS: dict[str, Callable[[Iterable["Found"], TextIO], None]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
}


@dataclass
class Told:
    """Hands on what was found, tells of each unreadable question on stderr, counts what was read, and keeps the first
    of it for a page."""

    every: Iterable["Found"]
    read: int = 0
    first: list["Found"] = field(default_factory=list)

    def __iter__(self) -> Iterator["Found"]:
        for found in self.every:
            if found.error is None:
                self.read += 1
                self.first += [found] if len(self.first) < SHOWN else []
            else:
                print(f"{on_a_line(found.path)}: {found.error}", file=sys.stderr)
            yield found


def tell_unreadable(library: "Library") -> None:
    """On stderr how many recordings of the library cannot be read, and a line for each of the first."""
    if not library.unreadable:
        return
    count, every = len(library.unreadable), len(library.unreadable) + len(library.recordings)
    print(f"{count} of the {every} recordings in {library.root} cannot be read:", file=sys.stderr)
    for path, reason in library.unreadable[:LISTED]:
        print(f"  {on_a_line(path)}: {reason}", file=sys.stderr)
    if count > LISTED:
        print(f"  and {count - LISTED} more", file=sys.stderr)


def main() -> int:
    parser = CommandParser("similar", description=__doc__)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="the model folder of a run, RUN/model; or builtin, the ready-made model, builtin:fft a half of it",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="what to find the like of: files, folders or globs")
    parser.add_argument(
        "--library", type=path_argument, required=True, metavar="DIR", help="the folder of recordings to search"
    )
    parser.add_argument(
        "--index", type=path_argument, metavar="FOLDER", help="where what was heard is kept (default: DIR/.audioid)"
    )
    parser.add_argument("--top", type=int, default=10, metavar="K", help="neighbours of each recording (default: 10)")
    parser.add_argument("--format", choices=WRITERS, default="table", help="default: table")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="NAME", help="code that the model may run, such as my_nets.Tiny"
    )
    parser.add_argument("--out", type=path_argument, metavar="FILE", help="where to write; the screen if not given")
    parser.add_argument(
        "--page",
        type=path_argument,
        metavar="FILE.html",
        help=f"also a page to see and hear them, of the first {SHOWN} recordings",
    )
    for stream in (sys.stdout, sys.stderr):  # names of files need not be UTF-8
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    try:
        arguments = parser.parse_args()
        if arguments.top < 1:
            parser.error("--top: must be at least 1")
        if arguments.page and arguments.page.suffix != ".html":
            raise AudioidError(f"--page: {arguments.page} is no name of a page; let it end in .html")
        with loading():
            from audioid.identification import builtin
            from audioid.identification.identify import find_recordings
            from audioid.identification.library import index_file, open_library
            from audioid.identification.similar import similar

        model = builtin.load(arguments.model, trust=arguments.trust)
        file = index_file(arguments.library, builtin.folders_of(arguments.model), arguments.index)
        library = open_library(model, arguments.library, file)
        if library.added or library.removed:
            print(f"{library.added} indexed, {library.removed} removed: {on_a_line(file)}", file=sys.stderr)
        passed_over: list[Skipped] = []
        told = Told(similar(model, library, find_recordings(arguments.paths, passed_over), top=arguments.top))
        with replacing(arguments.out) if arguments.out else nullcontext() as part:
            target = part.open("w", encoding="utf-8", errors="surrogateescape") if part else nullcontext(sys.stdout)
            with target as out:
                WRITERS[arguments.format](told, out)
                out.flush()
        if arguments.page and told.read:
            from audioid.identification.similar_page import similar_page

            with replacing(arguments.page) as part:
                part.write_text(similar_page(model, told.first, told.read), encoding="utf-8")
            size = arguments.page.stat().st_size / 1e6
            print(f"To see and hear: {arguments.page} ({size:.1f} MB)", file=sys.stderr)
        tell_passed_over(dict.fromkeys([*library.passed_over, *passed_over]))
        tell_unreadable(library)
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
