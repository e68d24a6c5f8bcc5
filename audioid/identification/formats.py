"""Answers as a table, CSV or JSON, written as they come."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TextIO

from audioid.identification.identify import SILENT, Answer
from audioid.identification.json_list import write_list
from audioid.terminal import on_a_line

UNKNOWN = "unknown?"
OUTCOMES = ("named", "unknown", "of them disputed between the models", "with nothing to hear", "not read")


@dataclass(frozen=True)
class Layout:
    """What every row has: so many of the `labels`, whether it can be told what is none of them, and how many models
    answer together."""

    labels: list[str]
    top: int
    tells_unknown: bool
    n_models: int = 1


def outcomes(answer: Answer, n_models: int) -> Iterator[str]:
    """Those of `OUTCOMES` that came of a recording about which so many models were asked."""
    if answer.error is not None:
        yield "with nothing to hear" if answer.error == SILENT else "not read"
        return
    yield "unknown" if answer.unknown else "named"
    if answer.agree is not None and answer.agree < n_models:
        yield "of them disputed between the models"


def summary(counts: Mapping[str, int]) -> str:
    """How often each outcome came of all recordings, such as `950 named, 30 unknown, 15 not read`."""
    return ", ".join(f"{counts.get(each, 0):,} {each}" for each in OUTCOMES if counts.get(each) or each == "named")


def write_table(answers: Iterable[Answer], layout: Layout, out: TextIO) -> None:
    """A line per recording: the names in columns, its path last, since only that has no set width.

    What is none of the labels has `unknown?` before the names that it would have; of several models there is before
    that how many of them find the first name the likeliest.
    """
    width = max(len(on_a_line(label)) for label in layout.labels)
    for answer in answers:
        cells = [f"{on_a_line(label):{width}} {100 * probability:5.1f} %" for label, probability in answer.names]
        unread = f"{'(not read)':{layout.top * (width + 10) - 2}}"
        mark = [f"{UNKNOWN if answer.unknown else '':{len(UNKNOWN)}}"] if layout.tells_unknown else []
        found = "" if answer.agree is None else f"{answer.agree}/{layout.n_models}"
        agree = [f"{found:{len(f'{layout.n_models}/{layout.n_models}')}}"] if layout.n_models > 1 else []
        print(*agree, *mark, *(cells or [unread]), on_a_line(answer.path), sep="  ", file=out)


def write_csv(answers: Iterable[Answer], layout: Layout, out: TextIO) -> None:
    """A row per recording: its path, then each name and its probability, whether it is none of them and by what score
    (above 0: none), where the model can tell, then why nothing was found."""
    writer = csv.writer(out, lineterminator="\n")
    named = [f"{kind}_{rank + 1}" for rank in range(layout.top) for kind in ("label", "probability")]
    told = ["unknown", "unknown_score"] if layout.tells_unknown else []
    told += ["agree"] if layout.n_models > 1 else []
    writer.writerow(["path", *named, *told, "error"])
    for answer in answers:
        cells = [cell for label, probability in answer.names for cell in (label, f"{probability:.6f}")]
        cells = cells or [""] * len(named)
        if layout.tells_unknown:
            score = answer.unknown_score
            cells += ["", ""] if score is None else [str(answer.unknown).lower(), f"{score:.4f}"]
        cells += [str(answer.agree or "")] if layout.n_models > 1 else []
        writer.writerow([answer.path, *cells, answer.error])


def write_json(answers: Iterable[Answer], layout: Layout, out: TextIO) -> None:
    """A list with a line per recording."""
    write_list((_as_json(answer, layout) for answer in answers), out)


def write_json_lines(answers: Iterable[Answer], layout: Layout, out: TextIO) -> None:
    """An object a line, at once: for programs that read along."""
    for answer in answers:
        print(_as_json(answer, layout), file=out, flush=True)


def _as_json(answer: Answer, layout: Layout) -> str:
    names = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.names]
    row: dict[str, object] = {"path": str(answer.path), "names": names}
    if layout.tells_unknown:
        score = answer.unknown_score
        row |= {"unknown": answer.unknown, "unknown_score": None if score is None else round(score, 4)}
    if layout.n_models > 1:
        row["agree"] = answer.agree
    return json.dumps(row | {"error": answer.error}, ensure_ascii=False)


WRITERS: dict[str, Callable[[Iterable[Answer], Layout, TextIO], None]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_json_lines,
}
