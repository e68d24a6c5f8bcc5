"""What a sweep costs on Slurm beyond its runs' training: many short runs, packed into two jobs on a Slurm of one node.

`scripts/slurm_here.sh` starts it, on two processors or more; each job has one. `wall_seconds` are those of the command,
from its start to the end of the comparison: it imports PyTorch, as do both jobs and the one that compares. `ratio` is
that time over half the sum of the runs' own seconds of fitting, as their `metrics.json` say, and `jobs_ratio` the same
for the time from sending the jobs to the last run's record.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from audioid.files import replacing

SCRIPTS = Path(__file__).parent
AT_ONCE = 2
RUNS, QUICK_RUNS = 40, 4
SMALL = ("data.per_class=12", "image.size=32", "model.width=16", "trainer.accelerator=cpu")
STEPS, QUICK_STEPS = 300, 20


def measure(folder: Path, runs: int, steps: int) -> dict[str, float]:
    """Seconds and ratios of a sweep of so many runs of so many steps, half of them of either picture.

    Raises:
        CalledProcessError: Slurm does not start, or the sweep fails.
    """
    slurm, sweep = folder / "slurm", folder / "sweep"
    subprocess.run([SCRIPTS / "slurm_here.sh", "start", slurm], check=True, stdout=subprocess.DEVNULL)
    launcher = (
        "hydra/launcher=slurm",
        f"hydra.launcher.runs_per_job={runs // AT_ONCE}",
        "hydra.launcher.cpus_per_task=1",
    )
    chosen = ("transform=fft,cwt", f"seed=range(0,{runs // 2})", f"trainer.max_steps={steps}", *SMALL)
    places = (f"hydra.sweep.dir={sweep}", f"store.root={folder}/store")
    try:
        begun = time.time()
        subprocess.run(
            [sys.executable, SCRIPTS.parent / "train.py", "-m", *chosen, *launcher, *places],
            env=os.environ | {"SLURM_CONF": f"{slurm}/slurm.conf", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wall = time.time() - begun
    finally:
        subprocess.run([SCRIPTS / "slurm_here.sh", "stop", slurm], check=True)
    records = list(sweep.glob("*/metrics.json"))
    fit = sum(json.loads(file.read_text())["seconds"]["fit"] for file in records)
    submitted = min(file.stat().st_mtime for file in sweep.glob(".submitit/*/*/*_submission.sh"))
    jobs = max(file.stat().st_mtime for file in records) - submitted
    return {
        "runs": len(records),
        "wall_seconds": wall,
        "jobs_seconds": jobs,
        "fit_seconds": fit,
        "fit_seconds_a_run": fit / len(records),
        "ratio": wall / (fit / AT_ONCE),
        "jobs_ratio": jobs / (fit / AT_ONCE),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(
            Path(folder),
            QUICK_RUNS if arguments.quick else RUNS,
            QUICK_STEPS if arguments.quick else STEPS,
        )
    print(tabulate(figures.items(), floatfmt=".3f"))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
