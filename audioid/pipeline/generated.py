"""A corpus without files: sounds that the generator makes, as rows of the index and of the store.

Sound `n` is of the kind whose turn it is, by the maker `n`.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from audioid.code_version import code_version, sources_version
from audioid.data import audio as decoding
from audioid.data.audio import Waveform, levelled
from audioid.data.index import COLUMNS, Index
from audioid.data.manifest import NO_FOLD
from audioid.data.store import Row, Stage, Store, StoredRows
from audioid.generator.generator import Generator
from audioid.generator.kinds import KINDS, TURNS
from audioid.schema import AudioSettings, GeneratedDataSettings

AT_ONCE = 1024  # sounds: some five to twenty-five of each kind


def generated_index(data: GeneratedDataSettings, audio: AudioSettings) -> Index:
    """The index of `data.count` sounds, whose kinds take turns; each has a maker of its own, which is its group.

    Paths are names without files, such as `kick/acoustic_kick_0000012.wav`.
    """
    version, numbers = _version(), range(data.count)
    kinds = [KINDS[TURNS[number % len(TURNS)]] for number in numbers]
    names = [kind.model.__name__ for kind in kinds]
    labels = names if data.label == "kind" else [kind.label for kind in kinds]
    table = pd.DataFrame(
        {
            "path": [
                f"{label}/{name}_{number:07d}.wav" for label, name, number in zip(labels, names, numbers, strict=True)
            ],
            "label": labels,
            "group": list(map(str, numbers)),
            "split": "",
            "fold": NO_FOLD,
            "seconds": audio.seconds,
            "sample_rate": audio.sample_rate,
            "channels": 1,
            "subtype": "FLOAT",
            "checksum": [_checksum(version, data.seed, number) for number in numbers],
        }
    )
    return Index(Path("generated"), table.sort_values("path", ignore_index=True)[list(COLUMNS)], has_files=False)


def generated_waveforms(
    index: Index, store: Store, *, seed: int, audio: Mapping[str, Any], shards: int, device: str
) -> StoredRows:
    """The index's sounds, float32 `(time,)` each, with the level that the arguments `audio` of `load` ask for."""
    paths = index.table["path"].tolist()

    def compute(numbers: NDArray[np.intp]) -> Iterator[Row]:
        return make_sounds([paths[number] for number in numbers], seed=seed, audio=audio, device=device)

    stage = Stage("waveforms", _version(), audio, (round(audio["sample_rate"] * audio["seconds"]),))
    return store.rows(stage, list(index.table["checksum"]), compute, shards=shards)


def make_sounds(
    paths: Sequence[str], *, seed: int, audio: Mapping[str, Any], device: str = "cpu"
) -> Iterator[Waveform]:
    """The sounds of these paths of `generated_index`, in this order.

    Raises:
        ValueError: a path has no number.
    """
    numbers = torch.tensor([int(Path(path).stem.rpartition("_")[2]) for path in paths], dtype=torch.int64)
    device = device if device == "cuda" else "cpu"  # tried on these alone
    generator = Generator(seed=seed, sample_rate=audio["sample_rate"], seconds=audio["seconds"], device=device)
    turns = torch.tensor(TURNS)
    wanted = partial(levelled, remove_dc=audio["remove_dc"], level=audio["level"])

    def some(numbers: torch.Tensor) -> list[Waveform]:
        made = generator.sounds(turns[numbers % len(TURNS)], numbers, torch.zeros_like(numbers))
        return [wanted(wave) for wave in made.cpu().numpy()]

    # A thread for each core, each with operations on one: of several on one operation most would wait.
    workers, threads = (os.cpu_count() or 1) if device == "cpu" else 1, torch.get_num_threads()
    parts = numbers.split(AT_ONCE)
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for start in range(0, len(parts), workers):
                yield from chain.from_iterable(pool.map(some, parts[start : start + workers]))
    finally:
        torch.set_num_threads(threads)


def _version() -> str:
    """Another text after any change of the code that the sounds depend on."""
    return sources_version([sys.modules[__name__], decoding], [code_version(Generator.__module__)])


def _checksum(version: str, seed: int, number: int) -> str:
    return hashlib.blake2b(f"{version} {seed} {number}".encode(), digest_size=16).hexdigest()
