"""How all figures look: for a phone's width and for a column in print, told apart by people who see fewer colours."""

import io
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audioid.comparison.measures import Measure

WIDTH = 4.8  # inches
LONGEST_NAME = 28  # characters
# Okabe and Ito 2008, without yellow and black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DIM = "0.45"
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    # Text stays text: small, and found by a search.
    "svg.fonttype": "none",
    "svg.hashsalt": "audioid",
}


def new(height: float, width: float = WIDTH) -> Figure:
    """An empty figure; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def saved(figure: Figure, form: str, dpi: float = 160) -> bytes:
    """The figure as a file of that form (`svg`, `png`, `pdf`), the same each time."""
    file = io.BytesIO()
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure.savefig(file, format=form, dpi=dpi, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()


def short(name: str) -> str:
    """At most `LONGEST_NAME` characters, the middle left out, where long names are least unlike."""
    if len(name) <= LONGEST_NAME:
        return name
    half = (LONGEST_NAME - 1) // 2
    return f"{name[:half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def minus(first: str, second: str) -> str:
    """On two lines where one would be long."""
    one, two = short(first), short(second)
    break_or_space = "\n" if len(one + two) > LONGEST_NAME // 2 else " "
    return f"{one} \N{MINUS SIGN}{break_or_space}{two}"


def colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def marker(place: int) -> str:
    """Arms beyond the number of colours have another shape."""
    return MARKERS[(place // len(COLOURS) + place) % len(MARKERS)]


def name_rows(axes: Axes, names: Sequence[str], size: float | None = None) -> None:
    """Names at rows 0, 1, ... from top to bottom; a dollar sign is no formula."""
    axes.set_yticks(range(len(names)), names, parse_math=False, fontsize=size)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def told(measure: Measure) -> str:
    """The measure with its unit, for an axis."""
    return f"{measure.name} / {'%' if measure.is_share else measure.unit}"


def legend_below(figure: Figure, axes: Axes, columns: int = 2) -> None:
    """Under the figure, `columns` entries a row; a dollar sign is no formula."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        found = figure.legend(handles, names, loc="outside lower center", ncols=columns)
        for text in found.get_texts():
            text.set_parse_math(False)
