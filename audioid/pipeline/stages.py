"""The two stages that the store keeps: waveforms of recordings, and images of waveforms."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from itertools import chain, groupby, islice, repeat
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audioid import transforms
from audioid.code_version import code_version, sources_version
from audioid.data import audio as decoding
from audioid.data import clip_length
from audioid.data import clips as clipping
from audioid.data.audio import Unreadable
from audioid.data.clips import Clips, load_clips
from audioid.data.index import Index
from audioid.data.store import Row, Stage, Store, StoredRows, shard_of

DECODED_AT_ONCE = 256  # clips in memory until they are written, of at least one recording
TRANSFORMED_AT_ONCE = 64
QUIET = "is silent beside the rest of its recording"


def waveforms(index: Index, store: Store, *, audio: Mapping[str, Any], shards: int) -> StoredRows:
    """The clips of the index's recordings, float32 `(time,)` each, as the arguments `audio` of `load_clips` say.

    They come as `clips_of` counts them. What cannot be decoded after all, or is silent, is in `failed` of the
    result. The first clip of a recording has its checksum, any other that and its number.
    """
    paths, clips = [index.root / path for path in index.table["path"]], clips_of(index.table["seconds"], audio)

    def decoded(number: int) -> Sequence[Row | str]:
        try:
            found = load_clips(paths[number], **audio)
        except Unreadable as error:
            return [error.reason] * int(clips.counts[number])
        # As many as were counted, even if the file has changed since.
        every = islice(chain(found, repeat(None)), int(clips.counts[number]))
        return [QUIET if clip is None else clip for clip in every]

    def compute(numbers: NDArray[np.intp]) -> Iterator[Row | str]:
        # The store asks in the order of checksums, so for all clips of a recording together.
        recordings, first = clips.owners[numbers], clips.first
        asked = [(owner, list(some)) for owner, some in groupby(range(len(numbers)), recordings.__getitem__)]
        at_once = max(1, DECODED_AT_ONCE // int(clips.counts.max(initial=1)))
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(asked), at_once):
                some = asked[start : start + at_once]
                found = pool.map(decoded, [owner for owner, _ in some])
                for (owner, places), made in zip(some, found, strict=True):
                    yield from (made[numbers[place] - first[owner]] for place in places)

    version = sources_version([clipping, decoding], decoding.DECODERS)
    stage = Stage("waveforms", version, audio, (round(audio["sample_rate"] * audio["seconds"]),))
    which = np.arange(len(clips.owners)) - clips.first[clips.owners]
    checksums = index.table["checksum"].to_numpy()[clips.owners]
    names = [f"{checksum}.{number}" if number else checksum for checksum, number in zip(checksums, which, strict=True)]
    return store.rows(stage, names, compute, shards=shards)


def clips_of(durations: Iterable[float], audio: Mapping[str, Any]) -> Clips:
    """Which clips recordings have that are so many seconds long."""
    return Clips.of(durations, seconds=audio["seconds"], windows=audio["windows"])


def sounding(index: Index, store: Store, *, start: str, shards: int) -> StoredRows:
    """For each of the index's recordings its `sounding_seconds`, `(1,)`; `failed` as in `waveforms`."""

    def measured(number: np.intp) -> Row | str:
        try:
            return np.array([clip_length.sounding_seconds(paths[number], start=start)], np.float32)
        except Unreadable as error:
            return error.reason

    def compute(numbers: NDArray[np.intp]) -> Iterator[Row | str]:
        with ThreadPoolExecutor() as pool:
            yield from pool.map(measured, numbers)

    paths = [index.root / path for path in index.table["path"]]
    stage = Stage("sounding", sources_version([clip_length, decoding], decoding.DECODERS), {"start": start}, (1,))
    return store.rows(stage, list(index.table["checksum"]), compute, shards=shards)


def images(
    waveforms: StoredRows,
    store: Store,
    *,
    transform: Mapping[str, Any],
    image: Mapping[str, Any],
    shards: int,
    device: str,
) -> StoredRows:
    """The images of these waveforms, float32 `(channels, size, size)` each, computed on `device`.

    Raises AudioidError as `transforms.build`.
    """
    image = {key: value for key, value in image.items() if key != "standardize"}  # the network's, not the image's
    sound = waveforms.stage

    @cache
    def picture() -> torch.nn.Module:
        n_samples = sound.shape[0]
        made = transforms.build(transform, image, sample_rate=sound.settings["sample_rate"], n_samples=n_samples)
        return made.to(device)

    def compute(numbers: NDArray[np.intp]) -> Iterator[Row | str]:
        for start in range(0, len(numbers), TRANSFORMED_AT_ONCE):
            some = numbers[start : start + TRANSFORMED_AT_ONCE]
            reasons = [waveforms.failed.get(waveforms.checksums[number]) for number in some]
            good = some[[reason is None for reason in reasons]]
            with torch.inference_mode():
                made = iter(picture()(torch.from_numpy(waveforms[good]).to(device)).cpu().numpy() if len(good) else [])
            yield from (next(made) if reason is None else reason for reason in reasons)

    maker = transforms.transform_class(transform["name"])
    settings = {"waveforms": asdict(sound), "transform": dict(transform), "image": image}
    shape = (maker.channels, image["size"], image["size"])
    stage = Stage(f"images-{transform['name']}", code_version(maker.__module__), settings, shape)
    return store.rows(stage, waveforms.checksums, compute, shards=shards)


def only_shard(index: Index, shard: int, shards: int) -> Index:
    """The index of those recordings alone that the store keeps in this shard."""
    here = [shard_of(checksum, shards) == shard for checksum in index.table["checksum"]]
    return replace(index, table=index.table[here].reset_index(drop=True))
