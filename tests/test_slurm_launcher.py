"""What the launcher for Slurm does in rare cases; Slurm itself is stood in for."""

import os
import signal
from pathlib import Path
from unittest.mock import Mock

import pytest

from audioid.errors import AudioidError

pytest.importorskip("hydra_plugins.hydra_submitit_launcher")

# Takes the first job, as where a user may have so many in the queue.
SBATCH = """#!/bin/sh
[ -e {folder}/array ] && echo "error: QOSMaxSubmitJobPerUserLimit" >&2 && exit 1
touch {folder}/array
echo "Submitted batch job 77"
"""


def test_an_array_without_an_end_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra_plugins.audioid._slurm import SlurmLauncher

    commands = {"sbatch": SBATCH.format(folder=tmp_path), "scancel": f"#!/bin/sh\necho $* >{tmp_path}/cancelled\n"}
    for name, text in (commands | {"srun": "#!/bin/sh\n"}).items():
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    launcher = SlurmLauncher(runs_per_job=1, max_num_timeout=1, submitit_folder=str(tmp_path / "jobs"), name="train")
    with pytest.raises(AudioidError, match=r"does not take the jobs: .*QOSMaxSubmitJobPerUserLimit"):
        launcher.launch([["seed=0"], ["seed=1"]], initial_job_idx=0)
    assert (tmp_path / "cancelled").read_text() == "77\n"


def test_a_job_that_is_asked_to_end_waits_to_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Slurm would take it for one that failed, and not put it back into the queue."""
    from hydra_plugins.audioid._slurm import OneRunPerJob, SlurmLauncher

    launcher = SlurmLauncher(runs_per_job=2, max_num_timeout=1, submitit_folder="jobs")
    monkeypatch.setattr(signal, "pause", Mock(side_effect=[None, ProcessLookupError("killed")]))
    for code, outcome in ((None, ProcessLookupError), (-1, SystemExit)):  # -1: it is in the queue again
        monkeypatch.setattr(OneRunPerJob, "__call__", Mock(side_effect=SystemExit(code)))
        with pytest.raises(outcome):
            launcher([([], "hydra.sweep.dir", 0, "0", {})])
    assert signal.pause.call_count == 2  # type: ignore[attr-defined]
