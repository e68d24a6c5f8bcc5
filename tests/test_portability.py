"""What must hold on Windows and macOS as well: no POSIX-only module, no name or encoding that only Linux takes."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioid.config import compose, run_name
from audioid.data.index import Index
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.render import png_names
from audioid.schema import FolderDataSettings
from tests.conftest import write_tones
from tests.test_architecture import ROOT, SOURCES, imports

POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
SCRIPTS = [path for path in (ROOT / "scripts").glob("*.py") if not path.stem.startswith("bench_")]
LABELS = {"high": "太鼓: hi?", "low": "NUL"}

# Runs command lines one after the other in a Python where audioid finds no POSIX-only module; libraries bring
# their own for each system, so they do.
WITHOUT_POSIX = f"""
import builtins, json, runpy, sys, warnings

warnings.filterwarnings("error", category=EncodingWarning, module="audioid")
all_modules = builtins.__import__

def windows_modules(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {{}}).get("__name__", "")
    if name in {POSIX_ONLY} and importer.split(".")[0] in ("audioid", "__main__"):
        raise ModuleNotFoundError(f"No module named '{{name}}'")
    return all_modules(name, globals, locals, fromlist, level)

builtins.__import__ = windows_modules
try:
    import fcntl
except ModuleNotFoundError:
    print("fcntl is hidden")
for line in json.loads(sys.argv[1]):
    sys.argv = line
    try:
        runpy.run_path(line[0], run_name="__main__")
    except SystemExit as end:
        print("ended with", end.code or 0, line[0])
"""


@pytest.mark.parametrize("path", [*SOURCES, ROOT / "train.py", *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_what_only_posix_has(path: Path) -> None:
    assert not imports(path) & POSIX_ONLY


def test_the_whole_line_runs_without_posix_modules_git_and_unicode_terminals(tmp_path: Path) -> None:
    tones = write_tones(tmp_path / "tones")
    with open(tmp_path / "corpus.csv", "w", encoding="utf-8", newline="") as file:
        rows = [(path.relative_to(tmp_path).as_posix(), LABELS[path.parent.name]) for path in tones.glob("*/*.wav")]
        csv.writer(file).writerows([("path", "label"), *rows])
    script = {name: str(ROOT / "scripts" / f"{name}.py") for name in ("compare", "identify", "render")}
    corpus = ["data=manifest", "data.file=corpus.csv", "image.size=24"]
    quick = ["trainer.max_epochs=1", "model.width=4", "data.batch_size=8", "trainer.accelerator=cpu"]
    sweep = ["transform=fft,cwt", "hydra.sweep.dir=runs", "hydra.sweep.subdir=${transform.name}"]
    lines = [
        [str(ROOT / "train.py"), "-m", *corpus, *quick, *sweep],
        [script["compare"], "runs", "--out", "report"],
        [script["render"], *corpus, "transform=fft", "--out", "images"],
        [script["identify"], "runs/fft/model", "tones", "--format", "csv", "--out", "names.csv"],
        [script["identify"], "runs/fft/model", "tones"],
    ]
    python = [sys.executable, "-X", "warn_default_encoding", "-c", WITHOUT_POSIX, json.dumps(lines)]
    environment = os.environ | {"PATH": str(tmp_path), "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(python, cwd=tmp_path, env=environment, capture_output=True)
    output = done.stdout.decode("utf-8", errors="replace")
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert "fcntl is hidden" in output
    assert re.findall(r"ended with (\d+)", output) == ["0"] * len(lines), done.stderr.decode(errors="replace")
    assert json.loads((tmp_path / "runs/fft/metrics.json").read_text("utf-8"))["commit"] is None
    assert json.loads((tmp_path / "report/comparison.json").read_text("utf-8"))["comparisons"]
    assert set(pd.read_csv(tmp_path / "names.csv", encoding="utf-8")["label_1"]) <= set(LABELS.values())
    assert {folder.name for folder in (tmp_path / "images/fft").iterdir()} == {"太鼓_ hi_", "_NUL"}
    assert "太鼓: hi?" in output  # what identify prints is UTF-8 everywhere


@pytest.mark.parametrize("root", ["C:\\drums", "C:\\my drums\\", "\\\\server\\a=b\\\\", "it's\\", "a\\'b"])
def test_a_windows_path_reaches_the_settings_as_it_is(root: str) -> None:
    settings = compose(["data=folder", f"data.root={root}"])
    assert isinstance(settings.data, FolderDataSettings)
    assert settings.data.root == root


def test_a_file_that_another_program_shows_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Access is denied")

    table = tmp_path / "table.csv"
    table.touch()
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(AudioidError, match="Access is denied; close it where it is open"), replacing(table) as part:
        part.touch()
    assert list(tmp_path.iterdir()) == [table]


def assert_portable(name: str) -> None:
    assert not re.search(r'[\x00-\x1f<>:"/\\|?*]', name)
    assert name.strip(" ").rstrip(".") == name
    assert not PureWindowsPath(name).is_reserved()


NAMES = st.sampled_from(["CON", "nul.x", "Com1", "lpt9 ", "aux.", "COM¹", "CONIN$", "a:b?", "end. ", "x" * 79 + " y"])


@given(labels=st.sets(NAMES | st.text(min_size=1, max_size=300), min_size=1, max_size=5), stem=NAMES | st.text())
def test_any_label_makes_names_of_files_that_every_system_takes(labels: set[str], stem: str) -> None:
    stem = stem.replace("/", "_").encode(errors="ignore").decode() or "_"
    rows = [(f"{number}/{stem}.wav", label) for number, label in enumerate(labels)]
    names = png_names(Index(Path(), pd.DataFrame(rows, columns=["path", "label"])))
    assert len({str(name).casefold() for name in names}) == len(rows)  # on a disk that ignores case as well
    for name in names:
        assert isinstance(name, PurePosixPath)
        for part in name.parts:
            assert_portable(part)
        assert len(str(name)) <= 180  # of the 260 characters of a whole path


@given(values=st.lists(NAMES | st.text(), max_size=4))
def test_any_choice_makes_the_name_of_a_run_that_every_system_takes(values: list[str]) -> None:
    name = run_name("cwt", 0, [f"model.key{number}={value}" for number, value in enumerate(values)], None, ())
    assert_portable(name)
    assert len(name) <= 120
