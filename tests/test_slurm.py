"""Sweeps on a real Slurm, which scripts/slurm_here.sh starts; skipped where Slurm is not installed."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.test_train import lasting, on

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "slurm_here.sh"
TRAIN = [sys.executable, "-u", str(ROOT / "train.py")]
LAUNCHER = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch", "munged"))) or os.geteuid() != 0,
        reason="needs Slurm's daemons and root",
    ),
]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a Slurm of one node, which commands find."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    folder = tmp_path / "slurm"
    subprocess.run([SCRIPT, "start", folder], check=True, timeout=60)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield folder
    subprocess.run([SCRIPT, "stop", folder], check=True, timeout=60)
    assert not list(folder.glob("*.pid"))


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TRAIN, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)


def until(is_so: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.2)


def queue() -> str:
    return subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True).stdout


def test_a_stranger_is_not_obeyed(slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ports are open to the network, and jobs are root's."""
    trusting = re.sub("(auth|cred)/munge", r"\1/none", (slurm / "slurm.conf").read_text())
    (tmp_path / "stranger.conf").write_text(re.sub("^AuthInfo=.*\n", "", trusting, flags=re.M))
    order = ["sbatch", "--output", str(tmp_path / "log.txt"), "--wrap", "true"]
    assert subprocess.run(order, check=False).returncode == 0
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "stranger.conf"))
    assert subprocess.run(order, check=False, timeout=60).returncode == 1


def test_a_failing_run_leaves_the_others_of_its_job_and_of_the_array(slurm: Path, tones: Path, tmp_path: Path) -> None:
    swept = ["model=original", "optimizer=sgd", "optimizer.lr=0.001,100", "seed=0,1", "hydra.sweep.dir=sweep"]
    done = train(tmp_path, "-m", *on(tones, *swept), *LAUNCHER, "hydra.launcher.runs_per_job=2")
    assert done.returncode == 1, done.stderr
    assert "4 in 2 jobs of Slurm" in done.stdout
    assert "training diverged" in done.stderr
    assert "2 of the runs failed; mend and go on" in done.stderr
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == 2
    assert len(list((tmp_path / "sweep").glob("*/error.txt"))) == 2


def test_the_comparison_is_written_where_the_shell_is_gone(slurm: Path, tones: Path, tmp_path: Path) -> None:
    chosen = on(tones, "transform=fft,cwt", "trainer.max_epochs=1", "hydra.sweep.dir=sweep")
    shell = subprocess.Popen([*TRAIN, "-m", *chosen, *LAUNCHER], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert shell.stdout
    for line in shell.stdout:
        if "may be closed" in line:
            break
    shell.kill()
    shell.wait()
    assert not (tmp_path / "sweep" / "comparison.json").exists()
    until(lambda: not queue())
    assert (tmp_path / "sweep" / "comparison.json").is_file()
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == 2


def test_a_job_that_is_cancelled_is_told_and_the_sweep_goes_on_later(slurm: Path, tones: Path, tmp_path: Path) -> None:
    chosen = on(tones, "transform=fft,cwt", "trainer.max_epochs=400", "hydra.sweep.dir=sweep")
    with subprocess.Popen(
        [*TRAIN, "-m", *chosen, *LAUNCHER],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        sweep = tmp_path / "sweep"
        until(lambda: (sweep / "cwt seed=0" / "checkpoints" / "last.ckpt").exists())
        (array,) = re.findall(r"jobs of Slurm: (\d+)", (shell.stdout.readline() + shell.stdout.readline()))  # type: ignore[union-attr]
        subprocess.run(["scancel", "--signal=KILL", f"{array}_1"], check=True)
        _, told = shell.communicate(timeout=200)
    assert shell.returncode == 1
    assert "error: cwt seed=0: its job was stopped before it ended" in told
    assert "1 of the runs have not ended; go on" in told
    done = train(tmp_path, "resume=sweep", *LAUNCHER)
    assert done.returncode == 0, done.stderr
    assert len(list(sweep.glob("*/metrics.json"))) == 2
    assert "cwt" in done.stdout


@pytest.mark.parametrize("how", ["requeue", "signal", "preemption"])
def test_a_run_that_is_put_back_into_the_queue_ends_as_an_unbroken_one(
    how: str, slurm: Path, tones: Path, tmp_path: Path
) -> None:
    """By Slurm itself, which kills it, at once or some time after asking it to end, as where jobs are preempted; and by
    the signal that comes before the time is out."""
    chosen = on(tones, "seed=0", "trainer.max_epochs=1500")  # some 40 s, of which the first 10 are not kept
    assert train(tmp_path, *chosen, "hydra.run.dir=unbroken").returncode == 0
    with subprocess.Popen(
        [*TRAIN, "-m", *chosen, "hydra.sweep.dir=sweep", *LAUNCHER], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as shell:
        until(lambda: any((tmp_path / "sweep").glob("*/checkpoints/last.ckpt")))
        job = (tmp_path / "sweep" / ".submitit").glob("*/*/*_submitted.pkl")
        number = min(int(path.parent.name) for path in job)
        if how == "preemption":
            subprocess.run(["scancel", "--signal=TERM", str(number)], check=True)
            (log,) = (tmp_path / "sweep" / ".submitit").glob(f"*/{number}/*_0_log.out")
            until(lambda: "Stopped in epoch" in log.read_text())
            time.sleep(5)  # it would have ended by now
            assert re.search(rf"^ *{number} .* R ", queue(), re.M)
        order = ["scancel", "--signal=USR2"] if how == "signal" else ["scontrol", "requeue"]
        subprocess.run([*order, str(number)], check=True)
        told, _ = shell.communicate(timeout=250)
    assert shell.returncode == 0, told
    (run,) = (path.parent for path in (tmp_path / "sweep").glob("*/metrics.json"))
    (log,) = (tmp_path / "sweep" / ".submitit").glob(f"*/{number}/*_0_log.out")
    assert log.read_text().count("to train on") == 2
    assert lasting(run) == lasting(tmp_path / "unbroken")


def test_the_store_is_filled_in_shards(slurm: Path, tones: Path, tmp_path: Path) -> None:
    arguments = ["-m", "shard=range(0,3)", "store.shards=3", *on(tones), *LAUNCHER]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "prepare.py", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    logs = [path.read_text() for path in (tmp_path / "outputs" / "prepare").glob("*/.submitit/*/*/*_0_log.out")]
    counts = [int(number) for text in logs for number in re.findall(r"shard \d of 3: (\d+) recordings", text)]
    assert len(counts) == 3
    assert sum(counts) == 24
