"""The measure against what was swept: one figure, however many settings there are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from matplotlib.transforms import ScaledTranslation

from audioid.comparison.arms import ARM, Setting, is_number, order_of
from audioid.comparison.figures.style import WIDTH, colour, legend_below, marker, name_rows, new, short, told
from audioid.comparison.measures import Measure
from audioid.comparison.statistics import Values
from audioid.comparison.study import Study, cost_of, interval_of, number_apart

MOST_LINES = 6
SPREAD = 8  # numbers whose largest is so many times the smallest stand on a log scale
NO_VALUE = "-"  # of a key that an arm does not have


def swept(study: Study) -> tuple[str | None, list[str]]:
    """The key that has a line or a panel for each value, and those along the axes, the most important first.

    With more than two of the latter each place shows the setting that is best by validation there.
    """
    headline = study.comparisons[0].key or (ARM if ARM in study.keys else None)
    others = sorted((key for key in study.keys if key != headline), key=lambda key: -study.importance.get(key, 0.0))
    if others:
        return headline, others[:2]
    return None, [headline] if headline and headline != ARM else []


class Point(NamedTuple):
    """What an arm has at one value of the key."""

    value: str
    mean: float
    interval: tuple[float, float] | None
    fit_seconds: float | None


def settings(study: Study) -> Figure | None:
    """Lines with intervals over one swept key, or heat maps over two; None where nothing but the transform varied.

    Below the lines of a number the median seconds of fitting.
    """
    by, keys = swept(study)
    if not keys:
        return None
    groups: dict[str, list[Setting]] = {}
    for each in study.ranking:
        groups.setdefault(each.values.get(by, NO_VALUE) if by else "", []).append(each)
    names = sorted(groups, key=order_of)[:MOST_LINES]
    shown = {name: groups[name] for name in names}
    if len(keys) > 1:
        return _maps(shown, keys, study)
    points = {name: [_point(each, keys[0], study) for each in found] for name, found in shown.items()}
    return _lines(points, keys[0], study.measure)


def _point(setting: Setting, key: str, study: Study) -> Point:
    runs = setting.runs
    value = setting.values.get(key, NO_VALUE)
    return Point(value, setting.test, interval_of(runs, study.evidence), cost_of(runs).fit_seconds)


def over_studies(studies: Sequence[Study]) -> Figure | None:
    """Lines of the headlines' arms over the number that tells the studies apart; None where none does."""
    if (key := number_apart(studies)) is None:
        return None
    points: dict[str, list[Point]] = {}
    for study in studies:
        for each in study.comparisons[0].summaries:
            interval = None if each.low is None or each.high is None else (each.low, each.high)
            point = Point(study.settings[key], each.mean, interval, each.cost.fit_seconds)
            points.setdefault(each.arm.name, []).append(point)
    return _lines(dict(list(points.items())[:MOST_LINES]), key, studies[0].measure)


def _values(shown: Mapping[str, Sequence[Setting]], key: str) -> list[str]:
    return sorted({each.values.get(key, NO_VALUE) for found in shown.values() for each in found}, key=order_of)


def _at(found: Sequence[Setting], **values: str) -> Setting | None:
    """The first, so the best by validation, that has these values."""
    return next(
        (each for each in found if all(each.values.get(key, NO_VALUE) == text for key, text in values.items())), None
    )


def _lines(points: Mapping[str, Sequence[Point]], key: str, measure: Measure) -> Figure:
    values = sorted({each.value for found in points.values() for each in found}, key=order_of)
    are_numbers = all(map(is_number, values))
    has_seconds = are_numbers and any(each.fit_seconds for found in points.values() for each in found)
    figure = new(4.4 if has_seconds else 3.2)
    panels = figure.subplots(1 + has_seconds, 1, sharex=True, squeeze=False, height_ratios=(2, 1)[: 1 + has_seconds])
    upper, lower = panels[0, 0], panels[-1, 0]
    x = dict(zip(values, _scale(lower, values), strict=True))
    for place, (name, found) in enumerate(points.items()):
        ordered = sorted(found, key=lambda each: order_of(each.value))
        xs = [x[each.value] for each in ordered]
        line = f"{'-' if are_numbers else ''}{marker(place)}"  # categories have no order to follow
        look: dict[str, Any] = {"color": colour(place), "markersize": 5, "linewidth": 1}
        means = [measure.scale * each.mean for each in ordered]
        drawn = upper.plot(xs, means, line, label=short(name) or None, **look)
        for each in ordered:
            if each.interval:
                ends = [measure.scale * end for end in each.interval]
                drawn += upper.plot([x[each.value]] * 2, ends, color=colour(place), linewidth=1.5)
        # Arms stand beside one another, so that their intervals do not cover each other.
        aside = ScaledTranslation(4 * (place - (len(points) - 1) / 2) / 72, 0, figure.dpi_scale_trans)
        for artist in drawn:
            artist.set_transform(upper.transData + aside)
        if has_seconds:
            lower.plot(xs, [each.fit_seconds or np.nan for each in ordered], line, **look)
    if has_seconds:
        _scale_seconds(lower)
    upper.set_ylabel(told(measure))
    lower.set_xlabel(key, parse_math=False)
    lower.margins(x=0.08)
    for axes in {upper, lower}:
        axes.grid(axis="y")
    legend_below(figure, upper)
    return figure


def _scale_seconds(axes: Axes) -> None:
    seconds = np.concatenate([np.ravel(line.get_ydata()) for line in axes.get_lines()])
    if np.nanmax(seconds) / np.nanmin(seconds) >= SPREAD:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_yticks([], minor=True)
    else:
        axes.set_ylim(0, 1.15 * np.nanmax(seconds))  # so that no marker is cut
    axes.set_ylabel("fitting / s a run")


def _scale(axes: Axes, values: Sequence[str]) -> list[float]:
    """Where the values stand: numbers by what they are, others evenly; all are named on the axis."""
    places = [float(place) for place in range(len(values))]
    if all(map(is_number, values)):
        places = [order_of(value)[1] for value in values]
        if places[0] > 0 and places[-1] / places[0] >= SPREAD:
            axes.set_xscale("log")
    axes.set_xticks(places, [short(value) for value in values], parse_math=False)
    axes.set_xticks([], minor=True)
    if len("".join(values)) > 50:
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="right", rotation_mode="anchor")
    return places


def _maps(shown: Mapping[str, Sequence[Setting]], keys: Sequence[str], study: Study) -> Figure:
    """A panel an arm; the key with more values runs down."""
    across, down = sorted(keys, key=lambda key: len(_values(shown, key)))
    columns, rows = _values(shown, across), _values(shown, down)
    tables = {name: _table(found, across, columns, down, rows, study.measure) for name, found in shown.items()}
    beside = max(1, min(len(shown), 6 // len(columns)))
    lines = -(-len(shown) // beside)
    figure = new(1.1 + lines * (0.45 + 0.3 * len(rows)), max(WIDTH, 1.2 + 0.42 * len(columns)))
    every = np.concatenate([table.ravel() for table in tables.values()])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    for place, (name, table) in enumerate(tables.items()):
        axes = figure.add_subplot(lines, beside, place + 1)
        image = axes.imshow(table, vmin=low, vmax=high, cmap="cividis", aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            if np.isfinite(value):
                dark = value < (low + high) / 2
                text = f"{value:.1f}" if study.measure.is_share else f"{value:.3f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color="w" if dark else "k")
        axes.set_title(short(name), parse_math=False)
        axes.set_xticks(range(len(columns)), [short(each) for each in columns], parse_math=False)
        name_rows(axes, [short(each) for each in rows])
        axes.set_xlabel(across, parse_math=False)
        if place % beside == 0:
            axes.set_ylabel(down, parse_math=False)
        for side in axes.spines.values():
            side.set_visible(False)
    figure.colorbar(image, ax=figure.axes, label=told(study.measure), fraction=0.05, pad=0.02)
    return figure


def _table(
    found: Sequence[Setting], across: str, columns: Sequence[str], down: str, rows: Sequence[str], measure: Measure
) -> Values:
    cells = [[_at(found, **{down: row, across: column}) for column in columns] for row in rows]
    return np.array([[measure.scale * each.test if each else np.nan for each in row] for row in cells])
