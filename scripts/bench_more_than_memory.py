"""Training from the store on pictures that take four times the memory there is, against the same from memory.

Two processes train the default network on the same made pictures in the same shuffled batches, and take turns. One may
hold a quarter of the pictures' bytes: a control group of Linux bounds it, the pages of files that it has read with it,
so that what it reads comes from the disk: `share_from_disk` of the bytes in its turns. The other has all pictures in an
array. `ratio` is the median over the turns of seconds from memory by seconds from the store, `first_ratio` that of the
first turn, in which nothing has been read before. Each picture tells its number, which is its target too; rows that are
not of the number asked for are counted as wrong, in training and in the validation at the end. `growth_mib` is what the
first process holds at the end more than after its first turn.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import md5
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from audioid.commands.runner import run_command
from audioid.errors import AudioidError
from audioid.files import replacing

SHAPE = (1, 100, 100)
BATCH, CLASSES = 32, 10
LIMIT = 2**30  # bytes, of which PyTorch itself takes about half
GROUPS = Path("/sys/fs/cgroup")


@contextmanager
def bounded(limit: int) -> Iterator[Path]:
    """A control group whose processes may hold so many bytes, pages of files among them."""
    version_1 = (GROUPS / "memory").is_dir()
    group = (GROUPS / "memory" if version_1 else GROUPS) / f"audioid-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(limit))
    except OSError as error:
        raise AudioidError(f"{group}: {error.strerror}; only root may bound the memory of processes") from error
    try:
        yield group
    finally:
        group.rmdir()


def stored(root: Path, count: int) -> object:
    """The pictures, of which the first two values are the number (of each 2 to the power of 12)."""
    from audioid.data.store import Row, Stage, Store

    noise = np.random.default_rng(0).random((64, *SHAPE), dtype=np.float32)

    def compute(numbers: NDArray[np.intp]) -> Iterable[Row]:
        for number in numbers:
            picture = noise[number % len(noise)].copy()
            picture[0, 0, :2] = divmod(int(number), 4096)
            yield picture

    checksums = [md5(str(number).encode()).hexdigest() for number in range(count)]
    return Store(root, max_bytes=10**12).rows(Stage("pictures", "1", {}, SHAPE), checksums, compute, shards=16)


def forget(folder: Path) -> None:
    """Has the system forget what it holds of the rows, which lie on the disk."""
    os.sync()
    for rows in folder.rglob("rows.npy"):
        with rows.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def anonymous_mib() -> float:
    """What this process holds but pages of files."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024


def disk_mib() -> float:
    """What this process has had read from the disk."""
    return int(Path("/proc/self/io").read_text().split("\nread_bytes:")[1].split()[0]) / 2**20


class Turn(NamedTuple):
    """What a turn took, how many of its rows were wrong, what its process held after it, and read from the disk."""

    seconds: float
    wrong: int
    held_mib: float
    disk_mib: float


def train(turns: Connection, root: Path, count: int, steps: int, group: Path | None) -> None:
    """Trains so many steps whenever it is told to go on, and validates at the end, and answers with a `Turn` each time.

    In memory where there is no group to bound it.
    """
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    import torch
    from torch.nn import functional
    from torch.optim import AdamW

    from audioid.config import compose
    from audioid.data import datamodule
    from audioid.data.clips import Clips
    from audioid.data.split import SplitIndices
    from audioid.models import build

    rows = stored(root, count)
    if group is None:
        datamodule.IN_MEMORY, datamodule.SHARE = sys.maxsize, 1
    targets = np.arange(count)
    tenth = count // 10
    parts = SplitIndices(np.arange(2 * tenth, count), np.arange(tenth), np.arange(tenth, 2 * tenth))
    clips = Clips(np.ones(count, dtype=np.intp))
    data = datamodule.AudioDataModule(rows, rows, targets, clips, parts, digest="", batch_size=BATCH, seed=0)  # type: ignore[arg-type]
    chosen = dict(compose([]).model)
    network = build(chosen, in_channels=SHAPE[0], n_classes=CLASSES, image_size=SHAPE[1])
    optimizer = AdamW(network.parameters(), lr=0.001, fused=True)
    batches, unseen = iter(data.train_dataloader()), data.val_dataloader()

    def count_wrong(images: torch.Tensor, numbers: torch.Tensor) -> int:
        return int(((4096 * images[:, 0, 0, 0] + images[:, 0, 0, 1]).long() != numbers).sum())

    def learn() -> int:
        wrong = 0
        for _ in range(steps):
            images, numbers = next(batches)
            wrong += count_wrong(images, numbers)
            loss = functional.cross_entropy(network(images), numbers % CLASSES)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return wrong

    @torch.inference_mode()
    def judge() -> int:
        wrong = 0
        for images, numbers, _ in unseen:
            wrong += count_wrong(images, numbers)
            network(images)
        return wrong

    def turn(work: Callable[[], int]) -> Turn:
        begin, disk = time.perf_counter(), disk_mib()
        wrong = work()
        return Turn(time.perf_counter() - begin, wrong, anonymous_mib(), disk_mib() - disk)

    turns.send(None)
    while turns.recv():
        turns.send(turn(learn))
    turns.send(turn(judge))


def figures(folder: Path, count: int, steps: int, turns: int) -> dict[str, float]:
    stored(folder, count)
    spawn = multiprocessing.get_context("spawn")
    limit = LIMIT
    taken: dict[str, list[Turn]] = {"store": [], "memory": []}
    with bounded(limit) as group:
        sides: dict[str, tuple[Connection, BaseProcess]] = {}
        for name, bound in (("store", group), ("memory", None)):
            here, there = spawn.Pipe()
            process: BaseProcess = spawn.Process(target=train, args=(there, folder, count, steps, bound), daemon=True)
            process.start()
            there.close()
            here.recv()
            sides[name] = here, process
        forget(folder)  # the one in memory has just read it all
        for go_on in [True] * turns + [False]:
            for name, (turn, _) in sides.items():
                turn.send(go_on)
                taken[name].append(turn.recv())
        for _, process in sides.values():
            process.join()
    (store, memory), judged = (taken["store"][:-1], taken["memory"][:-1]), {name: taken[name][-1] for name in taken}
    images, picture = steps * BATCH, 4 * float(np.prod(SHAPE))
    return {
        "pictures": count,
        "bytes_of_the_pictures_by_the_limit": count * picture / limit,
        "memory_images_per_second": images / median(turn.seconds for turn in memory),
        "store_images_per_second": images / median(turn.seconds for turn in store),
        "ratio": median(one.seconds / other.seconds for one, other in zip(memory, store, strict=True)),
        "first_ratio": memory[0].seconds / store[0].seconds,
        "validation_ratio": judged["memory"].seconds / judged["store"].seconds,
        "share_from_disk": sum(turn.disk_mib for turn in store) * 2**20 / (turns * images * picture),
        "rows_read": turns * images + count // 10,
        "rows_wrong": sum(turn.wrong for turn in taken["store"]),
        "most_held_mib": max(turn.held_mib for turn in taken["store"]),
        "growth_mib": taken["store"][-1].held_mib - taken["store"][0].held_mib,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer steps and turns")
    arguments = parser.parse_args()
    count = 4 * LIMIT // (4 * int(np.prod(SHAPE)))
    with tempfile.TemporaryDirectory() as folder:
        found = figures(Path(folder), count, 40 if arguments.quick else 150, 2 if arguments.quick else 7)
    print(tabulate([(name, f"{value:.4g}") for name, value in found.items()], ("figure", "value")))
    if arguments.json:
        with replacing(arguments.json) as file:
            file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_command(main))
