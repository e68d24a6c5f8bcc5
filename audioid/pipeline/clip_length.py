"""`audio.seconds=auto` as a number: what the recordings to learn from ask for, the same for every picture of them."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from audioid.data.clip_length import clip_seconds
from audioid.data.corpus import parts_of
from audioid.data.index import Index
from audioid.data.store import Store
from audioid.data.walk import Skipped
from audioid.errors import AudioidError
from audioid.pipeline import stages
from audioid.schema import Settings


def with_clip_length(settings: Settings, index: Index, store: Store) -> tuple[Settings, list[Skipped]]:
    """The settings with the length that `clip_seconds` finds for the training part of the index, and `(path, reason)`
    of each recording that breaks off somewhere: a run has to do without it too, or it would draw other parts.

    Of all recordings, where they cannot be parted as asked for: then nothing is trained, and they are only looked at.

    Raises:
        AudioidError: no recording can be read.
    """
    found = stages.sounding(index, store, start=settings.audio.start, shards=settings.store.shards)
    is_lost = index.table["checksum"].isin(found.failed).to_numpy()
    lost = [(path, found.failed[checksum]) for path, checksum in index.table.loc[is_lost, ["path", "checksum"]].values]
    readable = index.without(lost)
    sounding = found[np.flatnonzero(~is_lost)][:, 0]
    with suppress(AudioidError):
        sounding = sounding[parts_of(readable, settings.split, Path(settings.store.root).expanduser()).train]
    audio = settings.audio.model_copy(update={"seconds": clip_seconds(sounding)})
    return settings.model_copy(update={"audio": audio}), lost
