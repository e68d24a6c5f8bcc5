"""A JSON list that is written as its items come."""

from collections.abc import Iterable
from typing import TextIO


def write_list(items: Iterable[str], out: TextIO) -> None:
    """A list of these items, which are JSON each, one a line."""
    before = "["
    for item in items:
        out.write(f"{before}\n{item}")
        out.flush()
        before = ","
    out.write(f"{before if before == '[' else ''}\n]\n")
