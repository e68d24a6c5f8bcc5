"""Sounds without files: the index that names them and the rows that the store keeps of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import audioid
from audioid.config import compose
from audioid.data.corpus import read_corpus
from audioid.data.index import Index
from audioid.data.store import Store, StoredRows
from audioid.errors import AudioidError
from audioid.generator.generator import Generator
from audioid.generator.kinds import KINDS, TURNS
from audioid.pipeline import generated, stages
from audioid.pipeline.generated import generated_index, generated_waveforms
from audioid.schema import GeneratedDataSettings, Settings

COUNT, SEED, SHARDS = 2 * len(KINDS) + 3, 5, 3
SHORT = ["audio.sample_rate=8000", "audio.seconds=0.1", "image.f_max=3500"]


def chosen(*overrides: str) -> Settings:
    return compose(["data=generated", f"data.count={COUNT}", f"data.seed={SEED}", *SHORT, *overrides])


def index(*overrides: str) -> Index:
    settings = chosen(*overrides)
    assert isinstance(settings.data, GeneratedDataSettings)
    return generated_index(settings.data, settings.audio)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", max_bytes=10**9)


def waveforms(found: Index, store: Store, *, shards: int = SHARDS, **changes: Any) -> StoredRows:
    audio = chosen().audio.model_dump() | changes
    return generated_waveforms(found, store, seed=SEED, audio=audio, shards=shards, device="cpu")


def everything(rows: StoredRows) -> torch.Tensor:
    return torch.from_numpy(rows[np.arange(len(rows))])


# Index


def test_kinds_take_turns_and_each_sound_has_a_maker_of_its_own() -> None:
    table = index().table
    assert len(table) == COUNT
    assert table["path"].is_monotonic_increasing
    assert table["group"].nunique() == table["checksum"].nunique() == COUNT
    labels = table.set_index(table["group"].astype(int))["label"].sort_index()
    assert labels.tolist() == [KINDS[TURNS[number % len(TURNS)]].label for number in range(COUNT)]


def test_labels_are_what_a_listener_says_or_the_kinds() -> None:
    assert index().classes == sorted({kind.label for kind in KINDS})
    assert len(index("data.label=kind").classes) == len(KINDS)
    checksums = [set(index(f"data.label={label}").table["checksum"]) for label in ("label", "kind")]
    assert checksums[0] == checksums[1]  # so that both have the same waveforms and images in the store


def test_a_seed_is_a_corpus() -> None:
    assert index().digest == index().digest
    assert not set(index().table["checksum"]) & set(index("data.seed=6").table["checksum"])


# Waveforms


def test_each_row_is_its_sound(store: Store) -> None:
    found = index()
    rows = everything(waveforms(found, store, remove_dc=False))
    generator = Generator(seed=SEED, sample_rate=8000, seconds=0.1)
    for row, path, group in zip(rows, found.table["path"], found.table["group"], strict=True):
        number = torch.tensor([int(group)])
        assert KINDS[TURNS[int(group) % len(TURNS)]].model.__name__ in path
        alone = generator.sounds(torch.tensor(TURNS)[number % len(TURNS)], number, torch.zeros_like(number))[0]
        torch.testing.assert_close(row, alone, rtol=0, atol=1e-3)  # converters of few bits enlarge rounding


def test_the_level_is_that_of_recordings(store: Store) -> None:
    rows = everything(waveforms(index(), store, level="peak"))
    torch.testing.assert_close(rows.abs().amax(1), torch.ones(COUNT))
    assert rows.mean(1).abs().max() < 1e-5


def test_neither_cores_nor_what_was_made_before_change_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "AT_ONCE", 4)
    made = []
    for cores in (1, 3):
        monkeypatch.setattr(generated.os, "cpu_count", lambda cores=cores: cores)
        threads = torch.get_num_threads()
        made.append(everything(waveforms(index(), Store(tmp_path / str(cores), max_bytes=10**9))))
        assert torch.get_num_threads() == threads
    assert torch.equal(made[0], made[1])


def test_shards_filled_one_by_one_are_all_that_a_run_needs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for shard in (2, 0, 1):
        waveforms(stages.only_shard(index(), shard, SHARDS), store)
    monkeypatch.setattr(generated, "make_sounds", None)  # nothing is made
    assert everything(waveforms(index(), store)).isfinite().all()
    waveforms(index("data.label=kind"), store)


@pytest.mark.parametrize(
    ("changed", "is_other"),
    [
        ("generator/chance.py", True),
        ("generator/drums.py", True),
        ("generator/kinds.py", True),
        ("generator/studio.py", True),
        ("pipeline/generated.py", True),
        ("data/audio.py", True),
        ("data/index.py", False),
        ("transforms/image.py", False),
    ],
)
def test_sounds_depend_on_the_code_that_makes_them(
    changed: str, is_other: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = index().digest
    read, file = Path.read_bytes, Path(audioid.__file__).parent / changed
    assert file.exists()
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"\n" * (path == file))
    assert (index().digest != before) == is_other


# What needs files


def test_what_needs_files_says_so() -> None:
    with pytest.raises(AudioidError, match=r"data=generated: its sounds are in no files; choose"):
        read_corpus(chosen().data, Path("cache"))
    with pytest.raises(AudioidError, match=r"split\.group: data=generated has no files"):
        chosen("split=grouped", "split.group=near_duplicates")
