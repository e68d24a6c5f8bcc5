"""`audioid NAME` as people use it: its front door, and a wheel installed where this repository is not."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from audioid.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
SMALL = ["data.per_class=6", "data.seconds=0.2", "audio.seconds=0.2", "image.size=32", "model.width=4"]
SHORT = ["trainer.max_epochs=2", "trainer.accelerator=cpu"]
Audioid = Callable[..., subprocess.CompletedProcess[str]]


def elsewhere() -> dict[str, str]:
    """The environment of somebody who has no checkout of audioid."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "AUDIOID_COMMAND")}


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audioid", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_every_script_is_a_command_and_the_other_way_round() -> None:
    scripts = {
        file.stem
        for file in (ROOT / "scripts").glob("*.py")
        if f'sys.exit(start("{file.stem}"))' in file.read_text(encoding="utf-8")
    }
    assert {*scripts, "train"} == set(COMMANDS)


def test_help_names_every_command_and_what_it_does() -> None:
    told = run_module().stdout
    assert told == run_module("--help").stdout
    for name in COMMANDS:
        (line,) = [line for line in told.splitlines() if line.startswith(f"  audioid {name} ")]
        assert len(line.split()) > 5


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["trian"], "error: trian: no such command; did you mean train?"),
        (["zzz"], "error: zzz: no such command; audioid --help lists them"),
        (["train", "zzz=1"], "error: zzz: no such key; audioid train --help lists the keys"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments: list[str], line: str) -> None:
    done = run_module(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line + "\n")


@pytest.mark.parametrize("arguments", [[], ["--version"], ["trian"], ["train", "--help"], ["compare", "--help"]])
def test_nothing_heavy_is_loaded_to_give_help(arguments: list[str]) -> None:
    code = (
        "import atexit, sys; from audioid.__main__ import main; sys.argv[0] = 'audioid'\n"
        "heavy = {'torch', 'pytorch_lightning', 'matplotlib', 'sklearn'}\n"
        "atexit.register(lambda: print('loaded:', sorted(heavy & set(sys.modules))))\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith("loaded: []\n")


def test_help_and_messages_say_how_the_command_was_started(tmp_path: Path) -> None:
    for command, name in (
        ([sys.executable, "-m", "audioid", "train"], "audioid train"),
        ([sys.executable, str(ROOT / "train.py")], "python train.py"),
    ):
        done = subprocess.run([*command, "--help"], cwd=ROOT, env=elsewhere(), capture_output=True, text=True)
        assert f"\n{name} -m transform=fft,cwt seed=0,1,2,3,4 " in done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built in a copy, since building leaves files behind."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("audioid", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir"]
    subprocess.run([*pip, str(dist), str(source)], check=True, timeout=300)
    (built,) = dist.glob("audioid-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that has the wheel, and this one's libraries.

    It lies in a repository of somebody else, as environments do.
    """
    project = tmp_path_factory.mktemp("project")
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *author, "commit", "--quiet", "--allow-empty", "-m", "theirs"], cwd=project, check=True)
    environment = project / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=300)
    paths = {name: sysconfig.get_path(name, vars={"base": str(environment)}) for name in ("purelib", "scripts")}
    # Folders named in a .pth file are searched last, and their own .pth files, such as a checkout's, are not read.
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(paths["purelib"], "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    return Path(paths["scripts"])


@pytest.fixture
def audioid(installed: Path, tmp_path: Path) -> Audioid:
    """Runs the installed `audioid` in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "audioid"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=elsewhere(), capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_configuration_whole(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    folders = (ROOT / "audioid", ROOT / "hydra_plugins")
    package = {file.relative_to(ROOT).as_posix() for folder in folders for file in folder.rglob("*") if file.is_file()}
    conf = {f"audioid/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / "conf").rglob("*.yaml")}
    assert held == {name for name in package if "__pycache__" not in name} | conf


@pytest.mark.slow
def test_trains_compares_and_identifies_where_the_repository_is_not(
    audioid: Audioid, installed: Path, tmp_path: Path
) -> None:
    python = [str(installed / "python"), "-c", "import audioid; print(audioid.__file__)"]
    found = subprocess.run(python, cwd=tmp_path, env=elsewhere(), capture_output=True, text=True, check=True).stdout
    assert Path(found).is_relative_to(installed.parent)

    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    told = audioid("train", "-m", "transform=fft,cwt", "hydra.sweep.dir=sweep", *launcher, *SMALL, *SHORT).stdout
    assert "tensorboard --logdir" in told
    runs = sorted((tmp_path / "sweep").glob("*/metrics.json"))
    records = [json.loads(file.read_text(encoding="utf-8")) for file in runs]
    assert {(record["transform"], record["epochs"]) for record in records} == {("cwt", 2), ("fft", 2)}
    assert [record["commit"] for record in records] == [None, None]

    audioid("compare", "sweep", "--out", "again")
    assert (tmp_path / "again" / "comparison.json").is_file()

    audioid("synthesize", "corpus", "--per-class", "1", "--kits", "1")
    named = audioid("identify", str(runs[0].parent / "model"), "corpus", "--top", "1", "--format", "csv").stdout
    rows = [line.split(",") for line in named.splitlines()[1:]]
    assert len(rows) == len(records[0]["classes"])
    assert {row[1] for row in rows} <= set(records[0]["classes"])


@pytest.mark.slow
def test_a_run_on_two_devices_starts_its_second_process(audioid: Audioid, tmp_path: Path) -> None:
    audioid("train", "hydra.run.dir=run", "trainer=ddp", "trainer.devices=2", *SMALL, *SHORT)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["epochs"] == 2


def written_by_a_stranger(folder: Path) -> None:
    """The files that CONTRIBUTING.md shows, under the names that it gives them just before each."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    name = r"`(\w+\.(?:py|toml))`"
    shown = rf"{name}(?:(?!```|{name}).)*?:\n\n```\w+\n(.*?)```"
    for found in re.finditer(shown, text, flags=re.DOTALL):
        (folder / found[1]).write_text(found[3], encoding="utf-8")


@pytest.mark.slow
def test_contributing_is_enough_for_a_network_and_a_picture_of_ones_own(
    audioid: Audioid, installed: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    written_by_a_stranger(theirs)
    shutil.move(theirs / "my_nets.py", tmp_path)
    assert sorted(file.name for file in theirs.iterdir()) == ["my_sounds.py", "pyproject.toml"]
    pip = [sys.executable, "-m", "pip", "--python", str(installed.parent), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--no-index", str(theirs)], check=True, timeout=300)
    corpus = SMALL[:-1]  # whose network has no width

    audioid("train", "-m", "transform=loudness,fft", "model=tiny", "hydra.sweep.dir=sweep", *corpus, *SHORT)
    records = [json.loads(file.read_text(encoding="utf-8")) for file in (tmp_path / "sweep").glob("*/metrics.json")]
    assert {record["transform"] for record in records} == {"loudness", "fft"}

    target = ["model=custom", "model.target=my_nets.Tiny"]
    audioid("train", "hydra.run.dir=run", *target, "model.arguments.hidden=8", *corpus, *SHORT)
    audioid("synthesize", "corpus", "--per-class", "1", "--kits", "1")
    named = audioid("identify", "run/model", "corpus", "--top", "1", "--trust", "my_nets.Tiny").stdout
    assert len(named.splitlines()) == 13

    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "small.yaml").write_text("name: custom\ntarget: my_nets.Tiny\narguments: {}\n")
    audioid("train", "--config-dir", "mine", "model=small", "hydra.run.dir=small", *corpus, *SHORT)
