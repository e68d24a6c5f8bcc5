"""Learning curves of all of the arms' runs."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from audioid.comparison.curves import mean_curve, read_curves
from audioid.comparison.figures.style import colour, legend_below, new, short
from audioid.comparison.statistics import Values
from audioid.comparison.study import Study

MOST_ARMS = 6
MOST_LINES = 60  # of more, lines are kept as a picture, so that the file stays small


def curves(study: Study) -> Figure | None:
    """Accuracy and loss by epoch: runs thin, the arm's mean over them with one standard deviation; None without any."""
    found: dict[str, list[dict[str, Values]]] = {}
    for each in study.comparisons[0].summaries[:MOST_ARMS]:
        read = [curve for run in each.arm.runs if (curve := read_curves(run))]
        if read:
            found[each.arm.name] = read
    if not found:
        return None
    figure = new(5.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for place, (name, read) in enumerate(found.items()):
        _draw(upper, read, "accuracy", 100.0, place, name)
        _draw(lower, read, "loss", 1.0, place, name)
    upper.set_ylabel("accuracy / %")
    lower.set_ylabel("loss / nats")
    lower.set_xlabel("epoch")
    lower.set_ylim(bottom=0)
    lower.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for axes in (upper, lower):
        axes.grid()
    legend_below(figure, upper)
    return figure


def _draw(axes: Axes, runs: list[dict[str, Values]], what: str, scale: float, place: int, name: str) -> None:
    for part, words, line in (("val", "validation", "-"), ("train", "training", "--")):
        lines = [scale * run[f"{part}_{what}"] for run in runs]
        lines = [each for each in lines if np.isfinite(each).any()]
        if not lines:
            continue
        for each in lines:
            axes.plot(
                np.arange(1, len(each) + 1), each, line, color=colour(place), linewidth=0.5, alpha=0.25,
                rasterized=len(lines) > MOST_LINES,
            )  # fmt: skip
        mean, spread = mean_curve(lines)
        epochs = np.arange(1, len(mean) + 1)
        axes.plot(epochs, mean, line, color=colour(place), linewidth=1.8, label=f"{short(name)}, {words}")
        if part == "val":
            axes.fill_between(epochs, mean - spread, mean + spread, color=colour(place), alpha=0.15, linewidth=0)
