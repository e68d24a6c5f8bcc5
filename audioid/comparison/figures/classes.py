"""What each class, and each pair of classes, makes of the difference."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audioid.comparison.analysis import Analysis
from audioid.comparison.decisions import CONFIDENCE
from audioid.comparison.figures.style import DIM, WIDTH, colour, legend_below, marker, minus, name_rows, new, short
from audioid.comparison.statistics import Values

FEWEST_IN_BIN = 10  # predictions, for a point of the reliability curve
MOST_CLASSES = 100  # that are drawn: of a thousand a figure would take more memory than there is
MOST_COUNTED = 20  # classes whose counts are written into the cells


def classes(analysis: Analysis) -> Figure:
    """Accuracy of each arm by class, and beside it the pair's difference with its interval, the largest first.

    Of many classes those at both ends, where the arms differ most.
    """
    shown = sorted(analysis.by_class, key=lambda each: -each.difference.mean if each.difference else 0.0)
    if len(shown) > MOST_CLASSES:
        shown = shown[: MOST_CLASSES // 2] + shown[-MOST_CLASSES // 2 :]
    figure = new(1.3 + 0.3 * max(len(shown), 2))
    names = [f"{short(each.name)} ({each.recordings})" for each in shown]
    has_differences = any(each.difference for each in shown)
    left, *right = figure.subplots(1, 2 if has_differences else 1, sharey=True, squeeze=False)[0]
    for place, arm in enumerate(analysis.confusions):
        values = [100 * each.accuracy[arm] for each in shown]
        rows = np.arange(len(shown)) + 0.24 * (place - (len(analysis.confusions) - 1) / 2)
        left.plot(values, rows, marker(place), color=colour(place), markersize=5, label=short(arm))
    left.grid(axis="x")
    left.set_xlabel("accuracy / %")
    name_rows(left, names)
    for axes in right:
        axes.axvline(0, color=DIM, linewidth=0.8)
        for row, each in enumerate(shown):
            if each.difference:
                interval = 100 * np.array(each.difference.interval(CONFIDENCE))
                axes.plot(interval, [row] * 2, color="k", linewidth=1.2)
                axes.plot([100 * each.difference.mean], [row], "D", color="k", markersize=4)
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -105), min(high, 105))
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        first, second = analysis.pair or ("", "")
        axes.set_xlabel(f"{minus(first, second)} / points", parse_math=False)
    legend_below(figure, left)
    return figure


def confusion(analysis: Analysis) -> Figure:
    """Of the pair's arms how each label's recordings are named, in percent of the label, and the difference of both.

    Of many classes those that are most often confused.
    """
    arms = list(analysis.pair or list(analysis.confusions)[:1])
    shares = [_shares(analysis.confusions[arm]) for arm in arms]
    wrong = sum(each.sum(axis=0) + each.sum(axis=1) - 2 * each.diagonal() for each in shares)
    chosen = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    shares = [each[np.ix_(chosen, chosen)] for each in shares]
    names = [short(analysis.classes[place]) for place in chosen]
    n_classes = len(names)
    beside = n_classes <= 4 and max(len(arm) for arm in arms) <= 10
    panels = len(arms) + (len(arms) == 2)
    side = WIDTH / 3 if beside else max(min(WIDTH - 1.4, 0.45 * n_classes), 0.115 * n_classes)
    width = WIDTH if beside else side + 1.4
    figure = new(side + 0.9 if beside else panels * (side + 0.55) + 0.6, max(width, WIDTH))
    grid = figure.subplots(*((1, panels) if beside else (panels, 1)), sharex=True, sharey=True, squeeze=False).ravel()
    for axes, share, arm in zip(grid, shares, arms, strict=False):
        _matrix(axes, share, names, short(arm), ("Blues", 0.0, 100.0), signed=False)
    if len(arms) == 2:
        apart = shares[0] - shares[1]
        reach = max(float(np.abs(apart).max()), 1.0)
        _matrix(grid[-1], apart, names, minus(*arms), ("PuOr", -reach, reach), signed=True)
    grid[0].set_ylabel("label")
    for axes in grid if beside else grid[-1:]:
        axes.set_xlabel("named")
    return figure


def _shares(counts: Values) -> Values:
    shares: Values = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    return shares


def _matrix(
    axes: Axes, values: Values, names: list[str], title: str, colours: tuple[str, float, float], *, signed: bool
) -> None:
    cmap, low, high = colours
    axes.imshow(values, cmap=cmap, vmin=low, vmax=high)
    n_classes = len(names)
    size = float(np.clip(110 / n_classes, 4.5, 8))
    if n_classes <= MOST_COUNTED:
        for (row, column), value in np.ndenumerate(values):
            if abs(value) >= 0.5:
                text = f"{value:+.0f}".replace("-", "\N{MINUS SIGN}") if signed else f"{value:.0f}"
                ink = "w" if abs(value) > 0.6 * high else "k"
                axes.text(column, row, text, ha="center", va="center", fontsize=min(size, 7), color=ink)
    axes.set_title(title, parse_math=False)
    axes.set_xticks(
        range(n_classes), names, rotation=0 if len(max(names, key=len)) < 4 else 90, fontsize=size, parse_math=False
    )
    name_rows(axes, names, size)
    axes.tick_params(length=0, labelbottom=True)
    for edge in axes.spines.values():
        edge.set_visible(False)


def calibration(analysis: Analysis) -> Figure:
    """Accuracy against confidence of each arm, where enough predictions have it, and how often each was had."""
    figure = new(4.8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 100], [0, 100], color=DIM, linewidth=0.8, linestyle=":")
    for place, (arm, found) in enumerate(analysis.calibrations.items()):
        shown = found.counts >= FEWEST_IN_BIN
        x, y = 100 * found.confidence[shown], 100 * found.accuracy[shown]
        name = f"{short(arm)}: error {100 * found.error:.1f} points, Brier score {found.brier:.3f}"
        upper.plot(x, y, f"-{marker(place)}", color=colour(place), markersize=5, linewidth=1, label=name)
        edges = np.linspace(0, 100, len(found.counts) + 1)
        lower.stairs(100 * found.counts / found.counts.sum(), edges, color=colour(place), linewidth=1.5)
    upper.set_ylabel("rightly named / %")
    lower.set_ylabel("share / %")
    lower.set_xlabel("confidence / %")
    for axes in (upper, lower):
        axes.grid()
    legend_below(figure, upper, columns=1)
    return figure
