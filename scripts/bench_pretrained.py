"""What weights to start from give: corpus by recordings a class, from generated sounds against from scratch.

python scripts/bench_pretrained.py --transform fft --corpus machines=DIR --groups machines='/(\\S+) '

Each line of the table is a sweep of its own, over splits that keep groups (or else near-duplicates) on one side. The
test part is the same for every number of recordings a class. Started again it goes on with what is missing.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from tabulate import tabulate

from audioid.classifier import build_classifier
from audioid.commands.runner import run_command
from audioid.config import compose
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.model_description import SECTIONS
from audioid.pretrained import beginning_of
from audioid.training.build import begin_with

BUILT_IN = "built-in"
ARMS = "model.pretrained=none,synthetic"
RECIPE = ["trainer.max_epochs=20", "augment=none"]  # as the figures in docs/generator.md were made


def corpora(folders: list[str], groups: list[str]) -> dict[str, list[str]]:
    """The overrides of each corpus, the built-in one the last: its sounds are computed, which flatters."""
    found = {}
    patterns = dict(text.split("=", 1) for text in groups)
    for text in folders:
        name, root = text.split("=", 1)
        apart = [f"data.group_pattern='{patterns[name]}'"] if name in patterns else ["split.group=near_duplicates"]
        found[name] = ["data=folder", f"data.root='{root}'", "split=grouped", *apart]
    return found | {BUILT_IN: ["data.per_class=150", "data.kits=50", "split=grouped"]}


def suite_of(transform: str, found: dict[str, list[str]], sizes: list[int], splits: int) -> dict[str, Any]:
    """A suite of `scripts/suite.py`: a sweep for each corpus and size."""
    seeds = ",".join(map(str, range(splits)))
    protocol = [f"transform={transform}", ARMS, *RECIPE, f"split.seed={seeds}", "seed=${split.seed}"]
    lines = {
        f"{name} {size}": [*overrides, f"split.train_per_class={size}"]
        for size in sizes
        for name, overrides in found.items()
    }
    return {"protocol": protocol, "corpora": lines}


def loading_ms(transform: str) -> float:
    """What it adds to a run to decide on the shipped weights, to check them and to load them: milliseconds, median."""
    settings = compose(["data=folder", "data.root=.", f"transform={transform}"])
    groups = {group: getattr(settings, group).model_dump() for group in SECTIONS}
    classifier, times = build_classifier(**groups, n_classes=10), []
    for _ in range(21):
        started = time.perf_counter()
        weights = beginning_of(settings).weights
        if weights is None:
            raise AudioidError(f"transform: no weights for {transform} come with audioid; choose fft or cwt")
        begin_with(classifier, weights)
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


def table(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each sweep: both arms, the gain with its interval, and the share of the errors that is gone."""
    rows = []
    for each in report["corpora"]:
        arms = {arm["arm"].rpartition("=")[2]: arm["mean"] for arm in each["arms"]}
        difference = each["differences"][0]
        sign = 1 if difference["first"].endswith("synthetic") else -1
        ends = sorted(sign * difference[key] for key in ("low", "high"))
        gain = arms["synthetic"] - arms["none"]
        rows.append(
            {
                "corpus": each["corpus"],
                "measure": each["metric"],
                "scratch": 100 * arms["none"],
                "synthetic": 100 * arms["synthetic"],
                "gain": 100 * gain,
                "low": 100 * ends[0],
                "high": 100 * ends[1],
                "errors gone": 100 * gain / max(1e-9, 1 - arms["none"]),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transform", default="fft", help="default: fft")
    parser.add_argument("--corpus", action="append", default=[], metavar="NAME=DIR", help="a folder for each label")
    parser.add_argument("--groups", action="append", default=[], metavar="NAME=REGEX", help="as data.group_pattern")
    parser.add_argument("--sizes", default="10,30,100", help="recordings of each class to learn from")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("outputs/pretrained"), help="where the runs go")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="ten recordings of each class, two splits")
    arguments = parser.parse_args()
    sizes = [10] if arguments.quick else [int(size) for size in arguments.sizes.split(",")]
    chosen = suite_of(
        arguments.transform,
        corpora(arguments.corpus, arguments.groups),
        sizes,
        2 if arguments.quick else arguments.splits,
    )
    loading = loading_ms(arguments.transform)
    print(f"loading the shipped weights for {arguments.transform}: {loading:.1f} ms", flush=True)
    out = arguments.out / arguments.transform
    out.mkdir(parents=True, exist_ok=True)
    file = out / "suite.yaml"
    file.write_text(yaml.safe_dump(chosen, sort_keys=False), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "audioid", "suite", str(file), "--out", str(out)], check=True)
    rows = table(json.loads((out / "suite.json").read_text(encoding="utf-8")))
    print(tabulate(rows, headers="keys", floatfmt=".1f"))
    if arguments.json:
        figures = {
            f"{arguments.transform} {row['corpus']} {key}": value
            for row in rows
            for key, value in row.items()
            if isinstance(value, float)
        } | {f"{arguments.transform} loading_ms": loading}
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
