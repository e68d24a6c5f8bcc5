"""A search that is killed and gone on with: is a trial lost or done twice, and does it end in a verdict?

`experiment=tune` on the built-in corpus, killed twice at random moments with SIGKILL to it and all that it started, and
gone on with each time. A trial is done twice where its result is written again, lost where it has none at the end;
`resumed` are those that were running when they were killed. With --whole then the same by a search that nobody stops,
whose trials must be alike to the last digit.

--quick has few and tiny trials, and implies --whole.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from numpy.random import default_rng
from tabulate import tabulate

from audioid.files import replacing

TRAIN = (sys.executable, "-u", str(Path(__file__).parents[1] / "train.py"))
TINY = ("data.per_class=6", "data.seconds=0.3", "audio.seconds=0.3", "image.size=32", "model.width=4")
SHORT = ("split.folds=3", "split.seed=1", "split.fold=0", "trainer.max_epochs=2", "trainer.accelerator=cpu")
SEED = 8

Trials = dict[tuple[str, int], str]  # what `trial.json` holds, by transform and number, of those that have ended
Times = dict[Path, int]  # when such a file was written, in nanoseconds


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """The command in a group of processes that can be killed as one; what it says goes to `told.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "told.txt").open("a", encoding="utf-8") as told:
        return subprocess.Popen(
            [*TRAIN, *arguments, f"store.root={folder}/store"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # one order of additions
            stdout=told,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def finish(process: "subprocess.Popen[str]", folder: Path) -> None:
    if process.wait():
        raise SystemExit(f"the search failed:\n{(folder / 'told.txt').read_text(encoding='utf-8')[-2000:]}")


def ended(sweep: Path) -> Trials:
    texts = [file.read_text(encoding="utf-8") for file in sorted(sweep.glob("trials/*/trial.json"))]
    found = {(each["arm"], each["number"]): (each, text) for text in texts for each in [json.loads(text)]}
    return {key: text for key, (each, text) in found.items() if "state" in each}


def written(sweep: Path) -> Times:
    files = [sweep / "trials" / f"{arm} {number:03d}" / "trial.json" for arm, number in ended(sweep)]
    return {file: file.stat().st_mtime_ns for file in files}


def kill_after(process: "subprocess.Popen[str]", sweep: Path, n_ended: int, delay: float) -> None:
    """Kills the search `delay` seconds after so many trials have ended."""
    while len(ended(sweep)) < n_ended:
        if process.poll() is not None:
            raise SystemExit("the search ended before it could be killed; give it more trials")
        time.sleep(0.1)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def killed_and_gone_on_with(folder: Path, trials: int, chosen: Sequence[str], longest: float) -> dict[str, float]:
    sweep, rng = folder / "sweep", default_rng(SEED)
    repeated, resumed, before = 0, 0, Times()
    for share in (0.3, 0.7, None):
        is_begun = (sweep / "multirun.yaml").exists()
        arguments = (f"resume={sweep}",) if is_begun else (*chosen, f"hydra.sweep.dir={sweep}")
        process = start(folder, *arguments)
        if share is None:
            finish(process, folder)
        else:
            kill_after(process, sweep, round(share * 2 * trials), rng.uniform(0, longest))
        now = written(sweep)
        resumed += len(list(sweep.glob("trials/*/trial.json"))) - len(now)
        repeated += sum(now.get(file) != time for file, time in before.items())
        before = now
    with (sweep / "search" / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = {(arm, number) for arm in ("fft", "cwt") for number in range(trials)}
    in_file = [(row["transform"], int(row["trial"])) for row in rows]
    comparison = json.loads((sweep / "comparison.json").read_text(encoding="utf-8"))["comparisons"][0]
    (difference,) = comparison["differences"]
    print(difference["verdict"])
    return {
        "trials": len(in_file),
        "trials_lost": len(wanted - set(in_file)) + len(wanted - set(ended(sweep))),
        "trials_repeated": repeated + len(in_file) - len(set(in_file)),
        "trials_resumed": resumed,
        "trials_pruned": sum(row["state"] == "pruned" for row in rows),
        "kills": 2,
        "verdicts": int(difference["decision"] in ("better", "equivalent", "undecided")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="three tiny trials an arm, and one split to judge")
    parser.add_argument("--trials", type=int, default=30, metavar="N", help="of each arm (default: %(default)s)")
    parser.add_argument("--whole", action="store_true", help="the same search unbroken too")
    parser.add_argument("overrides", nargs="*", help="further ones, such as trainer.max_steps=200")
    arguments = parser.parse_intermixed_args()
    trials = 3 if arguments.quick else arguments.trials
    small = (*TINY, *SHORT) if arguments.quick else ()
    chosen = ("experiment=tune", f"tune.trials={trials}", *small, *arguments.overrides)
    with tempfile.TemporaryDirectory() as folder:
        broken, whole = Path(folder, "broken"), Path(folder, "whole")
        begun = time.perf_counter()
        figures = killed_and_gone_on_with(broken, trials, chosen, longest=1 if arguments.quick else 20)
        figures["seconds"] = time.perf_counter() - begun
        if arguments.whole or arguments.quick:
            finish(start(whole, *chosen, f"hydra.sweep.dir={whole}/sweep"), whole)
            figures["same_as_unbroken"] = int(ended(broken / "sweep") == ended(whole / "sweep"))
    print(tabulate([(name, f"{value:.4g}") for name, value in figures.items()], ("figure", "value")))
    if arguments.json:
        with replacing(arguments.json) as file:
            file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
