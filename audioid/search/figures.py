"""Figures of a search. Loads matplotlib: to be imported where one is drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from audioid.comparison.figures.style import STYLE, colour, legend_below, marker, name_rows, new

Importances = Mapping[str, Mapping[str, float]]  # of each arm, of each key


def figures(trials: Mapping[str, Sequence[FrozenTrial]], importances: Importances, best_by: str) -> dict[str, Figure]:
    """By name: `history`, and `importance` where there is one to show. `trials` are by arm."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        found = {"history": _history(trials, best_by)}
        if importances:
            found["importance"] = _importance(importances)
    return found


def _history(trials: Mapping[str, Sequence[FrozenTrial]], best_by: str) -> Figure:
    """Each trial that came to its end, those given up hollow at what they had reached, and the best so far."""
    figure = new(3.2)
    axes = figure.add_subplot()
    best = np.fmin if best_by == "val_loss" else np.fmax
    for place, (arm, found) in enumerate(trials.items()):
        numbers = np.array([trial.number for trial in found])
        values = np.array([np.nan if trial.value is None else trial.value for trial in found])
        ended = np.array([trial.state == TrialState.COMPLETE for trial in found])
        look: dict[str, Any] = {"color": colour(place), "marker": marker(place), "linestyle": "", "markersize": 4}
        axes.plot(numbers[ended], values[ended], label=arm, **look)
        axes.plot(numbers[~ended], values[~ended], fillstyle="none", **look)
        so_far = best.accumulate(np.where(ended, values, np.nan))
        axes.plot(numbers, so_far, drawstyle="steps-post", color=colour(place), linewidth=1)
    axes.set_xlabel("trial (hollow: given up; line: best so far)")
    axes.set_ylabel("validation loss" if best_by == "val_loss" else "validation accuracy")
    legend_below(figure, axes)
    return figure


def _importance(importances: Importances) -> Figure:
    keys = sorted(
        {key for found in importances.values() for key in found},
        key=lambda key: -max(found.get(key, 0.0) for found in importances.values()),
    )
    figure = new(1.0 + 0.32 * len(keys))
    axes = figure.add_subplot()
    height = 0.8 / len(importances)
    for place, (arm, found) in enumerate(importances.items()):
        rows = [row + (place - (len(importances) - 1) / 2) * height for row, key in enumerate(keys) if key in found]
        shares = [100 * found[key] for key in keys if key in found]
        axes.barh(rows, shares, height, color=colour(place), label=arm)
    name_rows(axes, keys)
    axes.set_xlabel("share of the variance between trials / %")
    legend_below(figure, axes)
    return figure
