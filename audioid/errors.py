"""The one kind of error that people are meant to read."""

import difflib
from collections.abc import Iterable

from audioid.program import program

MOST_LISTED = 8


class AudioidError(Exception):
    """Bad input, told in one line: the file or key, what is wrong, what to do next."""


class DivergedError(AudioidError):
    """The loss of a training is no number."""

    def __init__(self) -> None:
        super().__init__("optimizer.lr: training diverged, its loss is no number; lower it")


def listed(names: Iterable[str]) -> str:
    """The names, sorted, as part of a sentence; of more than `MOST_LISTED` the first, and how many more there are."""
    every = sorted(names)
    if len(every) <= MOST_LISTED:
        return ", ".join(every)
    shown = every[: MOST_LISTED - 1]
    return f"{', '.join(shown)} and {len(every) - len(shown):,} more"


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """What to do about a name that is not there: the nearest that is, or where all of them are listed."""
    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.7)
    return f"did you mean {found[0]}?" if found else f"{program('train')} --help lists the keys"


def one_line(error: BaseException) -> str:
    """Class and text of an exception from elsewhere, to stand in a line of ours."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def check_choice(key: str, value: str, choices: Iterable[str]) -> None:
    """Raises AudioidError where the `value` of `key` is none of the `choices`."""
    if value not in choices:
        raise AudioidError(f"{key}: there is no {value!r}; choose {' or '.join(choices)}")
