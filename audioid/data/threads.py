"""Work on many recordings in threads, with a bar on a terminal that tells how far it is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tqdm import tqdm

TELL_AFTER = 2.0  # seconds
# So few wait at a time, since what waits takes memory.
WAITING = 1024

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_threads(work: Callable[[Given], Made], items: Sequence[Given], name: str) -> Iterator[Made]:
    """What `work` makes of each item, in order; `name` stands before the bar."""
    with ThreadPoolExecutor() as pool, bar(name, len(items)) as told:
        for begin in range(0, len(items), WAITING):
            for made in pool.map(work, items[begin : begin + WAITING]):
                told.update()
                yield made


def bar(name: str, total: int, items: Iterable[Any] | None = None) -> "tqdm[Any]":
    """A bar for what takes longer than `TELL_AFTER`, over `items` or for what is told it; it leaves nothing behind.

    There is none where stderr is a file.
    """
    return tqdm(items, f"  {name}", total, delay=TELL_AFTER, disable=None, leave=False)
