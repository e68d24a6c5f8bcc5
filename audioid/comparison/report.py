"""The comparison of a folder of runs, written in every form that people and programs read."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audioid.comparison import methods, tables, words
from audioid.comparison.analysis import analyse
from audioid.comparison.decisions import MARGIN
from audioid.comparison.page import Chapter, Overview, html_page
from audioid.comparison.records import LeftOut, find_runs, searches_of
from audioid.comparison.showing import Showing
from audioid.comparison.study import Study, studies
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.terminal import on_a_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS = ("png", "svg", "pdf")  # of each figure
FIGURES = "figures"


@dataclass(frozen=True)
class Report:
    """What there is to say of the runs below `root`."""

    root: Path
    overview: Overview | None
    chapters: Sequence[Chapter]
    left_out: Sequence[LeftOut]

    @property
    def studies(self) -> list[Study]:
        return [chapter.study for chapter in self.chapters]


def compare(
    runs_dir: Path, out: Path, *, metric: str = "auto", margin: float = MARGIN, showing: Showing | None = None
) -> str:
    """Writes `comparison.json`, `comparison.csv` (a row a run), `report.md`, `report.html`, `figures/` and the
    TensorBoard run `comparison` to `out`; returns the text to print.

    Args:
        metric: as in `study.studies`, as is `margin`.
        showing: gives pictures and sounds of recordings; without it these are told of in words.

    Raises:
        AudioidError: `runs_dir` holds no finished run, or `out` cannot be written, or leads elsewhere by a link.
    """
    if (out / FIGURES).is_symlink():
        raise AudioidError(f"{out / FIGURES}: is a link, which may lead elsewhere; remove it, or choose another --out")
    runs, left_out = find_runs(runs_dir)
    found = studies(runs, metric=metric, margin=margin)
    with replacing(out / "comparison.json") as part:  # first, since a place that cannot be written shall be told soon
        text = json.dumps(tables.plain(found, left_out, runs_dir), indent=2, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", "utf-8")
    rows = list(tables.rows(found, runs_dir))
    with replacing(out / "comparison.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    report = Report(
        runs_dir, _overview(found), [_chapter(study, methods.command(runs_dir)) for study in found], left_out
    )
    _write_figures(report, out / FIGURES)
    with replacing(out / "report.md") as part:
        part.write_text(markdown(report), "utf-8")
    with replacing(out / "report.html") as part:
        part.write_text(
            html_page(report.chapters, left_out, root=runs_dir, showing=showing, overview=report.overview), "utf-8"
        )
    _write_board(report, out, showing)
    told = [text for study in found for text in tables.paragraphs(study, "simple")]
    if report.overview:
        told.append(tables.written(report.overview.table, "simple"))
    if left := tables.left_out_paragraph(left_out, runs_dir):
        told.append(left)
    told = ["\n".join(map(on_a_line, text.split("\n"))) for text in told]
    return "\n\n".join([*told, f"Written to {out}: report.html, report.md, comparison.json, comparison.csv, figures/"])


def _overview(found: Sequence[Study]) -> Overview | None:
    from audioid.comparison.figures import overview

    table, figure = tables.overview_table(found), overview(found)
    return Overview(figure, table) if table and figure else None


def _chapter(study: Study, again: str) -> Chapter:
    from audioid.comparison.figures import figures

    analysis = analyse(study)
    drawn = figures(study, analysis)
    return Chapter(study, analysis, drawn, methods.methods(study), methods.latex(study), again)


def _write_figures(report: Report, folder: Path) -> None:
    from audioid.comparison.figures.style import saved

    for name, figure in _named_figures(report):
        for form in FORMS:
            with replacing(folder / f"{name}.{form}") as part:
                part.write_bytes(saved(figure, form))


def _named_figures(report: Report) -> list[tuple[str, "Figure"]]:
    """Of several studies with a number in front, behind the overview of them all."""
    numbered = len(report.chapters) > 1
    over_all = [("overview", report.overview.figure)] if report.overview else []
    return over_all + [
        (f"{number} {name}" if numbered else name, figure)
        for number, chapter in enumerate(report.chapters, 1)
        for name, figure in chapter.figures.items()
    ]


def _write_board(report: Report, out: Path, showing: Showing | None) -> None:
    from audioid.comparison.tensorboard import write_board

    texts = {
        "verdict": "\n\n".join(text for study in report.studies for text in tables.paragraphs(study, "github")),
        "methods": "\n\n".join(chapter.methods for chapter in report.chapters),
    }
    write_board(out, report.studies, dict(_named_figures(report)), texts, showing=showing)


def markdown(report: Report) -> str:
    """The report as Markdown."""
    parts = ["# Comparison"]
    if report.overview:
        parts += ["![overview](<figures/overview.png>)", tables.written(report.overview.table, "github")]
    for number, chapter in enumerate(report.chapters, 1):
        study = chapter.study
        prefix = f"{number} " if len(report.chapters) > 1 else ""
        parts += tables.paragraphs(study, "github")
        parts += [f"![{name}](<figures/{prefix}{name}.png>)" for name in chapter.figures]
        for found in searches_of(study.runs):
            table = ["", *found.arms], words.search(found.search, found.arms)
            parts += [f"## Search by {words.judged_by(found.search)}", tables.written(table, "github")]
        parts += ["## Methods", chapter.methods, "## The table in LaTeX", f"```latex\n{chapter.latex}\n```"]
        if rows := words.unlike(study.comparisons[0]):
            headers = ["setting", *(each.arm.name for each in study.comparisons[0].summaries)]
            parts += ["## What differs in settings", tables.written((headers, rows), "github")]
    parts += ["## How to run it again", f"```\n{report.chapters[0].again}\n```"]
    if left := tables.left_out_paragraph(report.left_out, report.root):
        parts.append(left)
    return "\n\n".join(parts) + "\n"
