"""What the launcher for Slurm does in rare cases; Slurm itself is stood in for."""

import os
import pickle
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hydra.core.singleton import Singleton
from hydra.experimental.callback import Callback
from omegaconf import OmegaConf

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


# By Slurm 22.05: as it looked at the memory itself, and as the kernel guarded it; the state told of both was "FAILED".
KILLED = (
    "start\nslurmstepd-node1: error: StepId=2.0 exceeded memory limit (433176576 > 209715200), being killed\n"
    "srun: error: node1: task 0: Killed\n",
    "start\nslurmstepd: error: Detected 1 oom-kill event(s) in StepId=1.0. Some of your processes may have been killed "
    "by the cgroup out-of-memory handler.\nsrun: error: node1: task 0: Out Of Memory\n",
    "srun: error: node1: task 0: Out Of Memory\n",
)
OTHERS = (
    "slurmstepd: error: *** STEP 4.0 ON node1 CANCELLED AT 2026-11-29 ***\n",
    "error: memory: there is not enough\n",
)


@pytest.mark.parametrize(("log", "is_told"), [(log, True) for log in KILLED] + [(log, False) for log in OTHERS])
def test_it_is_told_which_job_was_killed_for_its_memory(
    log: str, is_told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hydra_plugins.audioid._slurm import SlurmLauncher

    def tell(**_: Any) -> None:
        print("error: cwt seed=0: its job was stopped before it ended", file=sys.stderr)
        raise SystemExit(1)

    folders = [tmp_path / "7_0", tmp_path / "7_1"]
    for folder in folders:
        folder.mkdir()
        (folder / f"{folder.name}_0_log.out").write_text(log)
    (folders[0] / "7_0_0_result.pkl").touch()  # was begun again, and ended well
    launcher = SlurmLauncher(runs_per_job=1, max_num_timeout=1, submitit_folder=str(tmp_path))
    launcher.config = OmegaConf.create({"hydra": {"job": {"config_name": "config"}}})
    launcher.hydra_context = SimpleNamespace(callbacks=SimpleNamespace(on_multirun_end=tell))
    status, _, told = launcher.end(Singleton.get_state(), folders)
    assert status == 1
    assert told == capsys.readouterr().err
    assert ("error: Slurm: the job 7_1 was killed for memory" in told) == is_told
    assert told.endswith("error: cwt seed=0: its job was stopped before it ended\n")


PREEMPTED = "echo JobState=RUNNING PreemptTime=2026-11-29T22:34:45"


@pytest.mark.parametrize("state", [PREEMPTED, "echo JobState=COMPLETING PreemptTime=None", "exit 1"])
def test_a_job_that_slurm_asks_to_end_waits_to_be_killed(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else Slurm would take it for one that failed, and not put it back into the queue."""
    launcher = asked_to_end(None, state, tmp_path, monkeypatch)
    with pytest.raises(ProcessLookupError, match="killed"):
        launcher([([], "hydra.sweep.dir", 0, "0", {})])


def test_a_job_that_somebody_else_asks_to_end_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = asked_to_end(None, "echo JobState=RUNNING PreemptTime=None", tmp_path, monkeypatch)
    with pytest.raises(SystemExit, match="not Slurm's"):
        launcher([([], "hydra.sweep.dir", 0, "0", {})])


def test_a_job_that_is_in_the_queue_again_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="-1"):
        asked_to_end(-1, "exit 1", tmp_path, monkeypatch)([([], "hydra.sweep.dir", 0, "0", {})])


def asked_to_end(code: int | None, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A launcher whose run ends with the code, and is killed at the third look at what Slurm says of its job."""
    from hydra_plugins.audioid._slurm import OneRunPerJob, SlurmLauncher

    stand_in(tmp_path / "bin", monkeypatch, scontrol=state)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(time, "sleep", Mock(side_effect=[None, None, ProcessLookupError("killed")]))
    monkeypatch.setattr(OneRunPerJob, "__call__", Mock(side_effect=SystemExit(code)))
    return SlurmLauncher(runs_per_job=2, max_num_timeout=1, submitit_folder="jobs")
