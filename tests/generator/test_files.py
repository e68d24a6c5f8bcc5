import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audioid.commands.synthesize import work
from audioid.errors import AudioidError
from audioid.generator.files import Wanted, kinds_named, sounds, write_sounds
from audioid.generator.generator import Generator
from audioid.generator.kinds import KINDS

SCRIPT = Path(__file__).parents[2] / "scripts" / "synthesize.py"
SMALL = Wanted(makers=2, takes=2, seconds=0.1, sample_rate=8000, seed=4)


def names(places: list[int]) -> list[str]:
    return [KINDS[place].model.__name__ for place in places]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_labels_kinds_and_all_name_kinds_once_each() -> None:
    assert {KINDS[place].label for place in kinds_named(["kick"])} == {"kick"}
    assert len(kinds_named(["kick"])) == sum(kind.label == "kick" for kind in KINDS)
    assert names(kinds_named(["crash"])) == ["crash"]
    assert kinds_named(["crash", "cymbal", "crash"])[0] == kinds_named(["crash"])[0]
    assert sorted(kinds_named(["cymbal", "crash"])) == sorted(kinds_named(["cymbal"]))
    assert kinds_named(["snare", "all"])[1:] != kinds_named(["all"])
    assert sorted(kinds_named(["snare", "all"])) == list(range(len(KINDS)))


@pytest.mark.parametrize(("wrong", "near"), [("kik", "kick"), ("hihat", "closed_hihat"), ("open hihat", "open_hihat")])
def test_an_unknown_name_is_told_with_near_ones(wrong: str, near: str) -> None:
    with pytest.raises(AudioidError, match=f"--instrument: there is no '{wrong}'; did you mean .*{near}") as caught:
        kinds_named([wrong])
    assert "\n" not in str(caught.value)


def test_files_hold_what_the_generator_makes(tmp_path: Path) -> None:
    kinds = kinds_named(["snare", "clap"])
    assert write_sounds(tmp_path / "sounds", kinds, SMALL) == 4 * len(kinds)
    written = sorted(path.relative_to(tmp_path / "sounds").as_posix() for path in tmp_path.rglob("*.wav"))
    assert written == sorted(
        f"{KINDS[place].label}/{KINDS[place].model.__name__}_maker{maker:04d}_take{take:02d}.wav"
        for place in kinds
        for maker in range(2)
        for take in range(2)
    )
    (clap,) = kinds_named(["clap"])
    made = Generator(seed=4, sample_rate=8000, seconds=0.1).sounds([clap], torch.tensor([1]), torch.tensor([1]))[0]
    read, rate = soundfile.read(tmp_path / "sounds/clap/clap_maker0001_take01.wav")
    assert (rate, read.shape) == (8000, (800,))
    np.testing.assert_allclose(read, made, atol=2e-4)


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("precious")
    with pytest.raises(AudioidError, match="is there already; name a new folder"):
        write_sounds(tmp_path, [0], SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["keep.txt"]


def test_a_killed_write_leaves_no_half_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "write", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_sounds(tmp_path / "sounds", [0], SMALL)
    assert not list(tmp_path.iterdir())


def test_sounds_come_kind_by_kind() -> None:
    found = [(sound.kind, sound.maker, sound.take) for sound in sounds([3, 1], SMALL)]
    assert found == [(KINDS[place], maker, take) for place in (3, 1) for maker in (0, 1) for take in (0, 1)]


def test_the_command_writes_what_is_asked(tmp_path: Path) -> None:
    root = tmp_path / "a"
    done = run(root, "--instrument", "triangle", "--makers", 3, "--seconds", 0.2, "--sample-rate", 16000, "--seed", 2)
    assert (done.returncode, done.stdout) == (0, f"Sounds in {root}: 3, kinds: 1\n")
    assert soundfile.info(root / "triangle/triangle_maker0002_take00.wav").frames == 3200
    listed = run("--list").stdout
    assert {line.split()[0] for line in listed.splitlines()} == {kind.label for kind in KINDS}
    assert all(kind.model.__name__ in listed for kind in KINDS)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    script = Path(__file__).parents[2] / "scripts" / "synthesize.py"
    with subprocess.Popen(
        [sys.executable, script, "--list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--page", "x.wav", "--instrument", "kick"], "--page: x.wav is no name of a page; let it end in .html"),
        (
            ["x", "--instrument", "kick,sanre"],
            "--instrument: there is no 'sanre'; did you mean snare or saxophone or shaker?",
        ),
        (["x", "--makers", "3"], "--makers: needs --instrument NAME; all stands for all"),
        (["--page", "x.html"], "--page: needs --instrument NAME; all stands for all"),
        (
            ["x", "--instrument", "kick", "--kits", "3"],
            "--kits: is of the built-in corpus, not of an --instrument; leave one of them out",
        ),
        (["x", "--list"], "DIR: goes without --list; leave one of them out"),
        (["x", "--instrument", "kick", "--makers", "0"], "makers: 0 is out of range; it must be at least 1"),
        (["x", "--instrument", "kick", "--seconds", "long"], "seconds: 'long' is not a valid number; correct it"),
    ],
)
def test_no_option_is_read_and_ignored(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["synthesize", *arguments])
    with pytest.raises(AudioidError) as caught:
        work()
    assert str(caught.value) == line
    assert not list(tmp_path.iterdir())
