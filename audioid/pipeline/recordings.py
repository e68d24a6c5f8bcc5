"""What a run learns from and is judged by: recordings, their split, waveforms and images."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioid.data.clips import Clips
from audioid.data.corpus import read_corpus, split_corpus
from audioid.data.entry import disk_errors
from audioid.data.index import Index
from audioid.data.split import SplitIndices
from audioid.data.store import Store, StoredRows
from audioid.data.walk import Skipped
from audioid.errors import AudioidError
from audioid.locks import held
from audioid.pipeline import stages
from audioid.pipeline.background import background_count
from audioid.pipeline.clip_length import with_clip_length
from audioid.pipeline.generated import generated_index, generated_waveforms
from audioid.schema import GeneratedDataSettings, Settings
from audioid.transforms import transform_class


@dataclass(frozen=True)
class Recordings:
    """The readable recordings of a corpus, and how many were not.

    `stored` has a row for what cannot be used too, `usable` are those of `clips` of the readable ones. `settings` are
    those asked for, `audio.seconds` a number.
    """

    settings: Settings
    index: Index
    unreadable: int
    stored: StoredRows
    usable: NDArray[np.intp]
    clips: Clips


@dataclass(frozen=True)
class PreparedData:
    """The split names rows of the index by number; rows of the waveforms and of the images are of their `clips`.

    `settings` are as in `Recordings`.
    """

    settings: Settings
    index: Index
    clips: Clips
    split: SplitIndices
    waveforms: StoredRows
    images: StoredRows


@dataclass
class Stopwatch:
    """Seconds that each stage took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = round(time.perf_counter() - started, 3)


def prepare_data(settings: Settings, watch: Stopwatch, *, device: str) -> PreparedData:
    """Index, waveforms, split and images as the settings say, from the store where it has them.

    Raises:
        AudioidError: there is nothing to learn from, or the recordings do not allow this split.
    """
    recordings = load_waveforms(settings, watch, device=device)
    index = recordings.index
    index.refuse_lost_labels()
    # Before any image is made, since a split that is not possible is the commonest mistake.
    parts = split_corpus(index, settings.split, Path(settings.store.root).expanduser())
    images = compute_images(recordings, watch, device=device)
    waveforms = recordings.stored.only(recordings.usable)
    return PreparedData(recordings.settings, index, recordings.clips, parts, waveforms, images)


def load_waveforms(settings: Settings, watch: Stopwatch, *, device: str, shard: int | None = None) -> Recordings:
    """The corpus, or what the store keeps of it in one shard, as waveforms; `device` is where sounds are generated.

    Raises:
        AudioidError: as `read_corpus`; a recording is unreadable and `data.on_unreadable` is `fail`.
    """
    cache = Path(settings.store.root).expanduser()
    with disk_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    # Of several processes one reads all headers, and the others find them in the cache.
    with watch("index"), held(cache / "index.lock", "reads a corpus"):
        index = _read_index(settings, cache)
    unreadable = list[Skipped]()
    with watch("decode"):
        if settings.audio.seconds == "auto":
            settings, unreadable = with_clip_length(settings, index, _store(settings))
        _check_room(settings, index)
        if shard is not None:
            index = stages.only_shard(index, shard, settings.store.shards)
            here = set(index.table["path"])
            unreadable = [each for each in unreadable if each[0] in here]
        index = index.without(unreadable)
        stored = _waveforms(settings, index, device)
    clips = stages.clips_of(index.table["seconds"], settings.audio.model_dump())
    is_usable = ~np.isin(stored.checksums, list(stored.failed))
    counts = np.bincount(clips.owners[is_usable], minlength=len(index.table))
    lost = index.table.loc[counts == 0, ["path", "checksum"]]
    undecoded = [(path, stored.failed[checksum]) for path, checksum in lost.itertuples(index=False)]
    unreadable += undecoded
    if unreadable and settings.data.on_unreadable == "fail":
        path, reason = unreadable[0]
        raise AudioidError(f"{index.root / path}: {reason}; mend or remove it, or set data.on_unreadable=skip")
    usable, clips = np.flatnonzero(is_usable), Clips(counts[counts > 0])
    return Recordings(settings, index.without(undecoded), len(unreadable), stored, usable, clips)


def compute_images(recordings: Recordings, watch: Stopwatch, *, device: str) -> StoredRows:
    """The images of the readable recordings.

    Raises:
        AudioidError: the settings allow no images.
    """
    settings = recordings.settings
    with watch("transform"):
        stored = stages.images(
            recordings.stored,
            _store(settings),
            transform=settings.transform.model_dump(),
            image=settings.image.model_dump(),
            shards=settings.store.shards,
            device=device,
        )
    return stored.only(recordings.usable)


def _read_index(settings: Settings, cache: Path) -> Index:
    if isinstance(settings.data, GeneratedDataSettings):
        return generated_index(settings.data, settings.audio)
    return read_corpus(settings.data, cache)


def _waveforms(settings: Settings, index: Index, device: str) -> StoredRows:
    audio, shards = settings.audio.model_dump(), settings.store.shards
    if isinstance(settings.data, GeneratedDataSettings):
        seed = settings.data.seed
        return generated_waveforms(index, _store(settings), seed=seed, audio=audio, shards=shards, device=device)
    return stages.waveforms(index, _store(settings), audio=audio, shards=shards)


def _check_room(settings: Settings, index: Index) -> None:
    """Raises AudioidError where the store cannot hold all waveforms and images, so that some would push others out."""
    pixels = transform_class(settings.transform.name).channels * settings.image.size**2
    clips = stages.clips_of(index.table.drop_duplicates("checksum")["seconds"], settings.audio.model_dump())
    beside = 0 if isinstance(settings.data, GeneratedDataSettings) else background_count(settings.audio)
    needed = (len(clips.owners) + beside) * 4 * (settings.audio.n_samples + pixels) / 2**30
    if needed > settings.store.max_gib:
        raise AudioidError(f"store.max_gib: {settings.store.max_gib:g} is too little for {needed:.2g} GiB; raise it")


def _store(settings: Settings) -> Store:
    return Store(Path(settings.store.root).expanduser(), max_bytes=int(settings.store.max_gib * 2**30))
