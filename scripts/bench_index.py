"""Index, decoding and splits: seconds and memory, on a folder of recordings and on a million made headers."""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.random import default_rng
from tabulate import tabulate

from audioid.data.audio import Unreadable, load
from audioid.data.headers import read_cache, write_cache
from audioid.data.index import Index, index_folder
from audioid.data.split import split
from audioid.files import replacing

MADE_FILES = 5000
CLASSES = 50


def seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def memory_mib(field: str) -> float:
    """`VmRSS` is what the process holds, `VmHWM` the most that it has held."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) / 1024


def write_recordings(root: Path, count: int) -> None:
    """Short recordings in 50 folders, each of its own content."""
    rng = default_rng(0)
    for number in range(count):
        path = root / f"label {number % CLASSES}" / f"recording {number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-1, 1, 2000), 22050)


def bench_folder(root: Path, cache: Path, repeats: int) -> dict[str, float]:
    """First and second index, and decoding: with all cores, with one, and soundfile alone for comparison."""
    first = seconds(lambda: index_folder(root, cache=cache))
    index = index_folder(root, cache=cache)
    paths = [root / path for path in index.table["path"]]

    def decode(path: Path) -> None:
        try:
            load(
                path,
                sample_rate=22050,
                seconds=1.0,
                start="beginning",
                padding="end",
                remove_dc=True,
                level="none",
            )
        except Unreadable as error:
            print(error)

    def decode_all(threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(decode, paths))

    cores = os.cpu_count() or 1
    first_decode = seconds(lambda: decode_all(cores))
    one, all_cores, alone, second = [], [], [], []
    for _ in range(repeats):
        one.append(seconds(lambda: decode_all(1)))
        all_cores.append(seconds(lambda: decode_all(cores)))
        alone.append(seconds(lambda: [soundfile.read(path, dtype="float32") for path in paths]))
        second.append(seconds(lambda: index_folder(root, cache=cache)))
    return {
        "files": len(paths),
        "cores": cores,
        "first_index_seconds": first,
        "first_decode_seconds": first_decode,
        "first_index_and_decode_seconds": first + first_decode,
        "second_index_seconds": statistics.median(second),
        "decode_one_thread_seconds": statistics.median(one),
        "decode_all_cores_seconds": statistics.median(all_cores),
        "decode_over_plain_soundfile": statistics.median(one) / statistics.median(alone),
        "first_index_of_a_million_seconds_extrapolated": first / len(paths) * 1e6,
        "second_index_of_a_million_seconds_extrapolated": statistics.median(second) / len(paths) * 1e6,
    }


def made_headers(rows: int) -> pd.DataFrame:
    """What the cache of an index of so many recordings would hold."""
    rng = default_rng(0)
    number = np.arange(rows)
    table = pd.DataFrame({"path": [f"label {n % CLASSES}/recording {n:07d}.wav" for n in range(rows)]})
    return table.assign(
        size=100_000 + number,
        mtime_ns=1_700_000_000_000_000_000 + number,
        frames=rng.integers(1000, 100_000, rows),
        sample_rate=44100,
        channels=1,
        subtype="PCM_16",
        checksum=[rng.bytes(16).hex() for _ in range(rows)],
    )


def bench_rows(rows: int, cache: Path) -> dict[str, float]:
    """The same steps on `rows` made headers: what an index is once all files have been read."""
    before = memory_mib("VmRSS")
    headers = made_headers(rows)
    write = seconds(lambda: write_cache(cache, headers))
    read = seconds(lambda: read_cache(cache))
    merge = seconds(lambda: headers[["path", "size", "mtime_ns"]].merge(headers, how="left"))
    table = headers.assign(
        label=headers["path"].str.split("/").str[0],
        group=[f"source {number // 20}" for number in range(rows)],
        split="",
        fold=-1,
        seconds=headers["frames"] / headers["sample_rate"],
    )
    index = Index(Path("made"), table)
    figures = {
        "rows": rows,
        "cache_mib": cache.stat().st_size / 2**20,
        "cache_write_seconds": write,
        "cache_read_seconds": read,
        "cache_match_seconds": merge,
        "targets_seconds": seconds(lambda: index.targets),
        "groups_seconds": seconds(lambda: index.groups),
        "digest_seconds": seconds(lambda: index.digest),
    }
    for name in ("stratified", "grouped", "kfold"):
        begin = time.perf_counter()
        split(
            index.targets,
            name=name,
            classes=index.classes,
            test_fraction=0.2,
            val_fraction=0.15,
            folds=5,
            fold=0,
            seed=0,
            groups=None if name == "stratified" else index.groups,
        )
        figures[f"split_{name}_seconds"] = time.perf_counter() - begin
    figures["table_mib"] = index.table.memory_usage(deep=True).sum() / 2**20
    figures["memory_most_mib"] = memory_mib("VmHWM") - before
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="a folder of recordings instead of short ones made for the purpose")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows and files")
    arguments = parser.parse_args()
    scale = 20 if arguments.quick else 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.root is None:
            write_recordings(folder / "recordings", MADE_FILES // scale)
        rows = bench_rows(1_000_000 // scale, folder / "headers")
        files = bench_folder(arguments.root or folder / "recordings", folder / "cache", repeats=3)
    for title, figures in ("Recordings", files), ("Made headers", rows):
        print(tabulate(figures.items(), headers=[title, ""], floatfmt=",.4g"), end="\n\n")
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(files | rows, indent=1))


if __name__ == "__main__":
    main()
