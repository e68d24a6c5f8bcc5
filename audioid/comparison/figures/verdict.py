"""The paired differences behind the verdict, and the runs behind these."""

import numpy as np
from matplotlib.figure import Figure

from audioid.comparison.figures.style import COLOURS, DIM, colour, marker, minus, name_rows, new, short, told
from audioid.comparison.pairing import pair
from audioid.comparison.statistics import Values
from audioid.comparison.study import Study

MOST_ROWS = 24


def differences(study: Study) -> Figure | None:
    """A row for each of the headline's differences: a dot a unit, the mean with its interval, the margin shaded.

    None where no two arms share runs.
    """
    headline, measure = study.comparisons[0], study.measure
    runs = {each.arm.name: each.arm.runs for each in headline.summaries}
    shown = [each for each in headline.differences if each.mean is not None][:MOST_ROWS]
    if not shown:
        return None
    figure = new(1.1 + _row_height(len(shown)) * len(shown))
    axes = figure.add_subplot()
    scale = measure.scale
    axes.axvspan(-scale * study.margin, scale * study.margin, color="0.92", linewidth=0)
    axes.axvline(0, color=DIM, linewidth=0.8)
    furthest = 0.0
    for row, each in enumerate(shown):
        found = pair(runs[each.first], runs[each.second], study.evidence)
        if found:
            furthest = max(furthest, float(np.abs(found.values).max()))
            axes.plot(scale * found.values, row + 0.2 + _apart(found.values), "o", color=DIM, markersize=3.5, alpha=0.7)
        if each.low is not None and each.high is not None:
            axes.plot([scale * each.low, scale * each.high], [row - 0.1] * 2, color=COLOURS[0], linewidth=2.5)
        axes.plot([scale * (each.mean or 0.0)], [row - 0.1], "D", color=COLOURS[0], markersize=6)
    name_rows(axes, [minus(each.first, each.second) for each in shown])
    axes.set_xlabel(_direction(study, len(shown)), parse_math=False)
    # An interval that knows next to nothing leaves room for the others.
    reach = min(float(np.abs(axes.get_xlim()).max()), 4 * scale * max(study.margin, furthest))
    axes.set_xlim(-reach, reach)
    axes.spines["left"].set_visible(False)
    return figure


def _direction(study: Study, rows: int) -> str:
    measure = study.measure
    what = f"difference of {measure.name} / {measure.unit}"
    if rows > 1:
        return what
    first, second = (short(each.arm.name) for each in study.comparisons[0].summaries[:2])
    left, right = (second, first) if measure.is_share else (first, second)
    return f"{what}\n\N{LEFTWARDS ARROW} {left} better | {right} better \N{RIGHTWARDS ARROW}"


def _row_height(rows: int) -> float:
    return 0.62 if rows <= len(COLOURS) else 0.4


def _apart(values: Values) -> Values:
    """Small steps down for neighbours that would cover one another."""
    order = np.argsort(values, kind="stable")
    found = np.empty(len(values))
    found[order] = 0.055 * (np.arange(len(values)) % 4)
    return found


def accuracy(study: Study) -> Figure:
    """The measure of each run, a band an arm and in it a line a split, the same place in every arm; means as bars."""
    measure = study.measure
    shown = study.comparisons[0].summaries[:MOST_ROWS]
    figure = new(0.9 + _row_height(len(shown)) * len(shown))
    axes = figure.add_subplot()
    splits = sorted({run.split for each in shown for run in each.arm.runs}, key=str)
    offsets = np.linspace(-0.3, 0.3, len(splits)) if len(splits) > 1 else np.zeros(1)
    place = dict(zip(splits, offsets.tolist(), strict=True))
    for row, each in enumerate(shown):
        place_of_colour = row if len(shown) <= len(COLOURS) else 0  # too many to be told apart
        ink = colour(place_of_colour)
        values = measure.scale * np.array([getattr(run, measure.key) for run in each.arm.runs])
        rows = [row + place[run.split] for run in each.arm.runs]
        axes.plot(values, rows, marker(place_of_colour), color=ink, markersize=4, alpha=0.65, markeredgewidth=0)
        mean = measure.scale * each.mean
        axes.plot([mean] * 2, [row - 0.4, row + 0.4], color=ink, linewidth=2.5)
        text = f"{mean:.1f}" if measure.is_share else f"{mean:.3f}"
        axes.annotate(text, (mean, row - 0.4), (4, 0), textcoords="offset points", color=ink, va="center")
    name_rows(axes, [short(each.arm.name) for each in shown])
    axes.set_ylim(top=-0.65)
    axes.grid(axis="x")
    axes.set_xlabel(told(measure))
    return figure
