"""`report.html`: one file with figures, pictures and players, nothing loaded from elsewhere."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from audioid.comparison import words
from audioid.comparison.agreement import Disagreement, Suspect
from audioid.comparison.analysis import Analysis
from audioid.comparison.records import LeftOut, Searched, searches_of
from audioid.comparison.showing import Showing, Shown
from audioid.comparison.spread import worth_telling
from audioid.comparison.study import Study
from audioid.comparison.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Recordings of one kind that are shown with pictures and player, some 40 kB each.
SHOWN = 12
MOST_ROWS = 40  # of the ranking; comparison.csv has all
PIXELS_PER_INCH = 96
COLOURS = 64  # of a picture: a third of the size, and nobody sees it


@dataclass(frozen=True)
class Chapter:
    """A study with what is drawn and said of it.

    Attributes:
        figures: as `figures.figures` gives them.
        methods: a paragraph that a thesis can take over.
        latex: a table.
        again: the commands that do it again.
    """

    study: Study
    analysis: Analysis | None
    figures: Mapping[str, "Figure"]
    methods: str
    latex: str
    again: str


@dataclass(frozen=True)
class Overview:
    """Of studies that one number tells apart all at once: `figures.overview` and `tables.overview_table`."""

    figure: "Figure"
    table: Table


@dataclass(frozen=True)
class Plot:
    """A figure as base64 SVG, with its size in pixels."""

    svg: str
    width: int
    height: int


@dataclass(frozen=True)
class Recording:
    """One to look at and to listen to; `pictures` PNG by arm and `player` MP3, as base64, empty where missing."""

    path: str
    label: str
    details: list[str]
    pictures: Mapping[str, str]
    player: str


@dataclass(frozen=True)
class SearchView:
    """What the template takes of a search; `folder` is the name of its sweep's, empty where the page is that one's."""

    searched: Searched
    folder: str
    table: Table
    plots: Mapping[str, Plot]


@dataclass(frozen=True)
class View:
    """What the page's template takes of a chapter."""

    chapter: Chapter
    title: str
    verdict: str
    odds: list[str]
    plots: Mapping[str, Plot]
    searches: list[SearchView]
    disagreements: list[Recording]
    suspects: list[Recording]


def html_page(
    chapters: Sequence[Chapter],
    left_out: Sequence[LeftOut],
    *,
    root: Path,
    showing: Showing | None = None,
    overview: Overview | None = None,
) -> str:
    """The page as text; every name that comes from a file is escaped.

    Args:
        root: the folder that the runs lie in.
        showing: gives pictures and sounds of recordings; without it these are told of in words.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, worth_telling=worth_telling, shown=SHOWN, most_rows=MOST_ROWS)
    rows = [[each.folder.relative_to(root).as_posix(), each.reason] for each in left_out]
    return environment.get_template("page.html").render(
        views=[_view(chapter, showing, root) for chapter in chapters],
        left_out=rows,
        overview=overview,
        overview_plots={"overview": _plot(overview.figure)} if overview else {},
    )


def _view(chapter: Chapter, showing: Showing | None, root: Path) -> View:
    study, analysis = chapter.study, chapter.analysis
    comparison = study.comparisons[0]
    disagreements = analysis.disagreements[:SHOWN] if analysis else []
    suspects = analysis.suspects[:SHOWN] if analysis else []
    paths = [each.path for each in disagreements] + [each.path for each in suspects]
    shown = _shown(analysis, paths, showing)
    odds = [words.odds(each, study.margin, study.measure) for each in comparison.differences]
    return View(
        chapter=chapter,
        title=study.title if study.settings else "",
        verdict=words.headline(comparison, study.measure),
        odds=[each for each in odds if each],
        plots={name: _plot(figure) for name, figure in chapter.figures.items()},
        searches=[_search(each, root) for each in searches_of(study.runs)],
        disagreements=[_recording(each, _opinions(each), shown) for each in disagreements],
        suspects=[_recording(each, _doubt(each), shown) for each in suspects],
    )


def _search(found: Searched, root: Path) -> SearchView:
    from audioid.comparison.figures.search import search_figures

    return SearchView(
        searched=found,
        folder=found.sweep.name if found.sweep != root else "",
        table=(["", *found.arms], words.search(found.search, found.arms)),
        plots={name: _plot(figure) for name, figure in search_figures(found.search, found.arms).items()},
    )


def _shown(analysis: Analysis | None, paths: list[str], showing: Showing | None) -> dict[str, Mapping[str, Shown]]:
    """By arm, the pair's alone, and path; one run's transform makes the pictures, which all of the arm's runs share."""
    if not analysis or not showing or not paths:
        return {}
    names = analysis.pair or list(analysis.runs)[:1]
    return {name: showing(analysis.runs[name][0], list(dict.fromkeys(paths))) for name in names}


def _opinions(found: Disagreement) -> list[str]:
    return [
        f"{name} says {each.name}: right in {round(each.right * each.runs)} of {each.runs} runs, "
        f"{found.label} {100 * each.probability:.0f} % likely"
        for name, each in found.opinions.items()
    ]


def _doubt(found: Suspect) -> list[str]:
    return [
        f"all {found.runs} runs say {found.name}: {100 * found.named:.0f} % likely, "
        f"{found.label} {100 * found.given:.0f} %"
    ]


def _recording(
    found: Disagreement | Suspect, details: list[str], shown: Mapping[str, Mapping[str, Shown]]
) -> Recording:
    here = {name: each[found.path] for name, each in shown.items() if found.path in each}
    return Recording(
        path=found.path,
        label=found.label,
        details=details,
        pictures={name: _png(each) for name, each in here.items()},
        player=_encoded(next(iter(here.values())).sound) if here else "",
    )


def _png(shown: Shown) -> str:
    file = io.BytesIO()
    Image.fromarray(shown.image).quantize(COLOURS).save(file, "PNG", optimize=True)
    return _encoded(file.getvalue())


def _plot(figure: "Figure") -> Plot:
    from audioid.comparison.figures.style import saved

    width, height = (round(PIXELS_PER_INCH * float(each)) for each in figure.get_size_inches())
    return Plot(_encoded(saved(figure, "svg")), width, height)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
