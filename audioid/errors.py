"""The one kind of error that people are meant to read."""

from collections.abc import Iterable


class AudioidError(Exception):
    """Bad input, told in one line: the file or key, what is wrong, what to do next."""


def check_choice(key: str, value: str, choices: Iterable[str]) -> None:
    """Raises AudioidError where the `value` of `key` is none of the `choices`."""
    if value not in choices:
        raise AudioidError(f"{key}: there is no {value!r}; choose {' or '.join(choices)}")
