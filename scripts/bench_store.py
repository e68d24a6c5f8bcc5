"""The store under stress, and how soon a second run trains: many processes, kills, a full disk, time to open."""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from tabulate import tabulate

from audioid.config import compose
from audioid.data.store import Row, Stage, Store, StoredRows
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.schema import Settings

Figures = dict[str, float | int]

N_ROWS, SHAPE, SHARDS = 200, (22050,), 4
CHECKSUMS = [sha256(str(number).encode()).hexdigest() for number in range(N_ROWS)]
PROCESSES = 8
FORK = multiprocessing.get_context("fork")


def expected(checksum: str) -> Row:
    return np.random.default_rng(int(checksum[:8], 16)).standard_normal(SHAPE, dtype=np.float32)


def ask(root: Path, stage: str, log: Path) -> StoredRows:
    """The rows from the store; `log` gets a byte for each that had to be computed."""

    def compute(numbers: np.ndarray) -> Iterator[Row]:
        for number in numbers:
            with open(log, "ab") as file:
                file.write(b".")
            yield expected(CHECKSUMS[number])

    return Store(root, max_bytes=10**10).rows(Stage(stage, "1", {}, SHAPE), CHECKSUMS, compute, shards=SHARDS)


def is_right(rows: StoredRows) -> bool:
    return all(np.array_equal(rows[np.array([number])][0], expected(CHECKSUMS[number])) for number in range(N_ROWS))


def in_process(function: Callable[..., object], *arguments: object) -> BaseProcess:
    process = FORK.Process(target=function, args=arguments)
    process.start()
    return process


def ask_and_judge(root: Path, stage: str, log: Path) -> None:
    sys.exit(0 if is_right(ask(root, stage, log)) else 1)


def at_once(folder: Path) -> Figures:
    """Eight processes that ask for the same entries."""
    log = folder / "computed"
    started = time.perf_counter()
    processes = [in_process(ask_and_judge, folder / "store", "at-once", log) for _ in range(PROCESSES)]
    for process in processes:
        process.join()
    return {
        "at_once_processes": PROCESSES,
        "at_once_right": sum(process.exitcode == 0 for process in processes),
        "at_once_times_computed": log.stat().st_size / N_ROWS,
        "at_once_seconds": time.perf_counter() - started,
    }


def killed(folder: Path, kills: int) -> Figures:
    """Processes killed at random moments from their start to about their end."""
    log, root = folder / "computed", folder / "store"
    started = time.perf_counter()
    in_process(ask, root, "alone", log).join()
    alone = time.perf_counter() - started
    generator = np.random.default_rng(0)
    writing = wrong = 0
    for number in range(kills):
        process = in_process(ask, root, f"kill-{number}", log)
        time.sleep(generator.uniform(0, alone))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        writing += any(root.glob(f"kill-{number}/*.part"))
        wrong += not is_right(ask(root, f"kill-{number}", log))
    return {"kills": kills, "kills_while_writing": writing, "kills_wrong_after": wrong}


def full_disk(folder: Path) -> Figures:
    """A disk that holds half of the rows. Empty where this process may not mount one."""
    disk = folder / "disk"
    disk.mkdir()
    half = N_ROWS * 4 * SHAPE[0] // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={half}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        print("The full disk is left out: only root may mount a small one.")
        return {}
    try:
        try:
            ask(disk, "full", folder / "computed")
            message = ""
        except AudioidError as error:
            message = str(error)
        left = [path for path in disk.rglob("*") if path.suffix == ".part"]
        whole = sum(1 for _ in disk.rglob("entry.json"))
        print(f"Full disk: {message}")
        return {
            "full_disk_clear_error": int("disk is full" in message and "\n" not in message),
            "full_disk_half_written": len(left),
            "full_disk_whole_entries": whole,
        }
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def second_run(folder: Path, root: Path | None, quick: bool) -> Figures:
    """Index, decoding and images of a corpus the first and the second time, and the time to the first step."""
    from audioid.pipeline.recordings import Stopwatch, prepare_data
    from audioid.training import run as run_module
    from audioid.training.module import ClassifierModule

    corpus = [f"data.per_class={10 if quick else 60}"] if root is None else ["data=folder", f"data.root={root}"]
    settings = compose([*corpus, f"store.root={folder / 'store'}"])
    figures: Figures = {}
    if root is None:  # making the corpus is no part of reading it
        _make_corpus(settings, folder)
    for name in ("first", "second"):
        watch = Stopwatch()
        material = prepare_data(settings, watch, device="cpu")
        figures["recordings"] = len(material.index.table)
        figures |= {f"{name}_{stage}_seconds": seconds for stage, seconds in watch.seconds.items()}

    class FirstStep(Exception):  # noqa: N818
        pass

    def stop(self: ClassifierModule, batch: object) -> None:
        raise FirstStep

    ClassifierModule.training_step = stop  # type: ignore[assignment,method-assign]
    run_folder = folder / "run"
    run_folder.mkdir()
    started = time.perf_counter()
    with contextlib.suppress(FirstStep), contextlib.redirect_stdout(io.StringIO()):
        run_module.run(settings, run_folder, [])
    figures["second_first_step_seconds"] = time.perf_counter() - started
    return figures


def _make_corpus(settings: Settings, folder: Path) -> None:
    from audioid.data.corpus import read_corpus

    read_corpus(settings.data, folder / "store")
    for file in (folder / "store" / "headers").iterdir():
        file.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, metavar="DIR", help="a corpus in folders; else the built-in one")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    figures: Figures = {}
    # Children are forked before torch is imported and starts its threads.
    for measure in (at_once, lambda at: killed(at, 10 if arguments.quick else 50), full_disk):
        with tempfile.TemporaryDirectory() as folder:
            figures |= measure(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        figures |= second_run(Path(folder), arguments.root, arguments.quick)
    print(tabulate([(name, f"{value:.4g}") for name, value in figures.items()], ("figure", "value")))
    if arguments.json:
        with replacing(arguments.json) as file:
            file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
