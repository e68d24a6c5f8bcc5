"""A recording of any length block by block, at the wanted sample rate."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from audioid.data.audio import BLOCK_VALUES, UNKNOWN_FRAMES, Unreadable, Waveform, mono_blocks, open_recording

SECONDS = 0.5  # of a block: no more is lost where a recording breaks off


def stream(path: Path, *, sample_rate: int) -> Iterator[Waveform]:
    """Blocks of a recording, float32 `(time,)` of half a second or less, one after another.

    Together they are what decoding and resampling the whole gives, silence at its beginning included. Memory does not
    grow with the recording.

    Raises:
        Unreadable: as `audioid.data.audio.load`; of a recording that breaks off, after the last sample that can be
            read.
    """
    count, broken = 0, None
    try:
        with open_recording(path) as file:
            rate = file.samplerate
            resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
            values = min(BLOCK_VALUES, round(SECONDS * rate) * file.channels)
            for block in mono_blocks(file, UNKNOWN_FRAMES, values):
                count += len(block)
                yield resampler.resample_chunk(np.ascontiguousarray(block))
    except Unreadable as error:
        if not count:
            raise
        broken = Unreadable(path, f"cannot be read beyond {count / rate:.3f} s, since it {error.reason}")
    if not count:
        raise Unreadable(path, "breaks off before its first sample; copy it again")
    yield resampler.resample_chunk(np.empty(0, np.float32), last=True)
    if broken:
        raise broken
