"""How long the clips of a corpus are: as its recordings sound, not as somebody guessed."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from audioid.data.audio import HOP_SECONDS, LEAD, hop_power, onset, open_recording

ENERGY = 0.95  # of a recording's energy lie in its sounding seconds
RECORDINGS = 0.9  # of all recordings sound no longer than their clips
# Shorter clips have no room for the lowest rows of a picture, in longer ones a column is longer than a stroke.
SHORTEST, LONGEST = 0.25, 4.0  # seconds
STEPS = 2  # lengths an octave: folds of one corpus shall mostly agree, and share what the store keeps


def sounding_seconds(path: Path, *, start: str) -> float:
    """Seconds until 95 % of a recording's energy are over, counted from where its clip starts.

    That is the end of the silence before it or, for every `start` of `audioid.data.audio.load` but the beginning, its
    onset.

    Raises:
        Unreadable: as `load`.
    """
    with open_recording(path) as file:
        hop, power = hop_power(file)
        first = int(np.argmax(power > LEAD**2 * power.max(initial=0))) if start == "beginning" else onset(power)
        passed = np.cumsum(power[first:])
        hops = 1 + int(np.searchsorted(passed, ENERGY * passed[-1])) if passed.size else 1
        return hops * hop / file.samplerate


def clip_seconds(sounding: ArrayLike) -> float:
    """The length of clips in seconds for recordings that sound so long, `(recordings,)`: nine of ten fit in.

    One of a few lengths, each the root of two times the one before.
    """
    wanted = max(float(np.quantile(np.asarray(sounding, np.float64), RECORDINGS)), HOP_SECONDS)
    rounded_up = 2 ** (math.ceil(STEPS * math.log2(wanted)) / STEPS)
    return round(min(max(rounded_up, SHORTEST), LONGEST), 3)
