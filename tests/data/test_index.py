import errno
import logging
import os
import shutil
import time
import unicodedata
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile
from tqdm import tqdm

from audioid.data import headers
from audioid.data import index as index_module
from audioid.data.index import Index, index_folder, index_manifest
from audioid.errors import AudioidError


def record(path: Path, *, value: float = 0.1, sample_rate: int = 8000, frames: int = 800, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((frames, channels), value), sample_rate)
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    for number in range(3):
        record(root / "kick" / f"{number}.wav", value=0.1 + number / 100)
        record(root / "snare" / "kit 2" / "snare drum" / f"{number}.flac", value=0.2 + number / 100)
    return root


def paths(index: Index) -> list[str]:
    return index.table["path"].tolist()


def test_a_row_says_what_the_header_says(tmp_path: Path) -> None:
    record(tmp_path / "a" / "one.wav", sample_rate=44101, frames=132, channels=2)
    record(tmp_path / "b" / "two.FLAC", sample_rate=1000, frames=2500)
    row, other = index_folder(tmp_path).table.to_dict("records")
    assert row == {
        "path": "a/one.wav",
        "label": "a",
        "group": "",
        "split": "",
        "fold": -1,
        "seconds": pytest.approx(132 / 44101, rel=1e-12),
        "sample_rate": 44101,
        "channels": 2,
        "subtype": "PCM_16",
        "checksum": row["checksum"],
    }
    assert (other["path"], other["seconds"], other["sample_rate"]) == ("b/two.FLAC", 2.5, 1000)
    assert other["checksum"] != row["checksum"]


def test_labels_are_the_folders_that_hold_the_files(corpus: Path) -> None:
    index = index_folder(corpus)
    assert index.classes == ["kick", "snare drum"]
    assert index.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert index.targets.dtype == np.int64
    assert paths(index) == sorted(paths(index))
    assert index.groups is None
    assert not index.skipped


def test_names_of_every_kind_are_kept(tmp_path: Path) -> None:
    names = ["Große Trommel/Schlag 1.WAV", '太鼓/ドン, "2".wav', "=a b#c/x\ny.Wav", "=a b#c/it's.wav", "NA/nan.wav"]
    for name in names:
        record(tmp_path / name)
    cache = tmp_path / ".cache"
    for _ in range(2):  # the second time from the cache
        index = index_folder(tmp_path, cache=cache)
        assert paths(index) == sorted(names)
        assert index.classes == sorted(["Große Trommel", "太鼓", "=a b#c", "NA"])


def test_a_folder_name_is_one_label_however_its_letters_are_composed(tmp_path: Path) -> None:
    record(tmp_path / "disc 1" / unicodedata.normalize("NFC", "Bücher") / "a.wav")
    record(tmp_path / "disc 2" / unicodedata.normalize("NFD", "Bücher") / "b.wav")
    assert index_folder(tmp_path).classes == [unicodedata.normalize("NFC", "Bücher")]


def test_what_is_no_recording_is_passed_over(corpus: Path) -> None:
    before = index_folder(corpus)
    for name in ("kick/._0.wav", "kick/.hidden.wav", ".trash/kick/9.wav", "kick/readme.txt", "snare/cover.png", "wav"):
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_bytes(b"x")
    after = index_folder(corpus)
    assert after.digest == before.digest
    assert not after.skipped


def test_what_cannot_be_used_is_skipped_with_its_reason(corpus: Path) -> None:
    good = index_folder(corpus)
    (corpus / "kick" / "empty.mp3").touch()
    (corpus / "kick" / "text.wav").write_text("no sound")
    (corpus / "kick" / "song.m4a").write_bytes(b"ftyp")
    (corpus / "kick" / "gone.wav").symlink_to(corpus / "nowhere.wav")
    record(corpus / "loose.wav")
    os.mkdir(corpus / "snare" / "folder.wav")
    shutil.copy(corpus / "kick" / "0.wav", corpus / "kick" / os.fsdecode(b"\xff.wav"))
    index = index_folder(corpus)
    assert paths(index) == paths(good)
    reasons = dict(index.skipped)
    assert reasons.keys() == {
        "kick/empty.mp3",
        "kick/text.wav",
        "kick/song.m4a",
        "kick/gone.wav",
        "kick/\\xff.wav",
        "loose.wav",
    }
    for path, word in {
        "kick/empty.mp3": "0 bytes",
        "kick/text.wav": "damaged",
        "kick/song.m4a": "m4a",
        "kick/gone.wav": "link",
        "kick/\\xff.wav": "UTF-8",
        "loose.wav": "label",
    }.items():
        assert word in reasons[path]
    with pytest.raises(AudioidError, match=r"data\.on_unreadable=skip"):
        index_folder(corpus, on_unreadable="fail")


def test_a_folder_that_cannot_be_listed_is_skipped(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "kick":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    index = index_folder(corpus)
    assert index.classes == ["snare drum"]
    assert index.skipped == [("kick/", "cannot be opened (Permission denied); change who may read it")]
    with pytest.raises(AudioidError, match="label 'kick': none"):
        index.refuse_lost_labels()


def test_links_are_followed_once(corpus: Path, tmp_path: Path) -> None:
    record(tmp_path / "elsewhere" / "hat.wav")
    (corpus / "hat").symlink_to(tmp_path / "elsewhere")
    (corpus / "kick" / "loop").symlink_to(corpus)
    (corpus / "a kick").symlink_to(corpus / "kick")  # sorts before the folder itself, which still gives the label
    (corpus / "self").symlink_to(corpus / "self")
    index = index_folder(corpus)
    assert index.classes == ["hat", "kick", "snare drum"]
    assert len(index.table) == 7


def test_the_digest_names_the_content_wherever_it_lies(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "copy")
    one, two = index_folder(corpus), index_folder(tmp_path / "copy")
    assert one.digest == two.digest
    assert index_folder(corpus, group_pattern=r"(\d)\.").digest != one.digest
    record(tmp_path / "copy" / "kick" / "0.wav", value=0.5)
    assert index_folder(tmp_path / "copy").digest != one.digest


def test_digests_are_those_that_runs_have_recorded(tmp_path: Path) -> None:
    """The numbers are those of the first version, which joined the text of whole columns."""
    names = ["Große Trommel/Schlag 1.wav", "太鼓/ドン.wav", "太鼓.b/deep/hat/a.wav", "hat/b.wav", "hat/NA.wav"]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(range(20 + number)) * 2)
    (tmp_path / "hat" / "text.wav").write_text("no sound")
    assert index_folder(tmp_path).digest == "0e8a5b77aab486f937ac26baf058e112"
    assert index_folder(tmp_path, group_pattern=r"(.)\.wav").digest == "d941bb7b12575adec0dddfafe7325fe7"
    lines = "hat/b.wav,hat,train,3\nhat/NA.wav,NA,test,\n太鼓/ドン.wav,太鼓,,10\n"
    index = index_manifest(manifest(tmp_path, f"path,label,split,fold\n{lines}"))
    assert index.digest == "b8b2b92eb38909176374559da24faec3"
    assert index.without([("hat/b.wav", "broken")]).digest == "6948821fb33dde1cdfa0518a02650691"


def test_the_digest_does_not_depend_on_how_many_rows_are_taken_at_a_time(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = index_folder(corpus).digest
    for rows in (1, 4, 6):
        monkeypatch.setattr(index_module, "DIGESTED", rows)
        assert index_folder(corpus).digest == digest


def test_decoding_may_take_recordings_out(corpus: Path) -> None:
    index = index_folder(corpus)
    left = index.without([("kick/1.wav", "broken")])
    assert paths(left) == [path for path in paths(index) if path != "kick/1.wav"]
    assert left.skipped == [("kick/1.wav", "broken")]
    assert left.targets.tolist() == [0, 0, 1, 1, 1]
    assert left.table.index.tolist() == list(range(5))
    assert left.digest != index.digest
    left.refuse_lost_labels()


def test_a_label_without_any_readable_recording_is_an_error(corpus: Path) -> None:
    for name in ("0.wav", "1.wav", "2.m4a"):
        (corpus / "hat").mkdir(exist_ok=True)
        (corpus / "hat" / name).write_text("no sound")
    record(corpus / "loose.wav")  # without a label, so none is lost
    index = index_folder(corpus)
    with pytest.raises(AudioidError, match=r"label 'hat': none of its 3 recordings .*first: hat/.*; mend them, or"):
        index.refuse_lost_labels()
    shutil.rmtree(corpus / "hat")
    index = index_folder(corpus)
    index.refuse_lost_labels()
    with pytest.raises(AudioidError, match=r"label 'kick': none of its 3 .*first: kick/0\.wav: broken"):
        index.without([(f"kick/{number}.wav", "broken") for number in range(3)]).refuse_lost_labels()


def test_a_label_of_foreign_formats_alone_is_an_error(corpus: Path) -> None:
    (corpus / "hat").mkdir()
    (corpus / "hat" / "0.m4a").write_bytes(b"ftyp")
    with pytest.raises(AudioidError, match=r"label 'hat': .* is m4a, .*convert it to wav or flac"):
        index_folder(corpus).refuse_lost_labels()


def test_a_label_of_missing_files_alone_is_an_error(corpus: Path) -> None:
    index = index_manifest(manifest(corpus, "path,label\nkick/0.wav,kick\nhat/0.wav,hat\nhat/1.wav,hat\n"))
    with pytest.raises(AudioidError, match="label 'hat': none of its 2 recordings"):
        index.refuse_lost_labels()


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"(\d)\.", ["0", "1", "2", "0", "1", "2"]),
        (r"(kit) (?P<group>\d)|(?P<x>kick)", None),
        (r"/(?P<other>kit 2)?.*(?P<group>\d)\.", ["0", "1", "2", "0", "1", "2"]),
    ],
)
def test_groups_come_from_paths(
    corpus: Path, pattern: str, groups: list[str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    index = index_folder(corpus, group_pattern=pattern)
    assert index.groups is not None
    if groups:
        assert index.groups.tolist() == groups
        assert not caplog.records
    else:  # three paths do not match; each is a group of its own, and that is told
        assert index.groups[3:].tolist() == ["2", "2", "2"]
        assert len(set(index.groups)) == 4
        assert "3 of 6" in caplog.text


@pytest.mark.parametrize(
    ("pattern", "word"), [("(", "no regular"), ("kick", "captures nothing"), ("(zzz)", "matches no path")]
)
def test_patterns_that_give_no_groups_are_errors(corpus: Path, pattern: str, word: str) -> None:
    with pytest.raises(AudioidError, match=rf"data\.group_pattern: .*{word}"):
        index_folder(corpus, group_pattern=pattern)


def test_folders_that_are_no_corpus_are_errors(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    record(tmp_path / "flat" / "a.wav")
    (tmp_path / "broken" / "kick").mkdir(parents=True)
    (tmp_path / "broken" / "kick" / "a.wav").touch()
    for root, word in {
        tmp_path / "none": "does not exist",
        corpus / "kick" / "0.wav": "is not a folder",
        tmp_path / "empty": "holds no recordings; put them in folders",
        tmp_path / "flat": "a.wav lies in no folder.*; put them",
        tmp_path / "broken": "none of 1 recordings",
    }.items():
        with pytest.raises(AudioidError, match=word) as raised:
            index_folder(root)
        assert str(raised.value).startswith(str(root))


@pytest.mark.parametrize("twin", ["Kick", "KICK", "kick ", " kick"])
def test_one_label_written_twice_is_an_error(corpus: Path, twin: str) -> None:
    record(corpus / "more" / twin / "a.wav")
    with pytest.raises(AudioidError, match="differ in case or spaces alone"):
        index_folder(corpus)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    read = headers._read_header

    def note(path: str) -> object:
        names.append(os.path.basename(path))
        return read(path)

    monkeypatch.setattr(headers, "_read_header", note)
    return names


@pytest.mark.parametrize("looked_up", [1, 2, headers.LOOKED_UP])
def test_unchanged_files_are_not_opened_again(
    looked_up: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "LOOKED_UP", looked_up)
    cache = tmp_path / "cache"
    (corpus / "kick" / "broken.wav").write_text("no sound")
    names = opened(monkeypatch)
    first = index_folder(corpus, cache=cache)
    assert len(names) == 7
    names.clear()
    again = index_folder(corpus, cache=cache)
    assert names == ["broken.wav"]  # it may be readable now
    pd.testing.assert_frame_equal(again.table, first.table)
    assert again.skipped == first.skipped

    names.clear()
    record(corpus / "kick" / "broken.wav")
    before = (corpus / "kick" / "1.wav").stat()
    record(corpus / "kick" / "1.wav", value=0.7)  # same size
    os.utime(corpus / "kick" / "1.wav", ns=(before.st_atime_ns, before.st_mtime_ns))
    (corpus / "kick" / "0.wav").unlink()
    record(corpus / "kick" / "3.wav")
    changed = index_folder(corpus, cache=cache)
    assert sorted(names) == ["1.wav", "3.wav", "broken.wav"]
    pd.testing.assert_frame_equal(changed.table, index_folder(corpus).table)
    assert headers.columns_of(headers.read_cache(next(cache.iterdir())), ["path"]).num_rows == len(changed.table) == 7


@pytest.mark.parametrize("place", [0, 2, 5])
def test_a_file_that_is_gone_is_forgotten_wherever_it_stood(place: int, corpus: Path, tmp_path: Path) -> None:
    gone = paths(index_folder(corpus, cache=tmp_path / "cache"))[place]
    (corpus / gone).unlink()
    for _ in range(2):
        left = index_folder(corpus, cache=tmp_path / "cache")
        pd.testing.assert_frame_equal(left.table, index_folder(corpus).table)
    kept = headers.columns_of(headers.read_cache(next((tmp_path / "cache").iterdir())), ["path"])
    assert kept["path"].to_pylist() == paths(left)


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\x00nonsense", b"\n", b"path,size\na,1\n"])
def test_a_damaged_cache_is_made_anew(corpus: Path, tmp_path: Path, damage: bytes) -> None:
    cache = tmp_path / "cache"
    first = index_folder(corpus, cache=cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (damage, whole[:middle], whole + b"x", flipped):
        file.write_bytes(content)
        pd.testing.assert_frame_equal(index_folder(corpus, cache=cache).table, first.table)
        assert file.read_bytes() == whole
    assert list(cache.iterdir()) == [file]


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_cache_that_may_not_be_written_is_done_without(
    reason: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_folder(corpus, cache=tmp_path / "cache")
    record(corpus / "kick" / "new.wav")
    names = opened(monkeypatch)

    def refuse(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "replace", refuse)
    if reason == errno.ENOSPC:
        with pytest.raises(AudioidError, match="No space left"):
            index_folder(corpus, cache=tmp_path / "cache")
    else:
        assert len(index_folder(corpus, cache=tmp_path / "cache").table) == 7
    assert names == ["new.wav"]


def test_a_cache_of_another_version_is_made_anew(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = index_folder(corpus, cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(headers, "KEPT", headers.KEPT.remove(1))
        headers.write_cache(file, [])
    pd.testing.assert_frame_equal(index_folder(corpus, cache=tmp_path / "cache").table, first.table)
    assert file.read_bytes() == whole


def test_the_cache_keeps_every_header_as_it_was_read(tmp_path: Path) -> None:
    rows = [
        ('太鼓/ドン, "2".wav', 0, -1, -(2**62), 2**40, 44100, 2, "PCM_16", "0" * 32),
        ("NA/x\ny.wav", 2**40, 2**62, 1, 1, 10_000_000, 1024, "", "f" * 32),
    ]
    table = pa.table(dict(zip(headers.KEPT.names, zip(*rows, strict=True), strict=True)), schema=headers.KEPT)
    headers.write_cache(tmp_path / "cache" / "a", table.to_batches())
    for file, kept in {"a": table, "b": headers.KEPT.empty_table()}.items():
        assert headers.columns_of(headers.read_cache(tmp_path / "cache" / file), headers.KEPT.names).equals(kept)


def test_a_changed_file_of_a_manifest_is_noticed_wherever_it_lies(corpus: Path, tmp_path: Path) -> None:
    other = record(tmp_path / "other" / "hat.wav")
    file = manifest(corpus, f"path,label\n{other},hat\nkick/0.wav,kick\n")
    for _ in range(2):
        first = index_manifest(file, cache=tmp_path / "cache")
    record(other, value=0.7)  # same size
    os.utime(other, ns=(1, 1))
    changed = index_manifest(file, cache=tmp_path / "cache")
    assert (changed.table["checksum"] != first.table["checksum"]).tolist() == [True, False]


def test_many_new_files_are_read_in_shares_and_told(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = index_folder(corpus)
    assert capsys.readouterr().err == ""  # few are read in no time
    monkeypatch.setattr(headers, "LEAST", 4)
    monkeypatch.setattr(headers, "tqdm", lambda **options: tqdm(**options | {"delay": 0, "mininterval": 0}))
    pd.testing.assert_frame_equal(index_folder(corpus).table, whole.table)
    assert capsys.readouterr().err.count("4/6") == 2  # asking for changes, reading


def test_processes_read_what_threads_do(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (corpus / "kick" / "broken.wav").write_text("no sound")
    by_threads = index_folder(corpus)
    monkeypatch.setattr(headers, "MANY", 1)
    monkeypatch.setattr(headers, "LEAST", 2)
    for _ in range(2):
        by_processes = index_folder(corpus, cache=tmp_path / "cache")
        pd.testing.assert_frame_equal(by_processes.table, by_threads.table)
        assert by_processes.skipped == by_threads.skipped


def test_the_second_index_takes_a_fraction_of_a_second(tmp_path: Path) -> None:
    content = record(tmp_path / "made.wav").read_bytes()
    for number in range(800):
        path = tmp_path / "corpus" / str(number % 10) / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    index_folder(tmp_path / "corpus", cache=tmp_path / "cache")
    begin = time.perf_counter()
    index_folder(tmp_path / "corpus", cache=tmp_path / "cache")
    assert time.perf_counter() - begin < 0.5  # 0.02 s on an idle machine


def manifest(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "list.csv"
    file.write_text(text, encoding=encoding)
    return file


def test_a_manifest_gives_all_it_knows(corpus: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = manifest(
        corpus,
        "label,path,group,split,fold,source\n"
        "snare,snare/kit 2/snare drum/0.flac,B,test,2,x\n"
        f"kick,{corpus}/kick/0.wav,A,Train,1,y\n"
        "kick, kick\\1.wav ,,val,,z\n",
        encoding="utf-8-sig",
    )
    index = index_manifest(file)
    assert index.root == corpus
    columns = ["path", "label", "group", "split", "fold"]
    assert index.table[columns].to_numpy().tolist() == [
        ["kick/0.wav", "kick", "A", "train", 1],
        ["kick/1.wav", "kick", "", "val", -1],
        ["snare/kit 2/snare drum/0.flac", "snare", "B", "test", 2],
    ]
    assert index.groups is not None
    assert len(set(index.groups)) == 3
    assert "not used: source" in caplog.text


def test_a_manifest_may_list_what_lies_elsewhere(corpus: Path, tmp_path: Path) -> None:
    other = record(tmp_path / "other" / "hat.wav")
    (corpus / "lists").mkdir()
    file = manifest(corpus / "lists", f"path,label\n../kick/0.wav,kick\n{other},hat\n./../kick/1.wav,kick\n")
    index = index_manifest(file)
    assert set(paths(index)) == {"../kick/0.wav", "../kick/1.wav", str(other)}
    assert all((index.root / path).is_file() for path in paths(index))


def test_the_order_of_a_manifest_does_not_matter(corpus: Path) -> None:
    lines = [f"kick/{n}.wav,kick,g{n}" for n in range(3)] + ["snare/kit 2/snare drum/0.flac,snare,g1"]
    one = index_manifest(manifest(corpus, "\n".join(["path,label,group", *lines])))
    two = index_manifest(manifest(corpus, "\n".join(["path,label,group", *lines[::-1]])))
    pd.testing.assert_frame_equal(one.table, two.table)
    assert one.digest == two.digest


def test_missing_files_are_skipped_and_lines_said_twice_taken_once(
    corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    lines = "kick/0.wav,kick\nkick/0.wav,kick\n./kick/0.wav,kick\nkick/9.wav,kick\n"
    index = index_manifest(manifest(corpus, f"path,label\n{lines}"))
    assert paths(index) == ["kick/0.wav"]
    assert [path for path, _ in index.skipped] == ["kick/9.wav"]
    assert "2 lines" in caplog.text


@pytest.mark.parametrize("other", ["{root}/kick/0.wav", "{link}/kick/0.wav", "../corpus/kick/0.wav", "same.wav"])
def test_one_file_is_one_recording_however_it_is_named(corpus: Path, tmp_path: Path, other: str) -> None:
    (tmp_path / "link").symlink_to(corpus)
    (corpus / "same.wav").symlink_to(corpus / "kick" / "0.wav")
    other = other.format(root=corpus, link=tmp_path / "link")
    assert len(index_manifest(manifest(corpus, f"path,label\nkick/0.wav,kick\n{other},kick\n")).table) == 1
    with pytest.raises(AudioidError, match="line 3: the recording stands in an earlier line"):
        index_manifest(manifest(corpus, f"path,label\nkick/0.wav,kick\n{other},snare\n"))


def test_a_manifest_may_leave_groups_to_the_pattern_but_not_have_both(corpus: Path) -> None:
    file = manifest(corpus, "path,label,group\nkick/0.wav,kick,\nkick/1.wav,kick,\n")
    assert index_manifest(file, group_pattern=r"(\d)").table["group"].tolist() == ["0", "1"]
    file = manifest(corpus, "path,label,group\nkick/0.wav,kick,A\nkick/1.wav,kick,\n")
    with pytest.raises(AudioidError, match=r"data\.group_pattern: .* has a column 'group'"):
        index_manifest(file, group_pattern=r"(\d)")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty; write"),
        ("path,label\n", "lists no recordings; write"),
        ("path;label\nkick/0.wav;kick\n", "no column 'path'"),
        ("path\nkick/0.wav\n", "no column 'label'"),
        ("Path,label\nkick/0.wav,kick\n", "unknown column 'Path'; is 'path' meant"),
        ("path,label,goup\nkick/0.wav,kick,A\n", "is 'group' meant"),
        ("path,label\nkick/0.wav,kick\nkick/1.wav,\n", "line 3: no label"),
        ("path,label\nkick/0.wav,kick\n,kick\n", "line 3: no path"),
        ("path,label\nkick/0.wav\n", "line 2: no label"),
        ("path,label,split\nkick/0.wav,kick,training\n", "line 2: bad split; write"),
        ("path,label,fold\nkick/0.wav,kick,1.5\n", "line 2: bad fold; write"),
        ("path,label,fold\nkick/0.wav,kick,one\n", "line 2: bad fold; write"),
        ("path,label,fold\nkick/0.wav,kick,-3\n", "line 2: bad fold; write"),
        ("path,label,fold\nkick/0.wav,kick,1e30\n", "line 2: bad fold; write"),
        ("\npath,label\n\nkick/0.wav,kick\n\n,,\nkick/1.wav,\n", "line 7: no label"),
        ('path,label\n"kick/\n0.wav",kick\nkick/1.wav,\n', "line 4: no label"),
        ("path,label\nkick/\0.wav,kick\n", "line 2: path holds a NUL character; remove"),
        ("path,label\nkick/a, b.wav,kick\n", "line 2: more values than columns; put"),
        ("path,label,label\nkick/0.wav,kick,a\n", "column 'label' stands there twice; remove"),
        ("path,label\nkick/0.wav,kick\nkick/1.wav,kick\nkick/0.wav,snare\n", "line 4: .*earlier line"),
        ("path,label\nkick/0.wav,kick\nkick/1.wav,Kick\n", "differ in case"),
        ("path,label\nkick/8.wav,kick\nkick/9.wav,kick\n", "none of 2 recordings"),
        ('path,label\n"kick/0.wav,kick\n', "line 2: is not CSV .*; close"),
    ],
)
def test_a_bad_manifest_is_an_error_that_names_the_line(corpus: Path, text: str, problem: str) -> None:
    file = manifest(corpus, text)
    with pytest.raises(AudioidError, match=problem) as raised:
        index_manifest(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


def test_a_manifest_that_cannot_be_read_is_an_error(corpus: Path) -> None:
    with pytest.raises(AudioidError, match="cannot be opened"):
        index_manifest(corpus / "none.csv")
    with pytest.raises(AudioidError, match="is not UTF-8"):
        index_manifest(manifest(corpus, "path,label\nkick/0.wav,Bücher\n", encoding="latin-1"))
    with pytest.raises(AudioidError, match="cannot be opened"):
        index_manifest(corpus)
