"""Cost as it grows: seconds and memory of each command at a thousand, ten thousand, a hundred thousand recordings.

Each recording is a short file of its own. The commands are those that a user runs, one after another, and what one
has kept the next may use: `index` reads the headers, and again; `split` parts the recordings in folds; `audit` looks
for near-duplicates and all else; `prepare` fills the store; `train` runs an epoch; `compare` reads ten runs whose test
parts are all recordings together; `identify` names all files by the network of `train`. A million recordings, which are
names of a few files, are read, split and compared alone.

`exponent` is that by which the seconds have grown from the size before: 1 where ten times as many take ten times as
long, less where the start of a command counts. Memory is the most that a process of the command has held, in MiB, but
never less than this script itself holds.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
from bench_comparison import ARMS, CLASSES, FOLDS, write_run  # type: ignore[import-not-found]
from bench_index import link_recordings  # type: ignore[import-not-found]
from numpy.random import default_rng
from tabulate import tabulate

from audioid.config import compose
from audioid.files import replacing

SIZES, LARGEST = (1_000, 10_000, 100_000), 1_000_000
RATE, SAMPLES = 8000, 800
SCRIPTS = Path(__file__).parent
SMALL = ("audio.sample_rate=8000", "audio.seconds=0.1", "image.size=32", "image.f_max=3900", "model.width=8")
SHORT = ("transform=fft", "trainer.accelerator=cpu", "trainer.max_epochs=1")

INDEX = """
import sys
from pathlib import Path
from audioid.data.index import index_folder
print(len(index_folder(Path(sys.argv[1]), cache=Path(sys.argv[2])).table))
"""
SPLIT = """
import sys
import numpy as np
from audioid.data.split import split
count = int(sys.argv[1])
targets, groups = np.arange(count) % 13, (np.arange(count) // 20).astype(str).astype(object)
parts = dict(name="kfold", classes=list("abcdefghijklm"), test_fraction=0.2, val_fraction=0.15, folds=5, seed=0)
for fold in range(5):
    split(targets, groups=groups, fold=fold, **parts)
"""


def write_recordings(root: Path, count: int) -> None:
    """As many files as `count`: tones in noise, a pitch for each label."""
    rng, times = default_rng(0), np.arange(SAMPLES) / RATE
    for number in range(count):
        label = number % len(CLASSES)
        folder = root / CLASSES[label]
        if number < len(CLASSES):
            folder.mkdir(parents=True)
        tone = np.sin(2 * np.pi * 200 * 1.2 ** (label + rng.uniform(-0.4, 0.4)) * times + rng.uniform(0, 6))
        noise = rng.standard_normal(SAMPLES)
        soundfile.write(folder / f"{number:07d}.wav", 0.5 * tone * np.exp(-20 * times) + 0.02 * noise, RATE)


def write_runs(root: Path, count: int) -> None:
    """Ten runs, five folds of both arms, whose test parts are `count` recordings together."""
    rng = default_rng(0)
    labels = np.arange(count) % len(CLASSES)
    paths = np.array([f"{CLASSES[label]}/{number:07d}.wav" for number, label in enumerate(labels)])
    difficulty = rng.normal(3.5, 1.5, count)
    for number in range(2 * FOLDS):
        arm, fold = ARMS[number % 2], number // 2
        chosen = [f"transform={arm}", "data=folder", f"data.root={root}", "split=kfold", f"split.fold={fold}"]
        here = np.arange(fold, count, FOLDS)
        settings = compose([*chosen, "split.seed=0", "seed=0"]).model_dump()
        write_run(root / f"{arm} {fold}", settings, paths[here], labels[here], difficulty[here], rng)


def taken(command: Sequence[object], folder: Path) -> tuple[float, float]:
    """Seconds and MiB; raises SystemExit with what it said where it fails."""
    told = folder / "told.txt"
    with told.open("w", encoding="utf-8") as file:
        begun = time.perf_counter()
        process = subprocess.Popen([sys.executable, *map(str, command)], stdout=file, stderr=file, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed:\n{told.read_text(encoding='utf-8')[-2000:]}")
    return seconds, usage.ru_maxrss / 1024


def commands(folder: Path, count: int, *, whole: bool) -> dict[str, list[object]]:
    """Each step by its name."""
    root, runs = folder / "recordings", folder / "runs"
    corpus = ("data=folder", f"data.root={root}", f"store.root={folder}/store")
    index: list[object] = ["-c", INDEX, root, folder / "cache"]
    few: dict[str, list[object]] = {"index": index, "index again": index, "split": ["-c", SPLIT, count]}
    compare: list[object] = [SCRIPTS / "compare.py", runs]
    if not whole:
        return few | {"compare": compare}
    train = SCRIPTS.parent / "train.py"
    return few | {
        "audit": [SCRIPTS / "audit.py", *corpus, "--out", folder / "audit"],
        "prepare": [SCRIPTS / "prepare.py", *corpus, *SMALL, "transform=fft"],
        "train": [train, *corpus, *SMALL, *SHORT, f"hydra.run.dir={folder}/run"],
        "compare": compare,
        "identify": [SCRIPTS / "identify.py", folder / "run" / "model", root, "--format", "csv"],
    }


def measured(count: int, *, whole: bool) -> dict[str, tuple[float, float]]:
    """Of each step seconds and MiB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with get_context("spawn").Pool(1) as pool:  # so that this process stays small
            pool.apply(write_recordings if whole else link_recordings, (folder / "recordings", count))
            pool.apply(write_runs, (folder / "runs", count))
        found = {}
        for step, command in commands(folder, count, whole=whole).items():
            found[step] = taken(command, folder)
            print(f"{count:,} {step}: {found[step][0]:.1f} s, {found[step][1]:.0f} MiB", file=sys.stderr, flush=True)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="a hundred and a thousand recordings, 2,000 for a million")
    arguments = parser.parse_args()
    sizes, largest = ((100, 1_000), 2_000) if arguments.quick else (SIZES, LARGEST)
    found = {count: measured(count, whole=count != largest) for count in (*sizes, largest)}
    rows, figures = list[list[str]](), dict[str, float]()
    for step in found[sizes[0]]:
        before: tuple[int, float] | None = None
        for count, steps in found.items():
            if step not in steps:
                continue
            seconds, mib = steps[step]
            figures |= {f"{step} {count} seconds": seconds, f"{step} {count} mib": mib}
            exponent = ""
            if before:
                grown = math.log(seconds / before[1]) / math.log(count / before[0])
                figures[f"{step} {count} exponent"] = grown
                exponent = f"{grown:.2f}"
            rows.append([step, f"{count:,}", f"{seconds:.1f}", f"{mib:.0f}", exponent])
            before = count, seconds
    print(tabulate(rows, ("step", "recordings", "seconds", "MiB", "exponent"), disable_numparse=True))
    if arguments.json:
        with replacing(arguments.json) as file:
            file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
