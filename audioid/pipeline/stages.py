"""The two stages that the store keeps: waveforms of recordings, and images of waveforms."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audioid import transforms
from audioid.code_version import code_version, sources_version
from audioid.data import audio as decoding
from audioid.data import clip_length
from audioid.data.audio import Unreadable, load
from audioid.data.index import Index
from audioid.data.store import Row, Stage, Store, StoredRows, shard_of

DECODED_AT_ONCE = 256  # recordings in memory until they are written
TRANSFORMED_AT_ONCE = 64


def waveforms(index: Index, store: Store, *, audio: Mapping[str, Any], shards: int) -> StoredRows:
    """The index's recordings, float32 `(time,)` each, decoded as the arguments `audio` of `load` say.

    What cannot be decoded after all is in `failed` of the result.
    """
    paths = [index.root / path for path in index.table["path"]]

    def decoded(number: int) -> Row | str:
        try:
            return load(paths[number], **audio)
        except Unreadable as error:
            return error.reason

    def compute(numbers: NDArray[np.intp]) -> Iterator[Row | str]:
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(numbers), DECODED_AT_ONCE):
                yield from pool.map(decoded, numbers[start : start + DECODED_AT_ONCE])

    version = sources_version([decoding], decoding.DECODERS)
    stage = Stage("waveforms", version, audio, (round(audio["sample_rate"] * audio["seconds"]),))
    return store.rows(stage, list(index.table["checksum"]), compute, shards=shards)


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
