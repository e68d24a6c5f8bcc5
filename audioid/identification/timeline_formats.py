"""Timelines as a table, CSV, JSON or a label track, written as they come."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from audioid.identification.json_list import write_list
from audioid.terminal import on_a_line

if TYPE_CHECKING:
    from audioid.identification.timeline import Segment

AUDACITY = "audacity"
Recordings = Iterable[tuple[Path, Iterable["Segment"]]]


def write_table(recordings: Recordings, labels: Sequence[str], out: TextIO) -> None:
    """A line per segment, the path last, since only that has no set width."""
    width = max(len(on_a_line(label)) for label in labels)
    for path, segments in recordings:
        for each in segments:
            cells = [f"{each.start:10.3f}", f"{each.end:10.3f}", f"{on_a_line(each.label):{width}}"]
            print(*cells, f"{100 * each.probability:5.1f} %", on_a_line(path), sep="  ", file=out, flush=True)


def write_csv(recordings: Recordings, labels: Sequence[str], out: TextIO) -> None:
    """A row per segment."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["path", "start", "end", "label", "probability"])
    for path, segments in recordings:
        for each in segments:
            writer.writerow([path, f"{each.start:.3f}", f"{each.end:.3f}", each.label, f"{each.probability:.6f}"])
            out.flush()


def write_json(recordings: Recordings, labels: Sequence[str], out: TextIO) -> None:
    """A list with a line per segment."""
    write_list((_as_json(path, each) for path, segments in recordings for each in segments), out)


def write_json_lines(recordings: Recordings, labels: Sequence[str], out: TextIO) -> None:
    """An object a line, for programs that read along."""
    for path, segments in recordings:
        for each in segments:
            print(_as_json(path, each), file=out, flush=True)


def _as_json(path: Path, segment: "Segment") -> str:
    times = {"start": round(segment.start, 3), "end": round(segment.end, 3)}
    row = {"path": str(path), **times, "label": segment.label, "probability": round(segment.probability, 6)}
    return json.dumps(row, ensure_ascii=False)


def write_audacity(recordings: Recordings, labels: Sequence[str], out: TextIO) -> None:
    """A label track: start, end and name between tabs."""
    for _, segments in recordings:
        for each in segments:
            print(f"{each.start:.3f}", f"{each.end:.3f}", on_a_line(each.label), sep="\t", file=out, flush=True)


WRITERS: dict[str, Callable[[Recordings, Sequence[str], TextIO], None]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_json_lines,
    AUDACITY: write_audacity,
}
