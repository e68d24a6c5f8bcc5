"""Sweeps on a real Slurm, which scripts/slurm_here.sh starts; skipped where Slurm is not installed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import write_tones
from tests.test_train import lasting, on

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "slurm_here.sh"
TRAIN = [sys.executable, "-u", str(ROOT / "train.py")]
LONG = "trainer.max_epochs=3500"  # some 20 s, of which the first 10 are not kept
LAUNCHER = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch", "munged"))) or os.geteuid() != 0,
        reason="needs Slurm's daemons and root",
    ),
]


@contextmanager
def started(folder: Path, nodes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a Slurm of so many nodes, which commands find."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    subprocess.run([SCRIPT, "start", folder, str(nodes)], check=True, timeout=60)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield folder
    subprocess.run([SCRIPT, "stop", folder], check=True, timeout=60)
    assert not list(folder.glob("*.pid"))


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with started(tmp_path / "slurm", 1, monkeypatch) as folder:
        yield folder


@pytest.fixture
def two_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with started(tmp_path / "slurm", 2, monkeypatch) as folder:
        yield folder


def train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TRAIN, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)


def until(is_so: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.2)


def told_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def queue() -> str:
    return told_by("squeue", "--noheader")


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


@pytest.mark.parametrize("what", ["a job", "all jobs"])
def test_a_sweep_of_which_jobs_are_cancelled_tells_it_and_goes_on_later(
    what: str, slurm: Path, tones: Path, tmp_path: Path
) -> None:
    chosen = on(tones, "transform=fft,cwt", LONG)
    assert train(tmp_path, "-m", *chosen, "hydra.sweep.dir=unbroken").returncode == 0
    with subprocess.Popen(
        [*TRAIN, "-m", *chosen, "hydra.sweep.dir=sweep", *LAUNCHER],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        sweep = tmp_path / "sweep"
        until(lambda: (sweep / "cwt seed=0" / "checkpoints" / "last.ckpt").exists())
        told = shell.stdout.readline() + shell.stdout.readline()  # type: ignore[union-attr]
        ((array, last),) = re.findall(r"jobs of Slurm: (\d+), and (\d+)", told)
        subprocess.run(
            ["scancel", *(["--signal=KILL", f"{array}_1"] if what == "a job" else [array, last])], check=True
        )
        _, told = shell.communicate(timeout=200)
    assert shell.returncode == 1
    one = "error: (fft|cwt) seed=0: its job was stopped before it ended"
    both = "error: (fft seed=0, cwt|cwt seed=0, fft) seed=0: stopped before they ended"
    assert re.search(f"{one}|{both}" if what == "a job" else both, told)
    assert re.search("[12] of the runs have not ended; go on", told)
    until(lambda: not queue())
    done = train(tmp_path, "resume=sweep", *LAUNCHER)
    assert done.returncode == 0, done.stderr
    assert (sweep / "comparison.json").is_file()
    for run in ("fft seed=0", "cwt seed=0"):
        assert lasting(sweep / run) == lasting(tmp_path / "unbroken" / run)


HUNGRY = """
import time
import torch
from torch import nn

class Hungry(nn.Sequential):
    def __init__(self, *, in_channels, n_classes, image_size, mib):
        super().__init__(nn.Flatten(), nn.Linear(in_channels * image_size**2, n_classes))
        taken = torch.ones(mib, 2**18)
        time.sleep(3)  # Slurm looks once a second
"""


def test_a_job_that_is_killed_for_its_memory_is_told_and_goes_on_with_more(
    slurm: Path, tones: Path, tmp_path: Path
) -> None:
    (tmp_path / "nets.py").write_text(HUNGRY)
    chosen = [text for text in on(tones, "hydra.sweep.dir=sweep", *LAUNCHER) if not text.startswith("model.width")]
    network = ["model=custom", "model.target=nets.Hungry", "model.arguments.mib=1,3000,2"]
    done = train(tmp_path, "-m", *chosen, *network, "hydra.launcher.mem_gb=2")
    assert done.returncode == 1
    assert re.search("the job [0-9]+_1 was killed for memory; ask for more: hydra.launcher.mem_gb", done.stderr)
    assert re.search("error: .*mib=3000.*: its job was stopped before it ended", done.stderr)
    assert "1 of the runs have not ended; go on" in done.stderr
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == 2
    done = train(tmp_path, "resume=sweep", "model.target=nets.Hungry", *LAUNCHER, "hydra.launcher.mem_gb=5")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == 3
    assert (tmp_path / "sweep" / "comparison.json").is_file()


def test_a_process_that_somebody_else_asks_to_end_does_not_wait_for_slurm(
    slurm: Path, tones: Path, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*TRAIN, "-m", *on(tones, "seed=0", LONG), "hydra.sweep.dir=sweep", *LAUNCHER],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        until(lambda: any((tmp_path / "sweep").glob("*/checkpoints/last.ckpt")))
        (log,) = (log for log in (tmp_path / "sweep").glob(".submitit/*/*/*_0_log.out"))
        for process in processes(log.parent.name, "127.0.0.1"):
            if Path(f"/proc/{process}/cmdline").read_bytes().startswith(sys.executable.encode()):
                os.kill(process, signal.SIGTERM)
        _, told = shell.communicate(timeout=100)
    assert shell.returncode == 1
    assert "Stopped by SIGTERM, which was not Slurm's." in log.read_text()
    assert "seed=0: its job was stopped before it ended" in told


def test_a_stale_pid_file_ends_no_other_process(slurm: Path) -> None:
    """Its number has been given to another process since."""
    daemon = int((slurm / "127.0.0.1.pid").read_text())
    with subprocess.Popen(["sleep", "60"]) as stranger:
        os.kill(daemon, signal.SIGKILL)
        (slurm / "127.0.0.1.pid").write_text(f"{stranger.pid}\n")
        subprocess.run([SCRIPT, "stop", slurm], check=True, timeout=60)
        assert stranger.poll() is None
        stranger.kill()


def requeue(slurm: Path, job: int, log: Path) -> None:
    subprocess.run(["scontrol", "requeue", str(job)], check=True)


def preempt(slurm: Path, job: int, log: Path) -> None:
    """By a job of higher priority: it is asked to end, and killed some seconds later."""
    order = ["sbatch", "--partition=urgent", "--exclusive", f"--output={slurm}/urgent.txt", "--wrap", "echo was here"]
    subprocess.run(order, check=True)
    until((slurm / "urgent.txt").exists)
    assert "Stopped in epoch" in log.read_text()


def processes(job: str, node: str) -> set[int]:
    """Those that a node started for a job."""
    return {int(line.split()[0]) for line in told_by("scontrol", "listpids", job, node).splitlines()[1:]}


def kill_node(slurm: Path, node: str, job: str) -> None:
    """Kills its daemon and all that it started for the job; returns when Slurm takes it for lost."""
    tasks = processes(job, node)
    parents = {int(Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1]) for task in tasks}
    for process in (int((slurm / f"{node}.pid").read_text()), *parents - tasks, *tasks):
        os.kill(process, signal.SIGKILL)
    until(lambda: "down" in told_by("sinfo", "--nodes", node))


def lose(slurm: Path, job: int, log: Path) -> None:
    """The node is lost, and comes back later."""
    kill_node(slurm, "127.0.0.1", str(job))
    subprocess.run(["slurmd", "-f", slurm / "slurm.conf", "-N", "127.0.0.1"], check=True)


def test_a_lost_machine_s_run_goes_on_on_another(two_nodes: Path, tones: Path, tmp_path: Path) -> None:
    chosen = on(tones, "seed=0,1", LONG)
    assert train(tmp_path, "-m", *chosen, "hydra.sweep.dir=unbroken").returncode == 0
    with subprocess.Popen(
        [*TRAIN, "-m", *chosen, "hydra.sweep.dir=sweep", *LAUNCHER], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as shell:
        sweep = tmp_path / "sweep"
        until(lambda: len(list(sweep.glob("*/checkpoints/last.ckpt"))) == 2)
        running = [
            line.split() for line in told_by("squeue", "--noheader", "--format=%N %i %A").splitlines() if "127." in line
        ]
        logs = {node: next(sweep.glob(f".submitit/*/{name}/*_0_log.out")) for node, name, _ in running}
        jobs = {node: job for node, _, job in running}
        assert jobs.keys() == {"127.0.0.1", "127.0.0.2"}
        kill_node(two_nodes, "127.0.0.2", jobs["127.0.0.2"])
        told, _ = shell.communicate(timeout=250)
        assert "down" in told_by("sinfo", "--nodes", "127.0.0.2")
    assert shell.returncode == 0, told
    assert first_epochs(logs["127.0.0.1"]) == [1]
    begun, again = first_epochs(logs["127.0.0.2"])
    assert begun == 1 < again
    assert len(list(sweep.glob("*/metrics.json"))) == 2
    for record in sweep.glob("*/metrics.json"):
        assert lasting(record.parent) == lasting(tmp_path / "unbroken" / record.parent.name)


@pytest.mark.parametrize("stop", [requeue, preempt, lose])
def test_a_run_that_is_stopped_in_the_middle_ends_as_an_unbroken_one(
    stop: Callable[[Path, int, Path], None], slurm: Path, tones: Path, tmp_path: Path
) -> None:
    chosen = on(tones, "seed=0", LONG)
    assert train(tmp_path, *chosen, "hydra.run.dir=unbroken").returncode == 0
    with subprocess.Popen(
        [*TRAIN, "-m", *chosen, "hydra.sweep.dir=sweep", *LAUNCHER], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as shell:
        until(lambda: any((tmp_path / "sweep").glob("*/checkpoints/last.ckpt")))
        job = min(int(path.parent.name) for path in (tmp_path / "sweep").glob(".submitit/*/*/*_submitted.pkl"))
        (log,) = (tmp_path / "sweep").glob(f".submitit/*/{job}/*_0_log.out")
        stop(slurm, job, log)
        told, _ = shell.communicate(timeout=250)
    assert shell.returncode == 0, told
    (run,) = (path.parent for path in (tmp_path / "sweep").glob("*/metrics.json"))
    first, second = first_epochs(log)
    assert first == 1 < second
    assert lasting(run) == lasting(tmp_path / "unbroken")


def first_epochs(log: Path) -> list[int]:
    """Of each time that a job was begun."""
    return [int(epoch) for epoch in re.findall(r"to train on.*?  epoch +(\d+)/", log.read_text(), re.DOTALL)]


def test_a_run_that_takes_longer_than_a_job_may_ends_as_an_unbroken_one(
    slurm: Path, tones: Path, tmp_path: Path
) -> None:
    chosen = on(tones, "seed=0", "trainer.max_epochs=8000")  # some 50 s, beside the job's start
    assert train(tmp_path, *chosen, "hydra.run.dir=unbroken").returncode == 0
    # The shortest time that Slurm knows; it comes up to 30 s too early with its signal.
    limits = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=20"]
    done = train(tmp_path, "-m", *chosen, "hydra.sweep.dir=sweep", *LAUNCHER, *limits)
    assert done.returncode == 0, done.stderr
    (run,) = (path.parent for path in (tmp_path / "sweep").glob("*/metrics.json"))
    log = min((tmp_path / "sweep").glob(".submitit/*/*/*_0_log.out"))
    assert "this job is timed-out" in log.read_text()
    assert first_epochs(log)[-1] > 1
    assert lasting(run) == lasting(tmp_path / "unbroken")


def test_a_run_of_two_tasks_is_the_same_as_with_two_processes(slurm: Path, tones: Path, tmp_path: Path) -> None:
    chosen = on(tones, "trainer=ddp", "trainer.devices=2")
    assert train(tmp_path, *chosen, "hydra.run.dir=alone").returncode == 0
    order = ["srun", "--nodes=1", "--ntasks-per-node=2", *TRAIN, *chosen, "hydra.run.dir=wide"]
    done = subprocess.run(order, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert lasting(tmp_path / "wide") == lasting(tmp_path / "alone")


def test_two_machines_fill_one_store_at_the_same_time(two_nodes: Path, tmp_path: Path) -> None:
    """Each asks for all of it; what they leave is as if one alone had."""
    prepare = [sys.executable, str(ROOT / "scripts" / "prepare.py"), *on(write_tones(tmp_path / "many", 500))]
    for command, store in ((["srun", "--nodes=2", "--ntasks-per-node=1"], "shared"), ([], "alone")):
        done = subprocess.run(
            [*command, *prepare, f"store.root={store}"], cwd=tmp_path, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("all shards: 1000 recordings") == (2 if command else 1)
    shared, alone = (
        {file.relative_to(tmp_path / store): file.read_bytes() for file in (tmp_path / store).rglob("rows.npy")}
        for store in ("shared", "alone")
    )
    assert shared == alone
    assert not list((tmp_path / "shared").rglob("*.part"))


def test_the_store_is_filled_in_shards(two_nodes: Path, tones: Path, tmp_path: Path) -> None:
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
