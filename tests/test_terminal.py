"""What reaches a terminal, and in which form."""

import subprocess
import sys
from contextlib import suppress

import pytest

from audioid.terminal import named_lines
from tests.test_architecture import ROOT

WRITER = """
import sys, time
from audioid.terminal import named_lines

with named_lines(sys.argv[1]):
    for number in range(300):
        print(number, "of", sys.argv[1], end=" ")
        print("to its end")
"""


def test_each_line_carries_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    with named_lines("cwt seed=0"):
        print("a", "b")
        print("  c\n\nd", end="")
        print("bad", file=sys.stderr, flush=True)
        assert not sys.stdout.isatty()  # or bars would be drawn
    print("after")
    told, errors = capsys.readouterr()
    assert told == "cwt seed=0 | a b\ncwt seed=0 |   c\ncwt seed=0 | \ncwt seed=0 | d\nafter\n"
    assert errors == "cwt seed=0 | bad\n"


def test_each_state_of_a_bar_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with named_lines("fft"):
        print("\rindexing: 10%", end="")
        print("\rindexing: 90%", end="")
        print("\r" + " " * 13 + "\r", end="")
        print("after")
    assert capsys.readouterr().out == "fft | indexing: 10%\nfft | indexing: 90%\nfft | after\n"


def test_what_was_begun_is_told_where_the_run_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(ValueError), named_lines("fft\x1b[2J"):
        print("half", end="")
        raise ValueError
    assert capsys.readouterr().out == "fft\\x1b[2J | half\n"


def test_lines_of_several_processes_stay_whole() -> None:
    command = f"{sys.executable} -u -c '{WRITER}'"
    both = f"{command} one & {command} two & wait"
    told = subprocess.run(["sh", "-c", both], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = [f"{name} | {number} of {name} to its end" for name in ("one", "two") for number in range(300)]
    assert sorted(told.stdout.splitlines()) == sorted(expected)
