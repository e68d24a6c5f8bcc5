"""From the configured source to index, groups and parts."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audioid.config import compose
from audioid.data import audio, corpus, near_duplicates, resemblance, synthetic
from audioid.data.corpus import known_near_duplicates, read_corpus, read_groups, split_corpus
from audioid.errors import AudioidError
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
    assert read_corpus(small().model_copy(update={"seed": 1}), tmp_path).digest != first.digest


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


def test_near_duplicates_of_a_large_corpus_are_known_once_somebody_has_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "SEARCHED", 7)
    root, cache = write_tones(tmp_path / "tones", per_class=4), tmp_path / "cache"
    index = read_corpus(compose(["data=folder", f"data.root={root}"]).data, cache)
    assert known_near_duplicates(index, cache) is None
    groups = read_groups(index, "near_duplicates", cache)
    found = known_near_duplicates(index, cache)
    assert found is not None
    np.testing.assert_array_equal(found, groups)


def edited(module: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the module's source file seem to have been changed."""
    source = folder / Path(module.__file__).name
    source.write_text(Path(module.__file__).read_text() + "# changed\n")
    monkeypatch.setattr(module, "__file__", str(source))


def upgraded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "NUMBERS", ("numpy 9.9",))


CHANGES: list[Callable[[Path, pytest.MonkeyPatch], None]] = [
    lambda folder, monkeypatch: edited(audio, folder, monkeypatch),
    lambda folder, monkeypatch: edited(near_duplicates, folder, monkeypatch),
    lambda folder, monkeypatch: edited(resemblance, folder, monkeypatch),
    lambda folder, monkeypatch: monkeypatch.setattr(audio, "DECODERS", ("libsndfile 1.0", "soxr 9.9")),
    upgraded,
]


@pytest.mark.parametrize("change", CHANGES)
def test_near_duplicates_are_searched_for_again_after_what_they_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    root = write_tones(tmp_path / "tones", per_class=1)
    index = read_corpus(compose(["data=folder", f"data.root={root}"]).data, tmp_path / "cache")
    searches = []

    def search(index: Any) -> np.ndarray:
        searches.append(index)
        return np.arange(2)

    monkeypatch.setattr(near_duplicates, "near_duplicate_groups", search)
    shutil.move(root, tmp_path / "moved")
    (tmp_path / "moved" / "low").rename(tmp_path / "moved" / "lower")
    renamed = read_corpus(compose(["data=folder", f"data.root={tmp_path}/moved"]).data, tmp_path / "cache")
    for same in (index, renamed, index):  # neither folders nor labels matter
        read_groups(same, "near_duplicates", tmp_path / "cache")
    assert len(searches) == 1
    change(tmp_path, monkeypatch)
    read_groups(index, "near_duplicates", tmp_path / "cache")
    assert len(searches) == 2


@pytest.mark.parametrize("change", [lambda *given: edited(synthetic, *given), upgraded])
def test_the_built_in_corpus_is_made_again_by_other_code_or_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    first = read_corpus(small(), tmp_path)
    change(tmp_path, monkeypatch)
    assert read_corpus(small(), tmp_path).root != first.root


def test_near_duplicates_join_the_corpus_s_own_groups(tmp_path: Path) -> None:
    root = write_tones(tmp_path / "tones", per_class=4)  # kit0 to kit3, each high and low
    wave, rate = soundfile.read(root / "low" / "kit0_0.wav")
    soundfile.write(root / "low" / "kit1_louder.wav", 0.5 * wave, rate)
    data = compose(["data=folder", f"data.root={root}", r"data.group_pattern=(kit\d)_"]).data
    index = read_corpus(data, tmp_path / "cache")
    groups = read_groups(index, "near_duplicates", tmp_path / "cache")
    assert groups is not None
    kits = dict(zip(index.table["path"], groups, strict=True))
    # kit0 and kit1 are one by the sound that they share, the others as they were.
    assert len({group for path, group in kits.items() if "kit0" in path or "kit1" in path}) == 1
    assert len(set(kits.values())) == 3
    assert kits["high/kit2_2.wav"] == kits["low/kit2_2.wav"]


def test_equal_files_on_both_sides_of_an_official_split_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_tones(tmp_path / "tones", per_class=10)
    rows = []
    for number, path in enumerate(sorted(root.glob("*/*.wav"))):
        rows.append(f"{path.relative_to(root)},{path.parent.name},{'test' if number % 5 == 0 else 'train'}")
        if number % 10 == 0:
            shutil.copy(path, path.with_name(f"copy{number}.wav"))
            rows.append(f"{path.parent.name}/copy{number}.wav,{path.parent.name},train")
    (root / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    settings = compose(["data=manifest", f"data.file={root}/list.csv", "split=given", "split.val_fraction=0"])
    index = read_corpus(settings.data, tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        split_corpus(index, settings.split, tmp_path / "cache")
    (line,) = caplog.messages
    assert line == (
        "split=given: the same bytes are in two parts, so the figures flatter: high/copy0.wav (train) = "
        "high/kit0_0.wav (test), low/copy10.wav (train) = low/kit0_0.wav (test); keep one of each"
    )
    caplog.clear()
    split_corpus(index, compose(["split.test_fraction=0.3"]).split, tmp_path / "cache")
    assert not caplog.messages


@pytest.mark.parametrize(
    ("split", "warned"),
    [
        (["split=kfold"], "more than any part should have (8), so parts are uneven"),
        (["split=kfold"], "have smaller groups or lower split.folds"),
        (["split=grouped", "split.test_fraction=0.3", "split.val_fraction=0.3"], "(16)"),
        (["split=grouped"], None),  # it has room in the training part
        (
            ["split=kfold", "split.folds=3", "split.val_fraction=0", "split.group=near_duplicates"],
            "the group that holds high/kit0_1.wav has 21 of 40",
        ),
        (["split=stratified"], None),
    ],
)
def test_a_group_larger_than_a_part_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    split: list[str],
    warned: str | None,
) -> None:
    # Twenty of forty recordings are of one group.
    root = write_tones(tmp_path / "tones", per_class=20)
    for number, path in enumerate(sorted(root.glob("*/*.wav"))):
        path.rename(path.with_name(f"kit{0 if number % 2 else number + 1}_{number}.wav"))
    settings = compose(["data=folder", f"data.root={root}", r"data.group_pattern=(kit\d+)", *split])
    index = read_corpus(settings.data, tmp_path / "cache")
    near = np.r_[:10, 0, 11:40]  # joins one of another group to the large one
    monkeypatch.setattr(near_duplicates, "near_duplicate_groups", lambda _: near)
    with caplog.at_level(logging.WARNING):
        found = split_corpus(index, settings.split, tmp_path / "cache")
    sizes = [len(part) for part in (found.train, found.val, found.test)]
    if warned is None:
        assert not caplog.messages
        assert sizes == pytest.approx([26, 6, 8], abs=1)
    else:
        (line,) = caplog.messages
        assert warned in line
        assert max(sizes) >= 20
        assert line.startswith(f"split={settings.split.name}: ")
        if settings.split.group == "index":
            assert "group 'kit0' has 20 of 40 recordings" in line


def test_near_duplicates_of_parts_that_are_all_given_are_an_error(tmp_path: Path) -> None:
    root = write_tones(tmp_path / "tones", per_class=4)
    rows = [f"{path},{path.parent.name},{number % 4}" for number, path in enumerate(sorted(root.glob("*/*.wav")))]
    (root / "list.csv").write_text("\n".join(["path,label,fold", *rows]))
    settings = compose(["data=manifest", f"data.file={root}/list.csv", "split=given", "split.group=near_duplicates"])
    index = read_corpus(settings.data, tmp_path / "cache")
    with pytest.raises(AudioidError, match=r"split\.group: does nothing where every part is given; leave it out"):
        split_corpus(index, settings.split, tmp_path / "cache")


@pytest.mark.parametrize("blocked", ["headers", "near_duplicates"])
def test_what_the_store_cannot_take_leads_to_its_key(tmp_path: Path, blocked: str) -> None:
    root, cache = write_tones(tmp_path / "tones", per_class=2), tmp_path / "cache"
    cache.mkdir()
    (cache / blocked).write_text("in the way")
    with pytest.raises(AudioidError, match=rf"{blocked}.*: .*; make it writable or set store\.root to a folder else"):
        read_groups(read_corpus(compose(["data=folder", f"data.root={root}"]).data, cache), "near_duplicates", cache)
