"""Clips of recordings: one of each, or of long ones several, one after another."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audioid.data.audio import Source, Waveform, count_frames, decode, levelled, open_recording, padded

Numbers = NDArray[np.intp]
Windows = int | Literal["all"]

SILENT = 0.01  # of the loudest clip's level, 40 dB below: pauses, and what has died away


def load_clips(
    source: Source,
    *,
    sample_rate: int,
    seconds: float,
    windows: Windows = 1,
    start: str,
    padding: str,
    remove_dc: bool,
    level: str,
) -> list[Waveform | None]:
    """The clips of one recording, a file or a waveform, as `load` makes them: float32
    `(time,)`, where `time = round(sample_rate * seconds)`.

    There are `count_clips` of them, of the part of the recording that `start` says. None stands for what is silent
    beside the loudest of them.

    Raises:
        Unreadable: as `load`.
    """
    time, count = round(sample_rate * seconds), 1
    if windows != 1:
        with open_recording(source) as file:
            count = count_clips(count_frames(file) / file.samplerate, seconds=seconds, windows=windows)
    wave = decode(source, sample_rate=sample_rate, time=count * time, start=start)
    parts = [wave[number * time : (number + 1) * time] for number in range(count)]
    levels = [float(part.std(dtype=np.float64)) if part.size else 0.0 for part in parts]
    return [
        None if own < SILENT * max(levels) else padded(levelled(part, remove_dc=remove_dc, level=level), time, padding)
        for part, own in zip(parts, levels, strict=True)
    ]


def count_clips(duration: float, *, seconds: float, windows: Windows) -> int:
    """How many clips of `seconds` a recording of that `duration` has, at most `windows`, at least one.

    As many as it is long, rounded: what is left over at its end, if at least half a clip, is filled up as short
    recordings are.
    """
    fitting = max(1, math.floor(duration / seconds + 0.5))
    return fitting if windows == "all" else min(windows, fitting)


@dataclass(frozen=True)
class Clips:
    """Which rows of clips, stored one after another, belong to which recording: `counts` of each, `(recordings,)`."""

    counts: Numbers

    @classmethod
    def of(cls, durations: Iterable[float], *, seconds: float, windows: Windows) -> "Clips":
        """Those of recordings that are so many seconds long."""
        found = [count_clips(duration, seconds=seconds, windows=windows) for duration in durations]
        return cls(np.array(found, dtype=np.intp))

    @cached_property
    def first(self) -> Numbers:
        """The row of each recording's first clip."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def owners(self) -> Numbers:
        """The number of the recording that each row is of, `(rows,)`."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def rows(self, recordings: Numbers) -> Numbers:
        """All clips of these recordings, in this order."""
        chosen = Clips(self.counts[recordings])
        return np.arange(len(chosen.owners)) + np.repeat(self.first[recordings] - chosen.first, chosen.counts)
