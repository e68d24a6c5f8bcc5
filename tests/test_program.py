"""How commands start, and how they are stopped while they do."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from audioid.program import start

ROOT = Path(__file__).parents[1]
# Ctrl-C comes as the module that is named first is looked for.
INTERRUPTED = """
import sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == NAME:
            raise KeyboardInterrupt

NAME = sys.argv.pop(1)
sys.meta_path.insert(0, Interrupt())
import runpy
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def interrupted(module: str, script: Path, *arguments: str, folder: Path) -> tuple[int, str, str]:
    command = [sys.executable, "-c", INTERRUPTED, module, str(script), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout, done.stderr


def stopped_in_the_sixth_epoch(*arguments: str, folder: Path, before: str = "pass") -> tuple[int, str]:
    """Status and stderr of training that is interrupted there; `before` is a statement that it begins with."""
    # A shell has what it starts in the background ignore this signal, and so its children.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listening}; {before}; import sys; from audioid.commands.train import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if re.search(r"epoch +6/", line):
                process.send_signal(signal.SIGINT)
                break
        _, told = process.communicate(timeout=60)
    return process.returncode, told


@pytest.mark.parametrize("module", ["audioid.commands.train", "hydra", "omegaconf", "pytorch_lightning"])
def test_ctrl_c_while_modules_load_ends_quietly(module: str, tmp_path: Path) -> None:
    status, _, errors = interrupted(module, ROOT / "train.py", "hydra.run.dir=run", folder=tmp_path)
    assert (status, errors) == (130, "Stopped.\n")


def test_so_do_the_other_ways_in(tmp_path: Path) -> None:
    for script, name in ((ROOT / "scripts" / "compare.py", ()), (ROOT / "audioid" / "__main__.py", ("compare",))):
        status, _, errors = interrupted("audioid.comparison.report", script, *name, ".", folder=tmp_path)
        assert (status, errors) == (130, "Stopped.\n")


def test_a_run_says_its_name_before_what_is_heavy_is_loaded(tmp_path: Path) -> None:
    _, told, _ = interrupted("torch", ROOT / "train.py", "transform=cwt", "hydra.run.dir=run", folder=tmp_path)
    assert told == "run\n"


def test_a_command_hands_on_its_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", "nowhere"])
    assert start("compare") == 1
    assert capsys.readouterr().err.startswith("error: nowhere: is no folder")
