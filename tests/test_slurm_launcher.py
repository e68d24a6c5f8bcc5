"""What the launcher for Slurm does in rare cases; Slurm itself is stood in for."""

import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hydra.experimental.callback import Callback

from audioid.errors import AudioidError

pytest.importorskip("hydra_plugins.hydra_submitit_launcher")

# Takes the first job, as where a user may have so many in the queue.
SBATCH = """[ -e {folder}/array ] && echo "error: QOSMaxSubmitJobPerUserLimit" >&2 && exit 1
touch {folder}/array
echo "Submitted batch job 77"
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **commands: str) -> None:
    """Puts commands where they are found first."""
    folder.mkdir()
    for name, text in ({"srun": ""} | commands).items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_an_array_without_an_end_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra_plugins.audioid._slurm import SlurmLauncher

    cancel = f"echo $* >{tmp_path}/cancelled"
    stand_in(tmp_path / "bin", monkeypatch, sbatch=SBATCH.format(folder=tmp_path), scancel=cancel)
    launcher = SlurmLauncher(runs_per_job=1, max_num_timeout=1, submitit_folder=str(tmp_path / "jobs"), name="train")
    with pytest.raises(AudioidError, match=r"does not take the jobs: .*QOSMaxSubmitJobPerUserLimit"):
        launcher.launch([["seed=0"], ["seed=1"]], initial_job_idx=0)
    assert (tmp_path / "cancelled").read_text() == "77\n"


def test_what_is_done_at_the_end_is_done_once_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hydra_plugins.audioid import _slurm

    def end(last: Any, array: str) -> None:
        """As if all jobs had run."""
        for submitted in last.paths.folder.parent.glob("*/*_submitted.pkl"):
            is_last = submitted.parent == last.paths.folder
            outcome = (1, "compared\n", "error: a run failed\n") if is_last else [submitted.parent.name]
            result = submitted.with_name(submitted.name.replace("submitted", "0_result"))
            result.write_bytes(pickle.dumps(("success", outcome)))

    stand_in(tmp_path / "bin", monkeypatch, sbatch="echo Submitted batch job $$")
    monkeypatch.setattr(_slurm, "_wait_for", end)
    launcher = _slurm.SlurmLauncher(runs_per_job=1, max_num_timeout=1, submitit_folder=str(tmp_path / "jobs"))
    callbacks = SimpleNamespace(callbacks=[Callback()])
    launcher.hydra_context = SimpleNamespace(callbacks=callbacks)
    with pytest.raises(SystemExit, match="1"):
        launcher.launch([["seed=0"], ["seed=1"]], initial_job_idx=0)
    told = capsys.readouterr()
    assert told.out.endswith("compared\n")
    assert told.err == "error: a run failed\n"
    assert not callbacks.callbacks


def test_a_job_that_is_asked_to_end_waits_to_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Slurm would take it for one that failed, and not put it back into the queue."""
    from hydra_plugins.audioid._slurm import OneRunPerJob, SlurmLauncher

    launcher = SlurmLauncher(runs_per_job=2, max_num_timeout=1, submitit_folder="jobs")
    monkeypatch.setattr(time, "sleep", Mock(side_effect=[None, ProcessLookupError("killed")]))
    for code, outcome in ((None, ProcessLookupError), (-1, SystemExit)):  # -1: it is in the queue again
        monkeypatch.setattr(OneRunPerJob, "__call__", Mock(side_effect=SystemExit(code)))
        with pytest.raises(outcome):
            launcher([([], "hydra.sweep.dir", 0, "0", {})])
    assert time.sleep.call_count == 2  # type: ignore[attr-defined]
