"""How near an exported model's answers are to PyTorch's, and how fast onnxruntime gives them beside PyTorch.

python scripts/bench_export.py --model outputs/runs/WHEN/NAME --data DIR

Without --model it exports both halves of the ready-made model, and without --data the clips are generated. Both
programs are asked the same clips on one core; fp16 and int8 are held to PyTorch's answers in fp32.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from tabulate import tabulate

from audioid.commands.export import PRECISIONS
from audioid.commands.runner import run_command
from audioid.files import replacing
from audioid.identification import builtin
from audioid.identification.answers import Model
from audioid.identification.export import Trial, export, trial_by, trial_of_all_kinds
from audioid.identification.identify import judged
from audioid.identification.onnx_file import Session

BATCHES = (1, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", metavar="MODEL", help="as for export.py")
    parser.add_argument("--data", type=Path, metavar="DIR", help="recordings, a folder a label")
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="64 clips, three repeats, fp32 alone")
    arguments = parser.parse_args()
    count, repeats = (64, 3) if arguments.quick else (arguments.clips, arguments.repeats)
    torch.set_num_threads(1)
    columns: dict[str, dict[str, float | None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.model or ["builtin:fft", "builtin:cwt"]:
            model = builtin.load(name)
            trial = trial_by(arguments.data, model) if arguments.data else trial_of_all_kinds(count, model)
            for precision in PRECISIONS[: 1 if arguments.quick else None]:
                file = Path(folder, f"{precision}.onnx")
                columns[f"{name} {precision}"] = measured(model, file, trial, precision, repeats)
    figures = list(next(iter(columns.values())))
    print(
        tabulate(
            [[key, *(column[key] for column in columns.values())] for key in figures], ["", *columns], floatfmt=".3g"
        )
    )
    if arguments.json:
        values = {f"{name} {key}": value for name, column in columns.items() for key, value in column.items()}
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(values, indent=2) + "\n")


def measured(model: Model, file: Path, trial: Trial, precision: str, repeats: int) -> dict[str, float | None]:
    """What the export costs in answers, and medians of interleaved repeats, after one to warm up."""
    found = export(model, file, trial, precision=precision)
    session = Session(file.read_bytes(), threads=1)
    line: dict[str, float | None] = {
        "MB": file.stat().st_size / 1e6,
        "clips": found.clips,
        "difference": found.probability,
        "batch 1 from 64": found.alone,
        "of unknown scores": found.score,
        "answers changed": found.changed,
        "accuracy, PyTorch": found.model_accuracy,
        "accuracy, file": found.file_accuracy,
    }
    for size in BATCHES:
        clips = trial.clips[np.arange(size) % len(trial.clips)]
        asked: dict[str, Callable[[], object]] = {
            "onnxruntime": partial(session.answers, clips, at_once=size),
            "PyTorch": partial(_judged, model, clips),
        }
        seconds: dict[str, list[float]] = {name: [] for name in asked}
        for repeat in range(repeats + 1):
            for name, ask in asked.items():
                taken = _seconds(ask)
                if repeat:
                    seconds[name].append(taken)
        typical = {name: median(values) / size * 1e3 for name, values in seconds.items()}
        line |= {f"{name} ms a clip, batch {size}": value for name, value in typical.items()}
        line[f"speed, batch {size}"] = typical["PyTorch"] / typical["onnxruntime"]
    return line


def _judged(model: Model, clips: NDArray[np.float32]) -> object:
    return judged(model, [[clip] for clip in clips])


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(run_command(main))
