"""A long recording to see: its spectrogram with the names over it."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audioid.comparison.figures.style import STYLE, colour, name_rows, new, saved, short
from audioid.data.audio import Unreadable
from audioid.data.stream import stream
from audioid.files import replacing
from audioid.identification.onsets import band_edges
from audioid.identification.tails import window_length
from audioid.identification.timeline import Segment

WIDTH, HEIGHT, ROW = 9.0, 3.0, 0.22  # inches: of the figure, of the spectrogram, of each name
COLUMNS = 1000  # at least, of a recording that has so many; fewer than twice that
BANDS_PER_OCTAVE = 16
RANGE = 80.0  # decibels
MOST_EDGES = 100  # segments


def write_picture(file: Path, path: Path, segments: Sequence[Segment], *, sample_rate: int) -> None:
    """Writes a PNG of the recording at `path`, as far as it can be read, at that sample rate.

    Raises:
        AudioidError: the file cannot be written.
    """
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        content = saved(draw(path, segments, sample_rate=sample_rate), "png")
    with replacing(file) as part:
        part.write_bytes(content)


def draw(path: Path, segments: Sequence[Segment], *, sample_rate: int) -> Figure:
    """The spectrogram in hertz over seconds, and above it a row for each name in which its segments are."""
    power, times, edges = spectrogram(path, sample_rate=sample_rate)
    names = sorted({segment.label for segment in segments})
    rows = max(1, len(names))
    figure = new(HEIGHT + ROW * rows, WIDTH)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[ROW * rows, HEIGHT])
    for row, name in enumerate(names):
        spans = [(each.start, each.end - each.start) for each in segments if each.label == name]
        # White between hits that follow one another; of many it would be all that is seen.
        edge = 0.3 if len(segments) <= MOST_EDGES else 0
        upper.broken_barh(spans, (row - 0.4, 0.8), color=colour(row), edgecolor="white", linewidth=edge)
    name_rows(upper, [short(name) for name in names] or [""])
    upper.set_title(short(path.name), parse_math=False)
    upper.tick_params(axis="x", bottom=False, labelbottom=False)
    upper.spines[["left", "bottom"]].set_visible(False)
    level = 10 * np.log10(np.maximum(power, power.max(initial=1e-12) * 10 ** (-RANGE / 10)))
    lower.pcolormesh(times, edges, level, cmap="magma", rasterized=True)
    lower.set_yscale("log")
    lower.yaxis.set_major_formatter(ScalarFormatter())
    lower.set_ylim(edges[0], edges[-1])
    lower.set_xlim(times[0], times[-1])
    lower.set_xlabel("time / s")
    lower.set_ylabel("frequency / Hz")
    return figure


def spectrogram(
    path: Path, *, sample_rate: int
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """The largest power in each band and column `(bands, columns)`, and where columns (seconds) and bands (hertz) begin
    and the last one ends, `(columns + 1,)` and `(bands + 1,)`.

    Columns become twice as long whenever there are too many, so memory does not grow with the recording.
    """
    length = window_length(sample_rate)
    hop, window = length // 8, np.hanning(length + 1)[:-1].astype(np.float32)
    edges = band_edges(sample_rate, length, BANDS_PER_OCTAVE)
    samples = np.zeros(length // 2, np.float32)
    columns = np.zeros((0, len(edges) - 1), np.float32)
    frames_each, received = 1, 0
    waiting = columns  # frames that do not fill a column yet
    with suppress(Unreadable):  # it has been told
        for block in stream(path, sample_rate=sample_rate):
            received += len(block)
            samples = np.concatenate([samples, block])
            count = max(0, (len(samples) - length) // hop + 1)
            if not count:
                continue
            spectra = np.fft.rfft(window * sliding_window_view(samples, length)[::hop][:count], axis=1)
            samples = samples[count * hop :]
            power = np.maximum.reduceat(np.square(np.abs(spectra)), edges[:-1], axis=1).astype(np.float32)
            waiting = np.concatenate([waiting, power])
            whole = len(waiting) // frames_each
            columns = np.concatenate([columns, _pooled(waiting[: whole * frames_each], frames_each)])
            waiting = waiting[whole * frames_each :]
            while len(columns) >= 2 * COLUMNS:
                if len(columns) % 2:
                    waiting = np.concatenate([np.repeat(columns[-1:], frames_each, axis=0), waiting])
                    columns = columns[:-1]
                columns, frames_each = _pooled(columns, 2), 2 * frames_each
    if len(waiting) or not len(columns):
        last = waiting.max(axis=0, initial=0.0)
        columns = np.concatenate([columns, last[None]])
    times = np.arange(len(columns) + 1) * frames_each * hop / sample_rate
    times[-1] = max(received / sample_rate, times[-2] + 1e-3)
    return columns.T, times, edges * sample_rate / length


def _pooled(columns: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The largest of every `count` columns `(columns, bands)`."""
    return columns.reshape(-1, count, columns.shape[1]).max(axis=1)
