"""The measure against what was swept: one figure, however many settings there are."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from audioid.comparison.arms import ARM, Setting, order_of
from audioid.comparison.decisions import CONFIDENCE, estimate_of
from audioid.comparison.figures.style import WIDTH, colour, legend_below, marker, name_rows, new, short, told
from audioid.comparison.measures import Measure
from audioid.comparison.pairing import alone
from audioid.comparison.statistics import Values
from audioid.comparison.study import Study

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


def settings(study: Study) -> Figure | None:
    """Lines with intervals over one swept key, or heat maps over two; None where nothing but the transform varied."""
    by, keys = swept(study)
    if not keys:
        return None
    groups: dict[str, list[Setting]] = {}
    for each in study.ranking:
        groups.setdefault(each.values.get(by, NO_VALUE) if by else "", []).append(each)
    names = sorted(groups, key=order_of)[:MOST_LINES]
    shown = {name: groups[name] for name in names}
    return _lines(shown, keys[0], study) if len(keys) == 1 else _maps(shown, keys, study)


def _values(shown: Mapping[str, Sequence[Setting]], key: str) -> list[str]:
    return sorted({each.values.get(key, NO_VALUE) for found in shown.values() for each in found}, key=order_of)


def _at(found: Sequence[Setting], **values: str) -> Setting | None:
    """The first, so the best by validation, that has these values."""
    return next(
        (each for each in found if all(each.values.get(key, NO_VALUE) == text for key, text in values.items())), None
    )


def _lines(shown: Mapping[str, Sequence[Setting]], key: str, study: Study) -> Figure:
    figure = new(3.2)
    axes = figure.add_subplot()
    values = _values(shown, key)
    places = _scale(axes, values)
    joined = "-" if _are_numbers(values) else ""  # categories have no order to follow
    for place, (name, found) in enumerate(shown.items()):
        here = [(x, each) for x, value in zip(places, values, strict=True) if (each := _at(found, **{key: value}))]
        xs = [x for x, _ in here]
        means = study.measure.scale * np.array([each.test for _, each in here])
        aside = ScaledTranslation(4 * (place - (len(shown) - 1) / 2) / 72, 0, figure.dpi_scale_trans)
        ink = colour(place)
        drawn = axes.plot(
            xs, means, f"{joined}{marker(place)}", color=ink, markersize=5, linewidth=1, label=short(name) or None
        )
        for x, (_, each) in zip(xs, here, strict=True):
            if interval := _interval(each, study):
                drawn += axes.plot([x, x], interval, color=ink, linewidth=1.5)
        # Arms stand beside one another, so that their intervals do not cover each other.
        for line in drawn:
            line.set_transform(axes.transData + aside)
    axes.set_xlabel(key, parse_math=False)
    axes.set_ylabel(told(study.measure))
    axes.margins(x=0.08)
    axes.grid(axis="y")
    legend_below(figure, axes)
    return figure


def _scale(axes: Axes, values: Sequence[str]) -> list[float]:
    """Where the values stand: numbers by what they are, others evenly; all are named on the axis."""
    places = [float(place) for place in range(len(values))]
    if _are_numbers(values):
        places = [order_of(value)[1] for value in values]
        if places[0] > 0 and places[-1] / places[0] >= SPREAD:
            axes.set_xscale("log")
    axes.set_xticks(places, [short(value) for value in values], parse_math=False)
    axes.set_xticks([], minor=True)
    if len("".join(values)) > 50:
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="right", rotation_mode="anchor")
    return places


def _are_numbers(values: Sequence[str]) -> bool:
    return all(rank == 0 and np.isfinite(number) for rank, number, _ in map(order_of, values))


def _interval(setting: Setting, study: Study) -> tuple[float, float] | None:
    """At 95 % of the setting's mean by itself, as in the table of arms."""
    found = estimate_of(alone(setting.runs, study.evidence), study.measure)
    if found is None:
        return None
    low, high = (study.measure.scale * each for each in found.interval(CONFIDENCE))
    return (max(low, 0.0), min(high, study.measure.scale)) if study.measure.is_share else (low, high)


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
