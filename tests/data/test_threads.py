"""Work in threads: in order, no more at a time than wait, and told on a terminal alone."""

import io
import sys

import pytest

from audioid.data import threads
from audioid.data.threads import in_threads


def test_all_in_order_and_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WAITING", 10)
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return -number

    made = in_threads(work, range(95), "numbers")
    assert next(made) == 0
    assert max(begun) < 10
    assert list(made) == [-number for number in range(1, 95)]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(threads, "TELL_AFTER", 0)
    assert len(list(in_threads(str, range(3), "numbers"))) == 3
    assert ("numbers:" in screen.getvalue()) == is_terminal
