"""What TensorBoard shows of a run beside its curves."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

mpl.use("Agg")

Image = NDArray[np.float32]


def draw_image(axes: Axes, image: Image, times: NDArray[np.float64], frequencies: NDArray[np.float64]) -> None:
    """An image `(frequency, time)` with its axes in seconds and hertz; row 0 is the lowest frequency."""
    signed = image.min() < 0
    axes.imshow(image, origin="lower", aspect="auto", cmap="RdBu_r" if signed else "magma", interpolation="nearest")
    for axis, values, text in ((axes.xaxis, times, "{:.2f}"), (axes.yaxis, frequencies, "{:.0f}")):
        ticks = np.linspace(0, len(values) - 1, 5).round().astype(int)
        axis.set_ticks(ticks, [text.format(values[tick]) for tick in ticks])
    axes.set_xlabel("time / s")
    axes.set_ylabel("frequency / Hz")


def examples(
    images: Image, names: Sequence[str], times: NDArray[np.float64], frequencies: NDArray[np.float64]
) -> Figure:
    """The images `(names, frequency, time)`, side by side."""
    columns = min(5, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.8 * rows), layout="constrained")
    for place, (image, name) in enumerate(zip(images, names, strict=True)):
        axes = figure.add_subplot(rows, columns, place + 1)
        draw_image(axes, image, times, frequencies)
        axes.set_title(name, fontsize=10)
    return figure


def confusion(counts: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """The confusion matrix `(label, predicted)`: counts, coloured by their share of the label's recordings."""
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    side = max(4.0, 0.45 * len(names) + 2)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if len(names) <= 40:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    return figure


def class_accuracy(counts: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """For each label the share of its test recordings that were named rightly, and how many there were."""
    totals = counts.sum(axis=1)
    shares = counts.diagonal() / totals.clip(min=1)
    figure = Figure(figsize=(6, max(2.5, 0.3 * len(names) + 1)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(names)), 100 * shares, color="tab:blue")
    axes.set_yticks(range(len(names)), [f"{name} ({total})" for name, total in zip(names, totals, strict=True)])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("test accuracy / %")
    return figure
