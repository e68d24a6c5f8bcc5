"""Recordings in folders by name: nothing lost, nothing overwritten, all of it taken back."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioid.errors import AudioidError
from audioid.identification.identify import Answer
from audioid.identification.sorting import How, Sorter, _legal, check_pattern, undo


def answer(path: Path, label: str = "kick", confidence: float = 0.9, unknown_score: float | None = None) -> Answer:
    return Answer(path, [(label, confidence), ("other", 1 - confidence)], unknown_score=unknown_score)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Recordings of the same name in two folders, of other content, and a third."""
    found = [tmp_path / "in" / "a" / "Hit 1.WAV", tmp_path / "in" / "b" / "Hit 1.WAV", tmp_path / "in" / "c.wav"]
    for number, file in enumerate(found):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"sound {number}")
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(params=["copy", "move", "link"])
def how(request: pytest.FixtureRequest) -> How:
    chosen: How = request.param
    return chosen


def test_each_goes_to_its_name_and_all_of_it_comes_back(files: list[Path], out: Path, how: How, tmp_path: Path) -> None:
    before = contents(tmp_path / "in")
    with (out / "undo.jsonl").open("w") as steps:
        sorter = Sorter(out, how, 0.5, undo=steps)
        for given_answer in (
            answer(files[0]),
            answer(files[1]),
            answer(files[2], confidence=0.4),
            Answer(tmp_path / "in" / "broken.wav", [], "is damaged"),
        ):
            sorter.sort(given_answer)
    found = contents(out)
    steps_left = found.pop("undo.jsonl")
    assert found == {"kick/Hit 1.WAV": "sound 0", "kick/Hit 1 (2).WAV": "sound 1", "unknown/c.wav": "sound 2"}
    assert (contents(tmp_path / "in") == {}) == (how == "move")
    assert all(path.is_symlink() for path in out.rglob("*.wav")) == (how == "link")
    assert len(steps_left.splitlines()) == 3

    told = list[str]()
    assert undo(out / "undo.jsonl", told.append) == 3
    assert contents(tmp_path / "in") == before
    assert list(out.iterdir()) == []
    assert told == []


def test_sorted_twice_is_sorted_once(files: list[Path], out: Path) -> None:
    for how in ("copy", "link"):
        with (out / f"{how}.jsonl").open("w") as steps:
            sorter = Sorter(out / how, how, undo=steps)
            assert [sorter.sort(answer(file)) is None for file in [*files, *files]] == 3 * [False] + 3 * [True]


def test_what_lies_in_the_folder_already_stays(out: Path) -> None:
    (out / "kick").mkdir()
    (out / "kick" / "a.wav").write_text("there")
    with (out / "undo.jsonl").open("w") as steps:
        assert Sorter(out, "move", undo=steps).sort(answer(out / "kick" / "a.wav", "snare")) is None
    assert contents(out)["kick/a.wav"] == "there"


def test_a_dry_run_does_nothing(files: list[Path], out: Path, how: How) -> None:
    step = Sorter(out, how).sort(answer(files[0], "große Trommel"))
    assert step
    assert Path(step.made) == out / "große Trommel" / "Hit 1.WAV"
    assert list(out.iterdir()) == []


def test_unknown_recordings_go_together_however_likely_a_name_is(files: list[Path], out: Path) -> None:
    sorter = Sorter(out, "copy")
    made = [sorter.sort(answer(files[0], confidence=0.99, unknown_score=score)) for score in (0.1, -0.1, None)]
    assert [Path(step.made).parent.name for step in made if step] == ["unknown", "kick", "kick"]


def test_names_by_a_pattern(files: list[Path], out: Path) -> None:
    step = Sorter(out, "copy", pattern="{label} {confidence:.0f} {name}").sort(answer(files[0], "a/b", 0.987))
    assert step
    assert Path(step.made) == out / "a_b" / "a_b 99 Hit 1.WAV"


@pytest.mark.parametrize(
    "pattern", ["{path}", "{label.__class__}", "{0}", "{label", "{label!x}", "{confidence:q}", "{name[0]}"]
)
def test_a_pattern_with_anything_else_is_told(pattern: str) -> None:
    with pytest.raises(AudioidError, match=r"--rename: .*; it may have|--rename: .* is no pattern"):
        check_pattern(pattern)


@given(st.text())
def test_any_label_is_one_name_below_the_folder(label: str) -> None:
    name = _legal(label)
    assert name
    assert name not in (".", "..")
    assert Path("root", name).parent == Path("root")
    assert os.path.normpath(f"root/{name}") == os.path.join("root", name)


def test_what_was_changed_since_stays(files: list[Path], out: Path) -> None:
    with (out / "undo.jsonl").open("w") as steps:
        for file in files:
            Sorter(out, "copy", undo=steps).sort(answer(file))
    (out / "kick" / "Hit 1.WAV").write_text("changed")
    (out / "kick" / "c.wav").unlink()
    told = list[str]()
    assert undo(out / "undo.jsonl", told.append) == 1
    assert len(told) == 2
    assert contents(out)["kick/Hit 1.WAV"] == "changed"
    assert len((out / "undo.jsonl").read_text().splitlines()) == 2


def test_nothing_is_moved_back_over_another_file(files: list[Path], out: Path) -> None:
    with (out / "undo.jsonl").open("w") as steps:
        Sorter(out, "move", undo=steps).sort(answer(files[2]))
    files[2].write_text("another")
    told = list[str]()
    assert undo(out / "undo.jsonl", told.append) == 0
    assert "there is another" in told[0]
    assert files[2].read_text() == "another"
    assert contents(out)["kick/c.wav"] == "sound 2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "is no list of steps"),
        ('{"how": "copy"}', "is no list of steps"),
        ('{"how": "burn", "source": "/a", "made": "/b"}', "is no list of steps"),
        ('{"how": "copy", "source": 1, "made": "/b"}', "is no list of steps"),
        ("[" * 10**5, "is no list of steps"),
        ('{"how": "copy", "source": "/a", "made": "/etc/passwd"}', "which is not below"),
        ('{"how": "move", "source": "/a", "made": "OUT/../in/c.wav"}', "which is not below"),
        ('{"how": "move", "source": "/a", "made": "OUT/kick/../../in/c.wav"}', "which is not below"),
        ('{"how": "move", "source": "/a.wav", "made": "OUT/kick/../c.wav"}', "which is not below"),
    ],
)
def test_a_file_of_steps_from_elsewhere_touches_nothing(
    files: list[Path], out: Path, tmp_path: Path, text: str, message: str
) -> None:
    (out / "undo.jsonl").write_text(text.replace("OUT", json.dumps(str(out))[1:-1]))
    before = contents(tmp_path)
    with pytest.raises(AudioidError, match=message):
        undo(out / "undo.jsonl", print)
    assert contents(tmp_path) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_what_has_no_end_is_no_file_of_steps(out: Path) -> None:
    os.mkfifo(out / "undo.jsonl")
    with pytest.raises(AudioidError, match="is no file"):
        undo(out / "undo.jsonl", print)


def test_links_in_a_folder_from_elsewhere_lead_nowhere(files: list[Path], out: Path, tmp_path: Path) -> None:
    (out / "kick").symlink_to(tmp_path / "in", target_is_directory=True)
    step = {"how": "copy", "source": str(files[2]), "made": str(out / "kick" / "c.wav")}
    (out / "undo.jsonl").write_text(json.dumps(step))
    with pytest.raises(AudioidError, match="which is not below"):
        undo(out / "undo.jsonl", print)
    assert files[2].read_text() == "sound 2"


def test_a_folder_that_leads_elsewhere_is_not_sorted_into(files: list[Path], out: Path, tmp_path: Path) -> None:
    """What undo would refuse to take back is not done."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / "kick").symlink_to(elsewhere, target_is_directory=True)
    with (out / "undo.jsonl").open("w") as steps, pytest.raises(AudioidError, match="leads out of"):
        Sorter(out, "move", undo=steps).sort(answer(files[2]))
    assert files[2].read_text() == "sound 2"
    assert not list(elsewhere.iterdir())


def test_a_recording_that_cannot_be_taken_away_is_not_moved(
    files: list[Path], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        if path == files[2]:
            raise PermissionError(None, "is held")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", held)
    with (out / "undo.jsonl").open("w") as steps, pytest.raises(AudioidError, match="is held"):
        Sorter(out, "move", undo=steps).sort(answer(files[2]))
    assert contents(out).keys() == {"undo.jsonl"}


def test_folders_of_what_stays_stay(files: list[Path], out: Path) -> None:
    with (out / "undo.jsonl").open("w") as steps:
        Sorter(out, "copy", undo=steps).sort(answer(files[2]))
    (out / "kick" / "c.wav").unlink()
    assert undo(out / "undo.jsonl", print) == 0
    assert (out / "kick").is_dir()


@pytest.mark.parametrize(
    ("how", "source", "made", "reason"),
    [
        ("copy", "kick/c.wav", "kick/c.wav", "is no copy of"),
        ("move", "start.desktop", "kick/start.desktop", "is no recording by its name"),
        ("move", "start.desktop", "kick/c.wav", "is no recording by its name"),
        ("link", "c.wav", "kick/c.wav", "is no link to"),
        ("link", "c.wav", "kick/own.wav", "is no link to"),
        ("move", "a\0.wav", "kick/c.wav", "null byte"),
        ("copy", "c.wav", "kick/gone.wav", "is not there any more"),
    ],
)
def test_steps_that_sorting_never_does_are_not_taken_back(
    out: Path, how: str, source: str, made: str, reason: str
) -> None:
    (out / "kick").mkdir()
    for name in ("c.wav", "start.desktop"):
        (out / "kick" / name).write_text("content")
    (out / "kick" / "own.wav").symlink_to("start.desktop")  # somebody's own, which leads elsewhere
    step = {"how": how, "source": str(out / source), "made": str(out / made)}
    (out / "undo.jsonl").write_text(json.dumps(step))
    before, told = contents(out), list[str]()
    assert undo(out / "undo.jsonl", told.append) == 0
    assert reason in told[0]
    assert contents(out).keys() == before.keys()
