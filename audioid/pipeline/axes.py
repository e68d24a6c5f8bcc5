"""Pictures of sound with their axes: seconds, and hertz where rows are frequencies."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from audioid.pipeline.colours import colour_scale

Values = NDArray[np.floating]


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
