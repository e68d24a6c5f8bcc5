"""What TensorBoard shows of a run beside its curves."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from audioid.pipeline.colours import colour_scale

mpl.use("Agg")

Values = NDArray[np.floating]

LARGEST_SIDE = 42.0  # inches, for a hundred classes; with more the names run together


def draw_image(axes: Axes, image: Values, times: Values, row_values: Values, row_label: str) -> None:
    """An image `(rows, time)` with ticks at round values of its rows and at round seconds; row 0 is at the bottom."""
    axes.imshow(image, origin="lower", aspect="auto", interpolation="nearest", **colour_scale(image, row_label))
    for axis, values in ((axes.xaxis, times), (axes.yaxis, row_values)):
        axis.set_ticks(*round_ticks(values))
    axes.set_xlabel("time / s")
    axes.set_ylabel(row_label)


def round_ticks(values: Values) -> tuple[list[float], list[str]]:
    """Places between the rows, or columns, of these rising `values` where a round value lies, and its text.

    Even steps where the values rise evenly; else 1, 2 and 5 times powers of ten, the rounder first, none within a
    fourteenth of the axis of another.
    """
    first, last = values[0], values[-1]
    even = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(first, last)
    if np.allclose(np.diff(values, 2), 0, atol=1e-6 * np.ptp(values)):
        found = (even - first) / (values[1] - first)
        is_drawn = (found > -0.501) & (found < len(values) - 0.499)  # to half a row beyond the outer centres
        ticks, places = even[is_drawn].tolist(), found[is_drawn].tolist()
    else:
        powers = 10.0 ** np.arange(np.floor(np.log10(max(first, 1e-3))), np.ceil(np.log10(last)) + 1)
        rounder_first = [factor * power for factor in (1, 5, 2) for power in powers]
        slack = 1e-9 * last
        inside = [value for value in rounder_first if first - slack <= value <= last + slack]
        ticks, places = [], []
        for value in inside if len(inside) > 2 else even[(even >= first) & (even <= last)]:
            place = float(np.interp(value, values, np.arange(len(values))))
            if all(abs(place - other) >= len(values) / 14 for other in places):
                ticks.append(value)
                places.append(place)
    return places, [f"{tick / 1000:g}k" if tick >= 1000 else f"{round(tick, 9):g}" for tick in ticks]


def examples(
    images: Values,
    names: Sequence[str],
    times: Values,
    row_values: Values,
    row_label: str,
    channel_names: Sequence[str],
) -> Figure:
    """The images `(names, channels, rows, time)` side by side, the channels of each beside one another."""
    channels = len(channel_names)
    columns = max(1, min(5, len(names)) // channels)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.2 * columns * channels, 2.8 * rows), layout="constrained")
    titles = [f"{name} {channel}".strip() for name in names for channel in channel_names]
    for place, (image, title) in enumerate(zip(images.reshape(-1, *images.shape[2:]), titles, strict=True)):
        axes = figure.add_subplot(rows, columns * channels, place + 1)
        draw_image(axes, image, times, row_values, row_label)
        axes.set_title(title, fontsize=10)
    return figure


def confusion(counts: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """The confusion matrix `(label, predicted)` and, beside its rows, the accuracy of each class in percent.

    Counts are coloured by their share of the label's recordings.
    """
    totals = counts.sum(axis=1)
    shares = counts / totals[:, None].clip(min=1)
    side = min(max(4.0, 0.42 * len(names) + 2), LARGEST_SIDE)
    # Every run of a sweep draws this: what takes its time are texts, the layout and the pixels.
    figure = Figure(figsize=(side + 2.2, side), dpi=80, layout="constrained")
    matrix, bars = figure.subplots(1, 2, width_ratios=[4, 1])
    matrix.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    if len(names) <= 40:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.6 else "black"
            text = matrix.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=9)
            text.set(color=colour, in_layout=False)
    matrix.set_xticks(range(len(names)), names, rotation=90)
    matrix.set_yticks(range(len(names)), [f"{name} ({total})" for name, total in zip(names, totals, strict=True)])
    matrix.set_xlabel("predicted")
    matrix.set_ylabel("label (test recordings)")
    bars.barh(range(len(names)), 100 * shares.diagonal(), color="tab:blue")
    bars.set_yticks([])
    bars.set_ylim(matrix.get_ylim())
    bars.set_xlim(0, 100)
    bars.set_xlabel("test accuracy / %")
    return figure
