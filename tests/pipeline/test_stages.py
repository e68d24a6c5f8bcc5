from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from audioid import transforms
from audioid.config import compose
from audioid.data.clips import load_clips
from audioid.data.index import Index, index_folder
from audioid.data.store import Store, StoredRows
from audioid.errors import AudioidError
from audioid.pipeline import stages

SETTINGS = compose(["audio.sample_rate=8000", "audio.seconds=0.25", "image.f_max=3500", "image.size=20"])
AUDIO, IMAGE, FFT = SETTINGS.audio.model_dump(), SETTINGS.image.model_dump(), SETTINGS.transform.model_dump()
SHARDS = 3


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Ten recordings, two of them alike; one was damaged after it was indexed."""
    generator = np.random.default_rng(0)
    for number in range(9):
        file = tmp_path / "corpus" / "ab"[number % 2] / f"{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.1 * generator.standard_normal(1000 + 500 * number), (8000, 11025)[number % 2])
    (tmp_path / "corpus/b/8.wav").write_bytes((tmp_path / "corpus/a/0.wav").read_bytes())
    index = index_folder(tmp_path / "corpus")
    (tmp_path / "corpus/b/7.wav").write_bytes(b"RIFF")
    return index


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", max_bytes=10**9)


def waveforms(index: Index, store: Store, **changes: Any) -> StoredRows:
    return stages.waveforms(index, store, audio=AUDIO | changes, shards=SHARDS)


def images(rows: StoredRows, store: Store, **changes: Any) -> StoredRows:
    image = IMAGE | changes
    return stages.images(rows, store, transform=FFT, image=image, shards=SHARDS, device="cpu")


def test_long_recordings_have_several_clips(index: Index, store: Store) -> None:
    chosen = {"seconds": 0.1, "windows": 4}
    rows, clips = waveforms(index, store, **chosen), stages.clips_of(index.table["seconds"], AUDIO | chosen)
    assert set(clips.counts) == {1, 2, 3, 4}
    for number, path in enumerate(index.table["path"]):
        mine = rows[clips.rows(np.array([number]))]
        assert len({rows.checksums[row] for row in clips.rows(np.array([number]))}) == clips.counts[number]
        if path == "b/7.wav":
            assert np.isnan(mine).all()
        else:
            np.testing.assert_array_equal(mine, np.stack(load_clips(index.root / path, **AUDIO | chosen)))  # type: ignore[arg-type]
    assert images(rows, store)[np.arange(len(rows))].shape == (len(clips.owners), 1, 20, 20)


def test_waveforms_are_the_decoded_recordings_in_order(index: Index, store: Store) -> None:
    rows = waveforms(index, store)
    everything = rows[np.arange(len(index.table))]
    assert everything.shape == (10, 2000)
    for path, waveform in zip(index.table["path"], everything, strict=True):
        if path == "b/7.wav":
            assert np.isnan(waveform).all()
        else:
            np.testing.assert_array_equal(waveform, load_clips(index.root / path, **AUDIO)[0])
    damaged = index.table.set_index("path").loc["b/7.wav", "checksum"]
    assert list(rows.failed) == [damaged]
    assert "damaged" in rows.failed[str(damaged)]


def test_images_are_the_transform_of_the_waveforms(index: Index, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "TRANSFORMED_AT_ONCE", 2)
    rows = waveforms(index, store)
    made = images(rows, store)
    assert made.failed == rows.failed
    good = np.flatnonzero(index.table["path"] != "b/7.wav")
    module = transforms.build(FFT, IMAGE, sample_rate=8000, n_samples=2000)
    torch.testing.assert_close(torch.from_numpy(made[good]), module(torch.from_numpy(rows[good])))


def entries(store: Store, stage: str) -> int:
    return len(list(store.root.glob(f"{stage}/*/entry.json")))


def test_only_what_matters_makes_images_anew(index: Index, store: Store) -> None:
    rows = waveforms(index, store)
    images(rows, store)
    before = entries(store, "images-fft")
    images(rows, store, standardize="pixel")  # done by the network
    assert entries(store, "images-fft") == before
    images(rows, store, f_max=3000.0)
    assert entries(store, "images-fft") == 2 * before
    images(waveforms(index, store, level="peak"), store)
    assert entries(store, "images-fft") == 3 * before


def test_shards_filled_one_by_one_are_all_that_a_run_needs(
    index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [stages.only_shard(index, shard, SHARDS) for shard in range(SHARDS)]
    joined = pd.concat([part.table for part in parts]).sort_values("path", ignore_index=True)
    pd.testing.assert_frame_equal(joined, index.table)
    for part in reversed(parts):
        images(waveforms(part, store), store)

    monkeypatch.setattr(stages, "load_clips", None)  # nothing is decoded
    monkeypatch.setattr(transforms, "build", None)  # or transformed again
    rows = waveforms(index, store)
    assert images(rows, store)[np.array([0])].shape == (1, 1, 20, 20)


def test_rows_have_the_channels_of_the_transform(index: Index, store: Store) -> None:
    rows = waveforms(index, store)
    both = compose(["transform=both"]).transform.model_dump()
    made = stages.images(rows, store, transform=both, image=IMAGE, shards=1, device="cpu")
    assert made[np.array([0, 1])].shape == (2, 2, 20, 20)
    np.testing.assert_array_equal(made[np.array([0, 1])][:, :1], images(rows, store)[np.array([0, 1])])


def test_wrong_transform_is_told(index: Index, store: Store) -> None:
    rows = waveforms(index, store)
    with pytest.raises(AudioidError, match="transform: there is no 'nonsense'"):
        stages.images(rows, store, transform={"name": "nonsense"}, image=IMAGE, shards=1, device="cpu")


@pytest.mark.parametrize(
    ("changed", "transform", "is_other"),
    [
        ("images/cqt.py", "fft", False),
        ("images/cqt.py", "cqt", True),
        ("images/mfcc.py", "cwt", False),
        ("image.py", "fft", True),
        ("image.py", "ssq", True),
        ("bands.py", "cqt", True),
        ("bands.py", "fft", False),
        ("coefficients.py", "cwt", False),  # full resolution: no image is made of it
        ("windows.py", "fft", True),
        ("images/fft.py", "both", True),
        ("rules.py", "cwt", False),
        ("__init__.py", "cwt", False),
    ],
)
def test_images_depend_on_the_code_of_their_own_transform(
    changed: str, transform: str, is_other: bool, index: Index, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = compose([f"transform={transform}"]).transform.model_dump()
    rows = waveforms(index, store)

    def version() -> str:
        return stages.images(rows, store, transform=option, image=IMAGE, shards=1, device="cpu").stage.version

    before = version()
    read, folder = Path.read_bytes, Path(transforms.__file__).parent
    assert (folder / changed).exists()
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"\n" * (path == folder / changed))
    assert (version() != before) == is_other
