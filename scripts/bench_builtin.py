"""How well the ready-made model names recordings that it has not learned from: of each picture, and of both together.

python scripts/bench_builtin.py --real DIR --map crash=cymbal,ride=cymbal --group-pattern '/(\\S+) ' --half 0

Recordings whose labels the model does not know are left out. "free" is the share named rightly among all names that the
model has, "among" that among the names that the folder has (as `identify --labels`). The
intervals are of groups drawn again.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from realism import recordings  # type: ignore[import-not-found]
from tabulate import tabulate

from audioid.commands.runner import run_command
from audioid.files import replacing
from audioid.identification import answers, builtin

DRAWS = 2000


def named(model: answers.Model, waveforms: NDArray[np.float32]) -> NDArray[np.str_]:
    """The likeliest name of each of the waveforms `(recordings, time)`."""
    labels = np.array(model.labels)
    with torch.inference_mode():
        parts = [model.classifier.judge(part)[1].argmax(1) for part in torch.from_numpy(waveforms).split(64)]
    return labels[torch.cat(parts).numpy()]


def interval(right: NDArray[np.bool_], groups: NDArray[np.str_]) -> tuple[float, float]:
    """The middle 95 % of the share over groups drawn again, which are what another corpus would differ in."""
    _, place = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(place, right), np.bincount(place)
    drawn = np.random.default_rng(0).integers(len(sums), size=(DRAWS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, metavar="DIR", help="recordings in folders named by label")
    parser.add_argument("--map", default="", metavar="THEIRS=OURS,...", help="labels of the folder that ours stand for")
    parser.add_argument(
        "--also", default="", metavar="OURS=OURS,...", help="answers that are right too, as open hi-hats"
    )
    parser.add_argument("--leave-out", default="", metavar="OURS,...", help="labels that are not judged")
    parser.add_argument("--group-pattern", metavar="REGEX", help="captures a recording's maker, as data.group_pattern")
    parser.add_argument("--half", type=int, choices=(0, 1), help="only makers whose SHA-256 begins even (0) or odd")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    pairs = [dict(pair.split("=") for pair in text.split(",") if pair) for text in (arguments.map, arguments.also)]
    waveforms, labels, groups = recordings(
        arguments.real, group_pattern=arguments.group_pattern, half=arguments.half, same_as=pairs[0]
    )
    judged = ~np.isin(labels, arguments.leave_out.split(","))
    waveforms, labels, groups = waveforms[judged], labels[judged], groups[judged]
    rows: list[dict[str, str | float]] = []
    figures: dict[str, float] = {}
    for name in ("builtin:fft", "builtin:cwt", "builtin"):
        model = builtin.load(name)
        names = sorted({*labels, *pairs[1].values()} & set(model.labels))
        for way, asked in (("free", model), ("among", answers.only(model, names))):
            found = named(asked, waveforms)
            right = (found == labels) | (found == np.array([pairs[1].get(label, label) for label in labels]))
            low, high = interval(right, groups)
            classes = {label: float(right[labels == label].mean()) for label in np.unique(labels)}
            whole = {"accuracy": float(right.mean()), "low": low, "high": high}
            whole["mean over labels"] = float(np.mean([*classes.values()]))
            rows.append({"model": name, "names": way, **whole, **classes})
            figures |= {f"{name} {way} {key}": float(value) for key, value in (whole | classes).items()}
    print(f"{len(labels)} recordings of {len(set(labels))} labels by {len(set(groups))} makers")
    lines = [[key, *(row[key] for row in rows)] for key in list(rows[0])[2:]]
    print(tabulate(lines, ["", *(f"{row['model']} {row['names']}" for row in rows)], floatfmt=".3f"))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
