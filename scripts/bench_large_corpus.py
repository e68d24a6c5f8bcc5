"""Measure the audit of 10,000 and of 100,000 recordings: seconds, memory, and how both grow.

The recordings are strokes of 0.2 s, twenty of each instrument and all distinct; one in a hundred is there again,
quieter and trimmed, and should be found as a near duplicate. Each size is measured in a process of its own, of which
the memory is told, not that of the processes that it starts. "Search" is the part of near duplicates that finds what
sounds alike. A growth of 1.0 is as the number of recordings, of 2.0 as its square.
"""

import argparse
import json
import math
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from tabulate import tabulate

from audioid.audit import report
from audioid.data import near_duplicates
from audioid.data.index import index_folder
from audioid.files import replacing

RATE, SECONDS = 16000, 0.2
TAKES, CLASSES, PARTIALS = 20, 10, 8
COPIED = 100  # one in so many
SIZES, QUICK_SIZES = (10_000, 100_000), (1_000, 3_000)
# Parts of the audit that take time.
PARTS = {"measure": "levels and bandwidths", "near_duplicate_pairs": "near duplicates", "shortcuts": "properties"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="{:,} and {:,} recordings".format(*QUICK_SIZES))
    arguments = parser.parse_args()
    sizes = QUICK_SIZES if arguments.quick else SIZES
    measured = []
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as process:
            write_strokes(Path(folder) / "corpus", count)
            measured.append(process.submit(measure, Path(folder)).result())
    small, large = measured
    growth = growths(small, large, times=sizes[1] / sizes[0])
    rows = [[name, small[name], large[name], growth.get(name, "")] for name in small]
    print(tabulate(rows, ["", *(f"{count:,}" for count in sizes), "growth"], floatfmt=("", ",.1f", ",.1f", ".2f")))
    if arguments.json:
        flat = {f"{count} {name}": part[name] for count, part in zip(sizes, measured, strict=True) for name in part}
        flat |= {f"growth {name}": value for name, value in growth.items()}
        with replacing(arguments.json) as file:
            file.write_text(json.dumps(flat, indent=2) + "\n")


def growths(small: Mapping[str, float], large: Mapping[str, float], *, times: float) -> dict[str, float]:
    """The power of the number of recordings, so many `times` as large, by which each figure grows that is never 0."""
    return {name: math.log(large[name] / small[name], times) for name in small if small[name] and large[name]}


def write_strokes(root: Path, count: int) -> None:
    """So many strokes, and their copies, in folders by label."""
    for label in range(CLASSES):
        (root / f"kind{label}").mkdir(parents=True)
    for number in range(count):
        instrument = number // TAKES
        random = default_rng([1, number])
        wave = stroke(default_rng([0, instrument]), random)
        path = root / f"kind{instrument % CLASSES}" / f"{number}.wav"
        soundfile.write(path, wave, RATE, subtype="PCM_16")
        if number % COPIED == 0:
            copy = random.uniform(0.1, 0.9) * wave[int(random.uniform(0.001, 0.02) * RATE) :]
            soundfile.write(path.with_stem(f"{number} again"), copy, RATE, subtype="PCM_16")


def stroke(instrument: Generator, take: Generator) -> NDArray[np.float64]:
    """Decaying partials and noise, `(time,)`: those of the instrument, each a little off."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    frequency = 60 * 100 ** instrument.random(PARTIALS) * (1 + 0.03 * take.standard_normal(PARTIALS))
    decay = 20 * 10 ** instrument.random(PARTIALS) * np.exp(0.2 * take.standard_normal(PARTIALS))
    level = np.exp(-2 * instrument.random(PARTIALS) + 0.2 * take.standard_normal(PARTIALS))
    phase = take.uniform(0, 2 * np.pi, PARTIALS)
    tones = level @ (np.exp(-np.outer(decay, time)) * np.sin(2 * np.pi * np.outer(frequency, time) + phase[:, None]))
    noise = instrument.random() * take.standard_normal(time.size) * np.exp(-instrument.uniform(20, 200) * time)
    return 0.5 * (tones + noise) / np.abs(tones + noise).max()


def measure(folder: Path) -> dict[str, float]:
    """Seconds of the audit of `folder/corpus` and of its parts, MiB at most, and the share of copies found."""
    figures: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any], *given: Any) -> Any:
        start = time.perf_counter()
        made = work(*given)
        figures[f"{name}, s"] = time.perf_counter() - start
        return made

    index = timed("headers", index_folder, folder / "corpus")
    for part, name in PARTS.items():
        setattr(report, part, partial(timed, name, getattr(report, part)))
    setattr(near_duplicates, "resembling", partial(timed, "search", near_duplicates.resembling))  # noqa: B010
    found = timed("audit", report.audit, index, "")
    timed("page", report.write, found, index, folder)
    figures["peak memory, MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["page, MB"] = (folder / "audit.html").stat().st_size / 1e6
    near = [case.paths for finding in found.findings if finding.key == "near" for case in finding.cases]
    copies = [paths for paths in near if min(paths, key=len).removesuffix(".wav") + " again.wav" in paths]
    figures["copies found, %"] = 100 * len(copies) / index.table["path"].str.endswith(" again.wav").sum()
    figures["other pairs"] = len(near) - len(copies)
    return figures


if __name__ == "__main__":
    main()
