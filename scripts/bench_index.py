"""Index, decoding and splits: seconds and memory, on a folder of recordings, on a million names, on made headers.

Memory is that of the main process; those that read headers hold some 130 MiB each.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
from numpy.random import default_rng
from tabulate import tabulate

from audioid.data.audio import Unreadable, load
from audioid.data.headers import KEPT, WRITTEN, columns_of, read_cache, write_cache
from audioid.data.index import Index, index_folder
from audioid.data.split import split
from audioid.data.walk import walk
from audioid.files import replacing

MADE_FILES = 5000
CLASSES = 50
NAMES_OF_A_FILE = 50_000


def seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def memory_mib(field: str) -> float:
    """Of this process, not of those that it starts: `VmRSS` is what it holds, `VmHWM` the most that it has held."""
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


def in_a_new_process(action: Callable[..., dict[str, float]], *arguments: object) -> dict[str, float]:
    """So that the most memory it has held is that of the action, and nothing is left from what ran before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(action, *arguments).result()


def bench_many(root: Path, cache: Path, rows: int) -> dict[str, float]:
    """First and second index of `rows` files: names of a few short recordings, of which each has many."""
    begin = time.perf_counter()
    link_recordings(root, rows)
    figures: dict[str, float] = {"names": rows, "making_names_seconds": time.perf_counter() - begin}
    for name in ("first", "second"):
        for figure, value in in_a_new_process(index_all, root, cache).items():
            figures[f"{name}_index_{figure}"] = value
    return figures | in_a_new_process(walk_and_stat, root)


def link_recordings(root: Path, rows: int) -> None:
    """`rows` names in 50 folders; file systems allow a file some 65,000 of them."""
    rng = default_rng(0)
    for label in range(CLASSES):
        folder = root / f"label {label:02d}"
        folder.mkdir(parents=True)
        for place, number in enumerate(range(label, rows, CLASSES)):
            path = folder / f"recording {number:08d}.wav"
            if place % NAMES_OF_A_FILE == 0:
                recording = path
                soundfile.write(path, rng.uniform(-1, 1, 200), 22050)
            else:
                os.link(recording, path)


def index_all(root: Path, cache: Path) -> dict[str, float]:
    begin = time.perf_counter()
    index = index_folder(root, cache=cache)
    return {"seconds": time.perf_counter() - begin, "most_mib": memory_mib("VmHWM"), "rows": len(index.table)}


def walk_and_stat(root: Path) -> dict[str, float]:
    """What any program would need to find the files and to ask for their times: the part that is not ours."""
    prefix = f"{root}/"
    return {
        "walk_seconds": seconds(lambda: deque(walk(root), maxlen=0)),
        "walk_and_stat_seconds": seconds(lambda: deque((os.stat(prefix + path) for path, _ in walk(root)), maxlen=0)),
    }


def made_headers(rows: int) -> pa.Table:
    """What the cache of an index of so many recordings would hold."""
    rng = default_rng(0)
    number = np.arange(rows)
    columns = {
        "path": [f"label {n % CLASSES:02d}/recording {n:08d}.wav" for n in range(rows)],
        "size": 100_000 + number,
        "mtime_ns": 1_700_000_000_000_000_000 + number,
        "ctime_ns": 1_700_000_000_000_000_000 + number,
        "frames": rng.integers(1000, 100_000, rows),
        "sample_rate": np.full(rows, 44100),
        "channels": np.full(rows, 1),
        "subtype": ["PCM_16"] * rows,
        "checksum": [rng.bytes(16).hex() for _ in range(rows)],
    }
    return pa.table(columns, schema=KEPT)


def bench_cache(rows: int, cache: Path) -> dict[str, float]:
    """Writing and reading the cache of `rows` made headers, each with a checksum of its own."""
    made = made_headers(rows)
    write = seconds(lambda: write_cache(cache, made.to_batches(max_chunksize=WRITTEN)))
    read = seconds(lambda: columns_of(read_cache(cache), KEPT.names))
    return {"cache_write_seconds": write, "cache_read_seconds": read, "cache_mib": cache.stat().st_size / 2**20}


def bench_rows(rows: int) -> dict[str, float]:
    """What follows the index, on `rows` made headers."""
    headers = made_headers(rows).to_pandas()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    index = Index(
        Path("made"),
        headers.assign(
            label=headers["path"].str.slice(0, 8),
            group=[f"source {number // 20}" for number in range(rows)],
            split="",
            fold=-1,
            seconds=headers["frames"] / headers["sample_rate"],
        ),
    )
    figures = {
        "made_rows": rows,
        "table_mib": index.table.memory_usage(deep=True).sum() / 2**20,
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
            checksums=index.table["checksum"] if name == "stratified" else None,
        )
        figures[f"split_{name}_seconds"] = time.perf_counter() - begin
    return figures | {"rows_most_mib": memory_mib("VmHWM")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="a folder of recordings instead of short ones made for the purpose")
    parser.add_argument("--rows", type=int, default=1_000_000, help="names to index, and made headers to work with")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows and files")
    arguments = parser.parse_args()
    scale = 20 if arguments.quick else 1
    rows = arguments.rows // scale
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.root is None:
            write_recordings(folder / "recordings", MADE_FILES // scale)
        every = {
            "Recordings": bench_folder(arguments.root or folder / "recordings", folder / "cache", repeats=3),
            "Many names": bench_many(folder / "names", folder / "cache", rows),
            "Made headers": in_a_new_process(bench_cache, rows, folder / "headers")
            | in_a_new_process(bench_rows, rows),
        }
    for title, figures in every.items():
        print(tabulate(figures.items(), headers=[title, ""], floatfmt=",.4g"), end="\n\n")
    if arguments.json:
        flat = {name: value for figures in every.values() for name, value in figures.items()}
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(flat, indent=1))


if __name__ == "__main__":
    main()
