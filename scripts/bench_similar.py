"""Measure the search for similar sounds: recordings indexed a second, and milliseconds a question beside a peer.

The peer is scikit-learn's NearestNeighbors, by brute force and cosine, in the same process on the same random
directions. Answers agree where both name the same recordings in the same order, but for those equally near within
rounding.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from tabulate import tabulate

from audioid.data.synthetic import write_corpus
from audioid.files import replacing
from audioid.identification import builtin
from audioid.identification.library import index_file, open_library
from audioid.identification.search import nearest

TOP = 10
QUESTIONS = 50
ROUNDING = 1e-5


def bench_search(count: int, axes: int) -> dict[str, float]:
    """Milliseconds for a question asked alone, the median, and the share of answers that agree."""
    generator = torch.Generator().manual_seed(0)
    directions, questions = (
        torch.nn.functional.normalize(torch.randn(n, axes, generator=generator), dim=1) for n in (count, QUESTIONS)
    )
    peer = NearestNeighbors(n_neighbors=TOP, metric="cosine", algorithm="brute").fit(directions.numpy())
    ours, theirs = [], []
    agree = 0
    for question in questions.split(1):
        start = time.perf_counter()
        (found,) = nearest(directions, question, TOP)
        between = time.perf_counter()
        distances, rows = peer.kneighbors(question.numpy())
        ours.append(between - start)
        theirs.append(time.perf_counter() - between)
        same = [near.row for near in found] == rows[0].tolist()
        agree += same or bool(np.allclose([1 - near.cosine for near in found], distances[0], atol=ROUNDING, rtol=0))
    start = time.perf_counter()
    nearest(directions, questions, TOP)
    return {
        "ms a question": 1000 * statistics.median(ours),
        "slowest": 1000 * max(ours),
        f"ms of {QUESTIONS} at once, each": 1000 * (time.perf_counter() - start) / QUESTIONS,
        "scikit-learn, ms a question": 1000 * statistics.median(theirs),
        "answers that agree": agree / QUESTIONS,
    }


def bench_index(root: Path, name: str) -> dict[str, float]:
    """Recordings a second, the first time and once nothing has changed."""
    model = builtin.load(name)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        file = index_file(root, builtin.folders_of(name), Path(folder))
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            library = open_library(model, root, file)
            seconds.append(time.perf_counter() - start)
        size = file.stat().st_size
    count = len(library.recordings)
    return {
        "recordings": count,
        "indexed a second": count / seconds[0],
        "opened again a second": count / seconds[1],
        "bytes a recording": size / count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin:fft", help="a model folder, or builtin (default: builtin:fft)")
    parser.add_argument("--root", type=Path, metavar="DIR", help="recordings in place of the built-in corpus")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="a tenth of the recordings and directions")
    arguments = parser.parse_args()
    scale = 10 if arguments.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root or Path(folder) / "corpus"
        if not arguments.root:
            write_corpus(root, seed=0, per_class=100 // scale, kits=10, sample_rate=22050, seconds=1.0)
        parts = {f"Index, {arguments.model}": bench_index(root, arguments.model)}
    for axes in (128, 896):  # of a model folder; all features of a network of the default width
        count = 100_000 // scale
        parts[f"Search, {count:,} x {axes}"] = bench_search(count, axes)
    for title, figures in parts.items():
        print(tabulate(figures.items(), headers=[title, ""], floatfmt=",.4g"), end="\n\n")
    if arguments.json:
        flat = {f"{title}: {key}": value for title, figures in parts.items() for key, value in figures.items()}
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(flat, indent=1) + "\n")


if __name__ == "__main__":
    main()
