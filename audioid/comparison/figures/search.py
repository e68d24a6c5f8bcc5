"""Figures of a search."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from audioid.comparison.figures.style import STYLE, colour, legend_below, marker, name_rows, new, short
from audioid.comparison.searches import SearchRecord
from audioid.comparison.words import judged_by

MOST_KEYS = 30


def search_figures(search: SearchRecord, arms: Sequence[str]) -> dict[str, Figure]:
    """By name, of those of its arms: `history` and `importance`, each where there is one to show."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        found = {"history": _history(search, arms), "importance": _importance(search, arms)}
    return {name: figure for name, figure in found.items() if figure is not None}


def _history(search: SearchRecord, arms: Sequence[str]) -> Figure | None:
    """Each trial that came to its end, those given up hollow at what they had reached, and the best so far."""
    if not any(search.transforms[arm].history for arm in arms):  # as in older records
        return None
    figure = new(3.2)
    axes = figure.add_subplot()
    best = np.fmin if search.judged_by == "val_loss" else np.fmax
    for place, arm in enumerate(arms):
        found = search.transforms[arm].history
        numbers = np.arange(len(found))
        values = np.array([np.nan if trial.value is None else trial.value for trial in found])
        ended = np.array([trial.state == "complete" for trial in found], dtype=bool)
        look: dict[str, Any] = {"color": colour(place), "marker": marker(place), "linestyle": "", "markersize": 4}
        axes.plot(numbers[ended], values[ended], label=arm, **look)
        axes.plot(numbers[~ended], values[~ended], fillstyle="none", **look)
        so_far = best.accumulate(np.where(ended, values, np.nan))
        axes.plot(numbers, so_far, drawstyle="steps-post", color=colour(place), linewidth=1)
    axes.set_xlabel("trial (hollow: given up or diverged; line: best so far)")
    axes.set_ylabel(judged_by(search))
    legend_below(figure, axes)
    return figure


def _importance(search: SearchRecord, arms: Sequence[str]) -> Figure | None:
    importances = {arm: found for arm in arms if (found := search.transforms[arm].importances)}
    if not importances:
        return None
    keys = sorted(
        {key for found in importances.values() for key in found},
        key=lambda key: -max(found.get(key, 0.0) for found in importances.values()),
    )[:MOST_KEYS]
    figure = new(1.0 + 0.32 * len(keys))
    axes = figure.add_subplot()
    height = 0.8 / len(importances)
    for place, (arm, found) in enumerate(importances.items()):
        rows = [row + (place - (len(importances) - 1) / 2) * height for row, key in enumerate(keys) if key in found]
        shares = [100 * found[key] for key in keys if key in found]
        axes.barh(rows, shares, height, color=colour(list(arms).index(arm)), label=arm)
    name_rows(axes, [short(key) for key in keys])
    axes.set_xlabel("share of the variance between trials / %")
    legend_below(figure, axes)
    return figure
