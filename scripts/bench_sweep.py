"""Sweeps: what a sweep that is killed and gone on with ends in, and what its runs cost beyond their training.

*Kill and resume*: 20 short runs (both pictures, ten seeds), once unbroken and once killed five times at random moments,
from the start of the process on, with SIGKILL to it and all that it started, and gone on with each time. Both must end
in the same `comparison.json`, but for times and memory, and no run that had ended may be done again.

*Overhead*: the seconds between the records of the first and of the last run, less the fitting, by run; of the built-in
corpus whole, whose images the first run of each picture has to make. Its stages are those of `metrics.json`, and what
lies between one run and the next.

*Together*: the same runs one after another, each with all processors, and in as many processes at once as there are
processors (`hydra/launcher=joblib`), which share them. The two take turns; `together_ratio` is the median over these
pairs of the seconds one after another by the seconds together, start-up and comparison included.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from numpy.random import default_rng
from tabulate import tabulate

from audioid.files import replacing

TRAIN = (sys.executable, "-u", str(Path(__file__).parents[1] / "train.py"))
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # one order of additions, whatever else the machine does
SHORT = ("trainer.max_epochs=2", "trainer.accelerator=cpu")
TINY = ("data.per_class=6", "data.seconds=0.3", "audio.seconds=0.3", "image.size=32", "model.width=8", *SHORT)
KILLS = 5
SEED = 8
CHANGING = re.compile(r"(^|_)seconds$|_ms(_|$)|memory")  # keys of what is not the same when it is measured again
STAGES = ("index", "decode", "transform", "test", "record")

Figures = dict[str, float]


def start(folder: Path, *overrides: str, **environment: str) -> "subprocess.Popen[str]":
    """A sweep in `folder/sweep`, with a store of its own, in a group of processes that can be killed as one."""
    return subprocess.Popen(
        [*TRAIN, *overrides, f"store.root={folder}/store"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]") -> str:
    """What the sweep said."""
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a sweep failed:\n{told[-2000:]}")
    return told


def records(sweep: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of the record of each run that has ended."""
    return {file.parent.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in sweep.glob("*/metrics.json")}


def lasting(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What must be the same each time, as pairs of a path and a plain value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
        return
    for key, each in items:
        if not CHANGING.search(str(key)):
            yield from lasting(each, f"{path}.{key}")


def kill_and_resume(folder: Path, seeds: int) -> Figures:
    chosen = ("-m", "transform=fft,cwt", f"seed=range(0,{seeds})", *TINY)
    whole, broken, rng = folder / "whole", folder / "broken", default_rng(SEED)
    begun = time.perf_counter()
    process = start(whole, *chosen, f"hydra.sweep.dir={whole}/sweep", **ONE_THREAD)
    assert process.stdout is not None
    process.stdout.readline()  # the first line of progress: all before is start-up
    first_line = time.perf_counter() - begun
    finish(process)
    longest = first_line + (time.perf_counter() - begun - first_line) / KILLS  # five of these do not end the sweep
    kills, ended, repeated = 0, dict[str, tuple[int, bytes]](), 0
    for delay in [*rng.uniform(0, longest, KILLS).tolist(), None]:
        is_begun = (broken / "sweep" / "multirun.yaml").exists()
        again = (f"resume={broken}/sweep",) if is_begun else (*chosen, f"hydra.sweep.dir={broken}/sweep")
        process = start(broken, *again, **ONE_THREAD)
        if delay is None:
            finish(process)
        else:
            kills += killed_after(process, delay)
        now = records(broken / "sweep")
        repeated += sum(now.get(name) != record for name, record in ended.items())
        ended = now
    one, other = (
        dict(lasting(json.loads((each / "sweep" / "comparison.json").read_text()))) for each in (whole, broken)
    )
    return {
        "resume_runs": len(ended),
        "resume_kills": kills,
        "resume_repeated_runs": repeated,
        "resume_same_comparison": int(one == other),
        "resume_compared_values": len(one),
    }


def killed_after(process: "subprocess.Popen[str]", seconds: float) -> bool:
    """Whether the process was still there to be killed."""
    try:
        process.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True


def overhead(folder: Path, seeds: int, corpus: Sequence[str]) -> Figures:
    sweep = folder / "sweep"
    varied = ("-m", f"seed=range(0,{seeds})", "transform=fft,cwt")
    finish(start(folder, *varied, *SHORT, *corpus, f"hydra.sweep.dir={sweep}"))
    found = sorted(records(sweep).values())
    seconds = [json.loads(content)["seconds"] for _, content in found[1:]]
    wall = (found[-1][0] - found[0][0]) / 1e9 / len(seconds)
    means = {stage: fmean(each[stage] for each in seconds) for stage in (*STAGES, "fit", "total")}
    figures = {f"overhead_{stage}_seconds": means[stage] for stage in STAGES}
    return figures | {
        "overhead_between_seconds": wall - means["total"],
        "overhead_seconds_per_run": wall - means["fit"],
        "overhead_runs": len(found),
    }


def together(folder: Path, seeds: int, repeats: int, corpus: Sequence[str]) -> Figures:
    varied = ("-m", f"seed=range(0,{seeds})", "transform=fft,cwt", *corpus)
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=-1")
    ways: dict[str, tuple[str, ...]] = {"one_after_another": (), "together": joblib}
    taken: dict[str, list[float]] = {way: [] for way in ways}
    finish(start(folder, "-m", "transform=fft,cwt", *corpus, *SHORT, f"hydra.sweep.dir={folder}/pictures"))
    for repeat in range(repeats):
        for way, launcher in ways.items():
            begun = time.perf_counter()
            finish(start(folder, *varied, *launcher, f"hydra.sweep.dir={folder}/{way}-{repeat}"))
            taken[way].append(time.perf_counter() - begun)
    pairs = zip(*taken.values(), strict=True)
    seconds = {f"{way}_seconds": median(found) for way, found in taken.items()}
    return seconds | {"together_ratio": median(one / other for one, other in pairs), "together_runs": 2 * seeds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs")
    arguments = parser.parse_args()
    seeds, corpus = (3, TINY) if arguments.quick else (10, ())
    few, repeats, epochs = (1, 1, TINY) if arguments.quick else (2, 3, ("trainer.max_epochs=10",))
    with tempfile.TemporaryDirectory() as folder:
        figures = kill_and_resume(Path(folder), seeds) | overhead(Path(folder, "overhead"), min(seeds, 5), corpus)
        figures |= together(Path(folder, "together"), few, repeats, epochs)
    print(tabulate([(name, f"{value:.4g}") for name, value in figures.items()], ("figure", "value")))
    if arguments.json:
        with replacing(arguments.json) as file:
            file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
