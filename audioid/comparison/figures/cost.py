"""The measure against what it costs."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from audioid.comparison.arms import ARM, Setting
from audioid.comparison.figures.style import colour, legend_below, marker, new, short, told
from audioid.comparison.front import front
from audioid.comparison.statistics import Values
from audioid.comparison.study import Study, cost_of

KINDS = {
    "transform_ms_per_clip": "transform / ms a clip",
    "fit_seconds": "training / s a run",
    "multiply_adds": "multiply-adds a clip",
    "parameters": "parameters",
}
SAME = 1.02  # costs within this factor of each other are no choice


def cost(study: Study) -> Figure | None:
    """A panel for each cost in which settings differ, a dot a setting, joined where none is better for less.

    None where fewer than two settings tell their cost.
    """
    costs = [cost_of(each.runs) for each in study.ranking]
    columns = {key: np.array([_number(getattr(each, key)) for each in costs]) for key in KINDS}
    shown = {key: values for key, values in columns.items() if _differs(values)}
    if not shown:
        return None
    columns_of_panels = min(2, len(shown))
    rows = -(-len(shown) // columns_of_panels)
    figure = new(0.7 + 2.3 * rows)
    grid = figure.subplots(rows, columns_of_panels, sharey=True, squeeze=False)
    for axes, (key, values) in zip(grid.ravel(), shown.items(), strict=False):
        _panel(axes, values, study)
        axes.set_xlabel(KINDS[key])
    for axes in grid.ravel()[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(told(study.measure))
    legend_below(figure, grid[0, 0])
    return figure


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _differs(values: Values) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and bool(known.max() > SAME * known.min())


def _panel(axes: Axes, costs: Values, study: Study) -> None:
    measure = study.measure
    gain = np.array([each.test for each in study.ranking]) * (1 if measure.is_share else -1)
    known = np.flatnonzero(np.isfinite(costs))
    names = sorted({_arm(study.ranking[place], study) for place in known})
    test = measure.scale * np.array([each.test for each in study.ranking])
    best = known[front(gain[known], costs[known, None])]
    best = best[np.argsort(costs[best])]
    axes.plot(costs[best], test[best], color="0.6", linewidth=1, drawstyle="steps-post", zorder=1)
    axes.scatter(costs[best], test[best], 80, facecolor="none", edgecolor="0.3", linewidth=1)
    for place, name in enumerate(names):
        mine = [each for each in known if _arm(study.ranking[each], study) == name]
        axes.scatter(costs[mine], test[mine], 24, color=colour(place), marker=marker(place), label=short(name))
    if costs[known].min() > 0 and costs[known].max() > 3 * costs[known].min():
        axes.set_xscale("log")
        low, high = costs[known].min(), costs[known].max()
        ticks = [f * 10.0**p for p in range(-3, 13) for f in (1, 2, 5) if low / 1.5 <= f * 10.0**p <= 1.5 * high]
        axes.set_xticks(ticks[:: -(-len(ticks) // 5)])
        axes.set_xticks([], minor=True)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(_counted))
    axes.margins(0.12)
    axes.grid()


def _arm(setting: Setting, study: Study) -> str:
    return setting.values.get(study.comparisons[0].key or ARM, setting.runs[0].transform)


def _counted(value: float, _: object = None) -> str:
    """`33.2 M` for 33,200,000."""
    for size, mark in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{mark}"
    return f"{value:g}"
