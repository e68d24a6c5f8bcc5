"""From the configured source to index and groups."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioid.config import compose
from audioid.data import near_duplicates
from audioid.data.corpus import read_corpus, read_groups
from audioid.schema import SyntheticDataSettings
from tests.conftest import write_tones


def small() -> SyntheticDataSettings:
    data = compose(["data.per_class=4", "data.kits=2", "data.seconds=0.1"]).data
    assert isinstance(data, SyntheticDataSettings)
    return data


def test_the_built_in_corpus_is_written_once_and_grouped_by_kit(tmp_path: Path) -> None:
    first = read_corpus(small(), tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("synthetic/*/*/*.wav")}
    again = read_corpus(small(), tmp_path)
    assert first.digest == again.digest
    assert len(stamps) == 4 * len(first.classes)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert set(first.table["group"]) == {"00", "01"}
    assert read_corpus(replace(small(), seed=1), tmp_path).digest != first.digest


def test_a_manifest_and_a_folder_of_the_same_files_are_the_same_recordings(tmp_path: Path) -> None:
    root = write_tones(tmp_path / "tones", per_class=3)
    rows = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.glob("*/*.wav"))]
    (root / "list.csv").write_text("\n".join(["path,label", *rows]))
    folder = read_corpus(compose(["data=folder", f"data.root={root}"]).data, tmp_path / "cache")
    manifest = read_corpus(compose(["data=manifest", f"data.file={root}/list.csv"]).data, tmp_path / "cache")
    assert folder.digest == manifest.digest


def test_near_duplicates_are_searched_for_once_and_kept_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tones(tmp_path / "tones", per_class=4)
    wave, rate = soundfile.read(root / "low" / "kit0_0.wav")
    soundfile.write(root / "low" / "louder.wav", 0.5 * wave, rate)
    index = read_corpus(compose(["data=folder", f"data.root={root}"]).data, tmp_path / "cache")
    groups = read_groups(index, "near_duplicates", tmp_path / "cache")
    assert groups is not None
    paths = list(index.table["path"])
    assert groups[paths.index("low/louder.wav")] == groups[paths.index("low/kit0_0.wav")]
    monkeypatch.setattr(near_duplicates, "near_duplicate_groups", lambda _: pytest.fail("searched again"))
    again = read_groups(index, "near_duplicates", tmp_path / "cache")
    assert again is not None
    np.testing.assert_array_equal(again, groups)
    assert read_groups(index, "index", tmp_path / "cache") is None
