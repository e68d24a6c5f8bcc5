"""What the page draws, as SVG in the text of the page: lines and words have the colour of the text around them."""

import html
import io
import warnings

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audioid.comparison.figures.style import STYLE, new
from audioid.data.audio import Waveform
from audioid.identification.explanation import Explanation
from audioid.identification.page.uploads import sendable
from audioid.pipeline.axes import Values, draw_image
from audioid.transforms.image import TimeFrequencyTransform

WIDTH, HEIGHT = 4.0, 2.7  # inches
INK = "#010203"  # a colour that nothing has, in place of that of the text
VEIL = (0.5, 0.5, 0.5)
SOUND = "#3b82f6"
TEXTS = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
LOOK = STYLE | dict.fromkeys(TEXTS, INK)


def svg(figure: Figure, told: str) -> str:
    """The figure as an element of a page, which tells those who do not see it what is `told`."""
    file = io.StringIO()
    with mpl.rc_context(LOOK), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", "Glyph ")  # a name may have what the font has not
        figure.savefig(file, format="svg", transparent=True, dpi=110, metadata={"Date": None})
    text = file.getvalue()
    return (
        text[text.index("<svg") :]
        .replace("<svg", f'<svg role="img" aria-label="{html.escape(told)}"', 1)
        .replace(INK, "currentColor")
    )


def waveform(wave: Waveform, sample_rate: int) -> str:
    """A waveform `(time,)` over seconds."""
    figure, axes = _panel("waveform")
    seconds = len(wave) / sample_rate
    # The least and largest of each bit of time: every sample would be no more to see.
    parts = np.array_split(wave, min(len(wave), 1000))
    times = (np.arange(len(parts)) + 0.5) * seconds / len(parts)
    axes.fill_between(times, [part.min() for part in parts], [part.max() for part in parts], color=SOUND, step="mid")
    largest = max(float(np.abs(wave).max(initial=0)), 1e-6)
    axes.set_xlim(0, seconds)
    axes.set_ylim(-1.05 * largest, 1.05 * largest)
    axes.set_xlabel("time / s")
    axes.set_ylabel("amplitude (full scale: 1)")
    return svg(figure, "The waveform over seconds")


def picture(made: TimeFrequencyTransform, image: Values, title: str) -> str:
    """A channel `(rows, time)` of what a network sees, with axes."""
    figure, axes = _panel(title)
    _draw(axes, made, image)
    return svg(figure, f"{title}: {made.row_label} over seconds")


def explained(made: TimeFrequencyTransform, image: Values, why: Explanation, title: str) -> str:
    """As `picture`, under a veil where nothing spoke for the name, and a line about what spoke most."""
    figure, axes = _panel(title)
    _draw(axes, made, image)
    strength = why.strength.numpy() / max(float(why.strength.max()), 1e-12)
    veil = np.empty((*strength.shape, 4))
    veil[..., :3], veil[..., 3] = VEIL, 0.85 * (1 - np.sqrt(strength))
    axes.imshow(veil, origin="lower", aspect="auto", interpolation="bilinear")
    if why.marked.any():  # else Matplotlib warns that there is no line
        axes.contour(why.marked.numpy(), levels=[0.5], colors="white", linewidths=1.2)
    return svg(figure, f"{title}: what is not veiled")


def _panel(title: str) -> tuple[Figure, Axes]:
    with mpl.rc_context(LOOK):  # type: ignore[arg-type]
        figure = new(HEIGHT, WIDTH)
        axes = figure.subplots()
        axes.set_title(sendable(title), parse_math=False)
    return figure, axes


def _draw(axes: Axes, made: TimeFrequencyTransform, image: Values) -> None:
    draw_image(axes, image, made.times.numpy(), made.row_values.numpy(), made.row_label)
