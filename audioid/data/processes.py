"""Python's own work on all cores."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from joblib import Parallel, delayed

# So long processes wait for more to do, each with the memory that its modules need.
IDLE_SECONDS = 10

Given = TypeVar("Given")
Made = TypeVar("Made")


def on_all_cores(work: Callable[[Given], Made], items: Iterable[Given], *, processes: bool) -> Iterator[Made]:
    """What `work`, a function of a module, makes of each item, in order.

    Threads take turns in all that is Python; `processes` do not, but take a second or two to start, and items and what
    is made of them are pickled.
    """
    chosen: dict[str, Any] = {"backend": "threading"}
    if processes:
        chosen = {"backend": "loky", "idle_worker_timeout": IDLE_SECONDS}
    yield from Parallel(-1, return_as="generator", batch_size=1, **chosen)(delayed(work)(item) for item in items)
