"""The one kind of error that people are meant to read."""


class AudioidError(Exception):
    """Bad input, told in one line: the file or key, what is wrong, what to do next."""
