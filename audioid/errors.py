"""The one kind of error that people are meant to read."""


class AudioidError(Exception):
    """Bad input, told in one line: the file or key, what is wrong, what to do next."""


def one_line(error: BaseException) -> str:
    """Class and text of an exception from elsewhere, to stand in a line of ours."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
