"""What a sweep costs on Slurm beyond its runs' training, and whether runs that are killed end as unbroken ones.

`scripts/slurm_here.sh` starts a Slurm of one node, on two processors or more; each job has one. First many short runs,
packed into two jobs. `wall_seconds` are those of the command, from its start to the end of the comparison: it imports
PyTorch in both jobs and in the one that compares. `ratio` is that time over half the sum of the runs' own seconds of
fitting, as their `metrics.json` say, and `jobs_ratio` the same for the time from sending the jobs to the last run's
record, `jobs_seconds`. `start_seconds` and `end_seconds` are those before and behind it, and `run_seconds` are what a
run takes with what is beyond its fitting.

Then some longer runs, each in a job of its own, twice: unbroken, and with a kill of each at a random moment, after
which Slurm begins the job again. `kills` are those, `went_on` the jobs that had a checkpoint to go on from, and
`same_metrics` the runs whose `metrics.json` is the same but for times and memory.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

from audioid.files import replacing

SCRIPTS = Path(__file__).parent
AT_ONCE = 2
RUNS, QUICK_RUNS = 40, 4
STEPS, QUICK_STEPS = 2200, 20  # some 15 s
KILLS, QUICK_KILLS = 5, 2
LONGER = 2  # times the steps, since the first 10 s are not kept
SMALL = ("data.per_class=12", "image.size=32", "model.width=16", "trainer.accelerator=cpu")
OF_TIME = ("seconds", "peak_memory_mib", "decode_ms_per_file", "transform_ms_per_clip")


class Sweeps:
    """Sweeps on a Slurm of one node, which share one store in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.slurm = folder, folder / "slurm"
        self.environment = os.environ | {"SLURM_CONF": f"{self.slurm}/slurm.conf", "OMP_NUM_THREADS": "1"}

    def __enter__(self) -> "Sweeps":
        subprocess.run([SCRIPTS / "slurm_here.sh", "start", self.slurm], check=True, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([SCRIPTS / "slurm_here.sh", "stop", self.slurm], check=True)

    def send(self, name: str, runs_per_job: int, *chosen: str) -> subprocess.Popen[bytes]:
        """The command, which ends when the sweep in the folder `name` has."""
        launcher = (
            "hydra/launcher=slurm",
            f"hydra.launcher.runs_per_job={runs_per_job}",
            "hydra.launcher.cpus_per_task=1",
        )
        places = (f"hydra.sweep.dir={self.folder / name}", f"store.root={self.folder}/store")
        return subprocess.Popen(
            [sys.executable, str(SCRIPTS.parent / "train.py"), "-m", *chosen, *SMALL, *launcher, *places],
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )

    def requeue(self, job: str) -> None:
        subprocess.run(["scontrol", "requeue", job], env=self.environment, check=True)


def ended(command: subprocess.Popen[bytes]) -> None:
    """Waits for the end of a command that is to end well."""
    if status := command.wait():
        raise subprocess.CalledProcessError(status, command.args)


def cost(sweeps: Sweeps, runs: int, steps: int) -> dict[str, float]:
    """Seconds and ratios of a sweep of so many runs of so many steps, half of them of either picture."""
    sweep, begun = sweeps.folder / "packed", time.time()
    chosen = ("transform=fft,cwt", f"seed=range(0,{runs // 2})", f"trainer.max_steps={steps}")
    ended(sweeps.send(sweep.name, runs // AT_ONCE, *chosen))
    over = time.time()
    records = list(sweep.glob("*/metrics.json"))
    seconds = [json.loads(file.read_text())["seconds"] for file in records]
    fit = sum(each["fit"] for each in seconds)
    submitted = min(file.stat().st_mtime for file in sweep.glob(".submitit/*/*/*_submission.sh"))
    recorded = max(file.stat().st_mtime for file in records)
    return {
        "runs": len(records),
        "wall_seconds": over - begun,
        "start_seconds": submitted - begun,
        "jobs_seconds": recorded - submitted,
        "end_seconds": over - recorded,
        "fit_seconds": fit,
        "fit_seconds_a_run": fit / len(records),
        "run_seconds": sum(each["total"] for each in seconds) / len(records),
        "ratio": (over - begun) / (fit / AT_ONCE),
        "jobs_ratio": (recorded - submitted) / (fit / AT_ONCE),
    }


def kill_each(sweeps: Sweeps, runs: int, steps: int) -> dict[str, float]:
    """How many runs end as unbroken ones that are killed at a random moment."""
    chosen = ("transform=fft", f"seed=range(0,{runs})", f"trainer.max_steps={LONGER * steps}")
    unbroken, killed = (sweeps.folder / name for name in ("unbroken", "killed"))
    ended(sweeps.send(unbroken.name, 1, *chosen))
    moments = {
        f"fft seed={seed}": random.uniform(0, metrics(unbroken / f"fft seed={seed}")["seconds"]["total"])
        for seed in range(runs)
    }
    command, begun, went_on = sweeps.send(killed.name, 1, *chosen), dict[str, float](), 0
    while command.poll() is None:
        for name, after in list(moments.items()):
            if (killed / name).exists():
                begun.setdefault(name, time.monotonic())
            if name in begun and time.monotonic() - begun[name] >= after:
                (number,) = re.findall(r"(\d+)_0$", "\n".join(map(str, killed.glob(".submitit/*/*_0"))))
                went_on += (killed / name / "checkpoints" / "last.ckpt").exists()
                sweeps.requeue(f"{number}_{name.partition('=')[2]}")
                del moments[name]
        time.sleep(0.05)
    ended(command)
    same = sum(lasting(killed / f"fft seed={seed}") == lasting(unbroken / f"fft seed={seed}") for seed in range(runs))
    return {"kills": runs - len(moments), "went_on": went_on, "same_metrics": same}


def metrics(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return found


def lasting(run: Path) -> dict[str, Any]:
    """What does not depend on what else the machine does."""
    return {key: value for key, value in metrics(run).items() if key not in OF_TIME}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    arguments = parser.parse_args()
    runs, steps, kills = (QUICK_RUNS, QUICK_STEPS, QUICK_KILLS) if arguments.quick else (RUNS, STEPS, KILLS)
    with tempfile.TemporaryDirectory() as folder, Sweeps(Path(folder)) as sweeps:
        figures = cost(sweeps, runs, steps) | kill_each(sweeps, kills, steps)
    print(tabulate(figures.items(), floatfmt=".3f"))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
