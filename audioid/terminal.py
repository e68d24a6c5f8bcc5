"""Text for a terminal: out of files and so made harmless, and of several processes and so told apart."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from typing import TextIO


def on_a_line(text: object) -> str:
    """`text` with what would break the line, or steer the terminal, written as an escape such as `\\n`."""
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: found[0].encode("unicode_escape").decode(), str(text)
    )


class NamedLines(TextIOBase):
    """Writes to `stream` line by line, each whole and behind a name, so that lines of several processes do not mix.

    It is no terminal: bars of several would move over one another.
    """

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name, self.stream, self.begun = on_a_line(name), stream, ""

    def write(self, text: str) -> int:
        # With `\r` a bar begins its line anew.
        *ended, self.begun = re.split("(?<=[\n\r])", self.begun + text)
        lines = [line[:-1] for line in ended if line.endswith("\n") or line.strip()]
        self.stream.write("".join(f"{self.name} | {line}\n" for line in lines))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def end(self) -> None:
        """Writes what has no end of the line yet."""
        if self.begun:
            self.write("\n")
        self.flush()


@contextmanager
def named_lines(name: str) -> Iterator[None]:
    """Within, each line of the program's output begins with `name`."""
    with (
        redirect_stdout(NamedLines(name, sys.stdout)) as out,
        redirect_stderr(NamedLines(name, sys.stderr)) as errors,
    ):
        try:
            yield
        finally:
            for stream in (out, errors):
                stream.end()
