"""What a change of network, augmentation or training is worth on sounds from elsewhere: the table of docs/learning.md.

python scripts/bench_recipe.py --rows all --corpus machines=DIR --groups machines='/(\\S+) ' --corpus drums3=DIR

Each row is a recipe, tried on each corpus with both pictures over the same folds, which keep groups (or else near
duplicates) apart. Figures are of the *validation* parts: no test part is looked at, so that it stays one. Runs are
kept in --out, and only missing ones are made.
"""

import argparse
import contextlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev

from tabulate import tabulate

from audioid.commands.runner import run_command
from audioid.config import compose
from audioid.errors import AudioidError
from audioid.files import replacing

ARMS = ("cwt", "fft")
BUILT_IN = "built-in"
SCRATCH, SHIPPED = ["model.pretrained=none"], ["model.pretrained=synthetic"]


def candidate(**arguments: object) -> list[str]:
    """A network of scripts/candidates.py, which is the default but for what is said."""
    text = ",".join(f"{key}:{_hydra(value)}" for key, value in arguments.items())
    return ["model=custom", "model.target=candidates.network", f"model.arguments={{{text}}}"]


def _hydra(value: object) -> str:
    if isinstance(value, list):
        return "[" + ",".join(map(_hydra, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


RESIDUAL = [0, 0, 1, 1]  # after which stages
WIDER = ["augment.frequency_shift=0.1", "augment.time_stretch=0.7", "augment.tilt_db=18"]


def of_arm(overrides: Sequence[str], arm: str) -> list[str]:
    """Those of a row that are for this picture: of `cwt: transform.wavelet=mexh` the second half, for that alone."""
    split = [text.rpartition(": ") for text in overrides]
    return [text for own, _, text in split if own in ("", arm)]


BASE_ROW = "default, from scratch"  # what the rows below it change one thing of
CHIEF = f"before: 20 epochs;no augmentation;{BASE_ROW};two residual blocks"
ROWS: dict[str, list[str]] = {
    "before: 20 epochs": [*SCRATCH, "augment=none", "trainer.max_epochs=20"],
    "no augmentation": [*SCRATCH, "augment=none"],
    BASE_ROW: SCRATCH,
    "no shift of rows": [*SCRATCH, "augment.frequency_shift=0.0"],
    "mixup": [*SCRATCH, "augment.mixup=0.3"],
    "time shift": [*SCRATCH, "augment.time_shift=0.1"],
    "clips as long as they sound": [*SCRATCH, "audio.seconds=auto"],
    "clips from the onset": [*SCRATCH, "audio.start=onset"],
    "clips of half a second, all of a recording": [*SCRATCH, "audio.seconds=0.5", "audio.windows=all"],
    "dropout 0.5": [*SCRATCH, "model.dropout=0.5"],
    "learning rate 0.004": [*SCRATCH, "optimizer.lr=0.004"],
    "weight decay 0.1": [*SCRATCH, "optimizer.weight_decay=0.1"],
    "pixel statistics": [*SCRATCH, "image.standardize=pixel"],
    "60 dB": [*SCRATCH, "image.decibel_range=60.0"],
    "windows and wavelets of twice the length": [
        *SCRATCH,
        "cwt: transform.wavelet=cmor6.0-1.0",
        "fft: transform.win_length=2048",
    ],
    "windows of half, wavelets of four times the length": [
        *SCRATCH,
        "cwt: transform.wavelet=cmor24.0-1.0",
        "fft: transform.win_length=512",
    ],
    "Morse wavelets": [*SCRATCH, "cwt: transform.wavelet=gmw20-3"],
    "two residual blocks": [*SCRATCH, "model.blocks=2"],
    "two residual blocks, wider changes": [*SCRATCH, "model.blocks=2", *WIDER],
    "two residual blocks, averaged weights": candidate(blocks=RESIDUAL, average=0.99),
    "three residual blocks": [*SCRATCH, "model.blocks=3"],
    "two squeezed-and-excited blocks": candidate(blocks=RESIDUAL, block="squeezed"),
    "five depthwise blocks": candidate(blocks=[0, 1, 2, 2], block="depthwise"),
    "three broadcasted blocks": candidate(blocks=[0, 1, 1, 1], block="broadcasted"),
    "mean and maximum over time": candidate(pool="mean and maximum"),
    "mean and deviation over time": candidate(pool="mean and deviation"),
    "attention over time": candidate(pool="attention"),
    "frequency pooled too": candidate(pool="frequency too"),
    "anti-aliased strides": candidate(blur=True),
    "frequency coordinates": candidate(inputs=["coordinates"]),
    "statistics of each row": candidate(inputs=["rows"]),
    "energy per channel normalised": candidate(inputs=["pcen"]),
    "relaxed normalisation": candidate(inputs=["relaxed"]),
    "judged at three heights": candidate(shifts=3),
    "frequency mixstyle": candidate(mixstyle=True),
    "random equalizer": candidate(inputs=["equalizer"]),
    "random noise floor": candidate(inputs=["floor"]),
    "label smoothing": SCRATCH,
    "sharpness-aware": SCRATCH,
    "taught by the default": SCRATCH,
    "sounds changed, not pictures": [*SCRATCH, "augment=sound"],
    "weights": SHIPPED,
    "weights, no augmentation": [*SHIPPED, "augment=none"],
    "weights, no shift of rows": [*SHIPPED, "augment.frequency_shift=0.0"],
    "weights, wider changes": [*SHIPPED, *WIDER],
    "weights, mixup": [*SHIPPED, "augment.mixup=0.3"],
    "weights, clips as long as they sound": [*SHIPPED, "audio.seconds=auto"],
    "weights, clips from the onset": [*SHIPPED, "audio.start=onset"],
    "weights, label smoothing": SHIPPED,
}


@dataclass(frozen=True)
class Run:
    """One training: `folder` is where it goes, `overrides` what it is."""

    row: str
    corpus: str
    arm: str
    fold: int
    folder: Path
    overrides: Sequence[str]

    @property
    def accuracy(self) -> float:
        """Of the validation part, at the epoch that was kept."""
        return float(json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))["val_accuracy"])

    def of(self, row: str) -> Path:
        """The folder of another row's run with the same picture, corpus and fold."""
        return self.folder.parents[2] / folder_name(row) / self.corpus / self.folder.name

    def change(self) -> contextlib.AbstractContextManager[object]:
        """What its row changes of the training loop for as long as it lasts."""
        import candidates  # type: ignore[import-not-found] # heavy, and for what trains alone

        changes: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
            "label smoothing": lambda: candidates.smoothed(0.1),
            "sharpness-aware": candidates.sharpness_aware,
            "taught by the default": lambda: candidates.taught(self.of(BASE_ROW)),
        }
        return changes.get(self.row.removeprefix("weights, "), contextlib.nullcontext)()


def folder_name(row: str) -> str:
    return re.sub("[^a-z0-9.]+", "-", row)


def corpora(folders: list[str], groups: list[str]) -> dict[str, list[str]]:
    """The overrides of each corpus."""
    found: dict[str, list[str]] = {BUILT_IN: []}
    patterns = dict(text.split("=", 1) for text in groups)
    for text in folders:
        if "=" not in text:
            raise AudioidError(f"--corpus: {text} has no name; give it as NAME=DIR")
        name, root = text.split("=", 1)
        apart = [f"data.group_pattern='{patterns[name]}'"] if name in patterns else ["split.group=near_duplicates"]
        found[name] = ["data=folder", f"data.root='{root}'", *apart]
    return found


def train(run: Run) -> None:
    """Trains it, unless it is done; what it says goes into a file beside its folder."""
    import torch

    from audioid.commands.train import run_in

    torch.set_num_threads(1)
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    log = run.folder.with_name(f"{run.folder.name}.log")
    with log.open("a", encoding="utf-8") as file, contextlib.redirect_stdout(file), run.change():
        run_in(run.folder, compose(run.overrides), list(run.overrides))


def planned(arguments: argparse.Namespace) -> list[Run]:
    """Every run that the table needs, a row after another."""
    rows = {name: overrides for name, overrides in ROWS.items() if _is_asked(name, arguments.rows)}
    if not rows:
        raise AudioidError(f"--rows: none begins so; there are {'; '.join(ROWS)}")
    found = corpora(arguments.corpus, arguments.groups)
    folds, shorter, out = arguments.folds, list[str](), arguments.out
    if arguments.without_built_in:
        del found[BUILT_IN]
        if not found:
            raise AudioidError("--without-built-in: leaves no corpus; name one with --corpus")
    if arguments.quick:
        found, folds, out = {BUILT_IN: corpora([], [])[BUILT_IN]}, 1, out / "quick"
        shorter = ["data.per_class=15", "trainer.max_epochs=5"]
    protocol = [
        f"split.folds={arguments.of}",
        "split=kfold",
        "trainer.accelerator=cpu",
        f"trainer.precision={arguments.precision}",
    ]
    return [
        Run(
            row,
            corpus,
            arm,
            fold,
            out / folder_name(row) / corpus / f"{arm}-{fold}",
            [
                *protocol,
                f"transform={arm}",
                f"split.fold={fold}",
                f"seed={fold}",
                *where,
                *of_arm(overrides, arm),
                *shorter,
            ],
        )
        for row, overrides in rows.items()
        for corpus, where in found.items()
        for fold in range(folds)
        for arm in ARMS
    ]


def _is_asked(name: str, asked: str) -> bool:
    return asked == "all" or any(
        name == each or (each not in ROWS and name.startswith(each)) for each in asked.split(";")
    )


def table(runs: Sequence[Run]) -> list[dict[str, str]]:
    """A line a row: validation accuracy by corpus and picture, the mean of all, and the change of it from the base.

    The base is `BASE_ROW`, if it is among them, else the first row. The spread is the standard error over corpora and
    folds: pictures, which judge by the same recordings, are averaged before.
    """
    accuracy = {(run.row, run.corpus, run.arm, run.fold): 100 * run.accuracy for run in runs}
    rows = list(dict.fromkeys(run.row for run in runs))
    cells = list(dict.fromkeys((run.corpus, run.arm) for run in runs))
    folds, corpora_here = sorted({run.fold for run in runs}), dict.fromkeys(run.corpus for run in runs)
    lines = []
    for row in rows:
        line = {"recipe": row}
        for corpus, arm in cells:
            line[f"{corpus} {arm}"] = f"{fmean(accuracy[row, corpus, arm, fold] for fold in folds):.1f}"
        line["mean"] = f"{fmean(accuracy[row, *cell, fold] for cell in cells for fold in folds):.1f}"
        base = rows[0] if BASE_ROW not in rows else BASE_ROW
        gains = [
            fmean(accuracy[row, corpus, arm, fold] - accuracy[base, corpus, arm, fold] for arm in ARMS)
            for corpus in corpora_here
            for fold in folds
        ]
        line["gain"] = "" if row == base else f"{fmean(gains):+.1f} ± {_standard_error(gains):.1f}"
        lines.append(line)
    return lines


def _standard_error(values: Sequence[float]) -> float:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", action="append", default=[], metavar="NAME=DIR", help="a folder for each label")
    parser.add_argument("--groups", action="append", default=[], metavar="NAME=REGEX", help="as data.group_pattern")
    parser.add_argument(
        "--rows",
        metavar="BEGINNING;...",
        default=CHIEF,
        help="that are called, or else begin, so, or all; default: what counts most",
    )
    parser.add_argument("--without-built-in", action="store_true", help="the folders alone")
    parser.add_argument("--of", type=int, default=5, help="folds of each corpus; default: 5")
    parser.add_argument("--folds", type=int, default=2, help="how many of them; default: 2")
    parser.add_argument("--precision", default="32-true", help="as trainer.precision; default: 32-true")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="runs at a time; default: cores")
    parser.add_argument("--out", type=Path, default=Path("outputs/recipe"), help="where the runs go")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="five epochs, one fold of a small built-in corpus")
    arguments = parser.parse_args()
    runs = planned(arguments)
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        for number, (run, _) in enumerate(zip(runs, pool.map(train, runs), strict=True), 1):
            where = f"{run.row}, {run.corpus}, {run.arm}, fold {run.fold}"
            print(f"{number}/{len(runs)} {where}: {100 * run.accuracy:.1f}", flush=True)
    lines = table(runs)
    print(tabulate(lines, headers="keys", disable_numparse=True))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps({line.pop("recipe"): line for line in lines}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
