"""What TensorBoard shows of a run beside its curves."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from audioid.pipeline.axes import Values, draw_image

mpl.use("Agg")

LARGEST_SIDE = 42.0  # inches, for a hundred classes; with more the names run together


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
        axes.set_title(title, fontsize=10, parse_math=False)
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
    matrix.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
    labels = [f"{name} ({total})" for name, total in zip(names, totals, strict=True)]
    matrix.set_yticks(range(len(names)), labels, parse_math=False)
    matrix.set_xlabel("predicted")
    matrix.set_ylabel("label (test recordings)")
    bars.barh(range(len(names)), 100 * shares.diagonal(), color="tab:blue")
    bars.set_yticks([])
    bars.set_ylim(matrix.get_ylim())
    bars.set_xlim(0, 100)
    bars.set_xlabel("test accuracy / %")
    return figure
