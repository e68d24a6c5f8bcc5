"""How fast recordings are named: files a second from disk, beside decoding alone, and one file from a cold start.

python scripts/bench_identify.py --model outputs/runs/WHEN/NAME/model

Without --model it asks both halves of the ready-made model. The files are sounds of the built-in corpus, a second each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

from tabulate import tabulate

from audioid.commands.runner import run_command
from audioid.data.clips import load_clips
from audioid.data.synthetic import write_corpus
from audioid.files import replacing
from audioid.identification import builtin
from audioid.identification.answers import Model
from audioid.identification.identify import identify

SCRIPT = Path(__file__).with_name("identify.py")
KINDS = 13  # of the built-in corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", metavar="MODEL", help="as for identify.py")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="a hundred files, one repeat")
    arguments = parser.parse_args()
    count, repeats = (100, 1) if arguments.quick else (arguments.files, arguments.repeats)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "sounds")
        write_corpus(root, seed=0, per_class=-(-count // KINDS), kits=8, sample_rate=22050, seconds=1.0)
        files = sorted(root.rglob("*.wav"))[:count]
        for name in arguments.model or ["builtin:fft", "builtin:cwt"]:
            lines.append({"model": name} | measured(name, files, repeats))
    print(tabulate(lines, headers="keys", floatfmt=".2f"))
    if arguments.json:
        values = {f"{line['model']} {key}": value for line in lines for key, value in line.items() if key != "model"}
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(values, indent=2) + "\n")


def measured(name: str, files: list[Path], repeats: int) -> dict[str, float]:
    """Medians of interleaved repeats, after one to warm up."""
    model = builtin.load(name)
    cold = {"answer s": [str(SCRIPT), name, str(files[0])], "import torch s": ["-c", "import torch"]}
    seconds: dict[str, list[float]] = {key: [] for key in ("identified", "decoded", *cold)}
    for repeat in range(repeats + 1):
        found = {
            "identified": _seconds(partial(_identified, model, files)),
            "decoded": _seconds(partial(_decoded, model, files)),
        }
        for key, words in cold.items():
            command = [sys.executable, *words]
            found[key] = _seconds(partial(subprocess.run, command, check=True, capture_output=True))
        if repeat:
            for key, value in found.items():
                seconds[key].append(value)
    typical = {key: median(values) for key, values in seconds.items()}
    return {
        "files a second": len(files) / typical["identified"],
        "decoded alone": len(files) / typical["decoded"],
        "share of decoding": typical["decoded"] / typical["identified"],
    } | {f"cold {key}": typical[key] for key in cold}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _identified(model: Model, files: list[Path]) -> None:
    for answer in identify(model, files, top=3):
        assert answer.error is None


def _decoded(model: Model, files: list[Path]) -> None:
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda file: load_clips(file, **model.audio), files):
            pass


if __name__ == "__main__":
    sys.exit(run_command(main))
