"""What a run learns from and is judged by: recordings, their split, waveforms and images."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from audioid.data.corpus import read_corpus
from audioid.data.index import Index
from audioid.data.split import Split, split
from audioid.data.store import Rows, Store
from audioid.errors import AudioidError
from audioid.schema import Settings
from audioid.training import prepare


@dataclass(frozen=True)
class Material:
    """Rows of the index, of the waveforms and of the images correspond; the split names them by number."""

    index: Index
    split: Split
    waveforms: Rows
    images: Rows


@dataclass
class Stopwatch:
    """Seconds that each stage took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - started, 3)


def gather(settings: Settings, watch: Stopwatch, *, device: str) -> Material:
    """Index, waveforms, split and images as the settings say, from the store where it has them.

    Raises:
        AudioidError: there is nothing to learn from, or the recordings do not allow this split.
    """
    cache = Path(settings.store.root).expanduser()
    store = Store(cache, max_bytes=int(settings.store.max_gib * 2**30))
    shards = settings.store.shards
    with watch("index"):
        index = read_corpus(settings.data, cache)
    with watch("decode"):
        waveforms = prepare.waveforms(index, store, audio=asdict(settings.audio), shards=shards)
        checksums, paths = index.table["checksum"], index.table["path"]
        unreadable = [
            (path, waveforms.failed[checksum])
            for path, checksum in zip(paths, checksums, strict=True)
            if checksum in waveforms.failed
        ]
        if unreadable and settings.data.on_unreadable == "fail":
            path, reason = unreadable[0]
            raise AudioidError(f"{index.root / path}: {reason}; mend or remove it, or set data.on_unreadable=skip")
        usable = np.flatnonzero(~checksums.isin(waveforms.failed))
        index = index.without(unreadable)
    parts = split(
        index.targets,
        classes=index.classes,
        groups=index.groups,
        official_split=index.table["split"],
        official_fold=index.table["fold"],
        name=settings.split.name,
        test_fraction=settings.split.test_fraction,
        val_fraction=settings.split.val_fraction,
        folds=settings.split.folds,
        fold=settings.split.fold,
        seed=settings.split.seed,
    )
    with watch("transform"):
        images = prepare.images(
            waveforms,
            store,
            transform=asdict(settings.transform),
            image=asdict(settings.image),
            shards=shards,
            device=device,
        )
    return Material(index, parts, waveforms.only(usable), images.only(usable))
