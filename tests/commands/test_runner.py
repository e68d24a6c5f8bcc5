"""How a command ends after an error."""

import warnings
from collections.abc import Iterator

import pytest
from hydra.errors import ConfigCompositionException

from audioid.commands.runner import run_command
from audioid.errors import AudioidError


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """Leaves handlers as they were."""
    import signal

    show, handler = warnings.showwarning, signal.getsignal(signal.SIGTERM)
    yield
    warnings.showwarning = show
    signal.signal(signal.SIGTERM, handler)


def raising(error: BaseException) -> int:
    def work() -> None:
        raise error

    return run_command(work)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (AudioidError("a.wav: is empty; remove it"), "a.wav: is empty; remove it"),
        (ConfigCompositionException("In 'config': odd\nmore"), "configuration: In 'config': odd; correct it"),
        (FileNotFoundError(2, "No such file", "x"), "x: No such file; choose a folder that can be written"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory: there is not enough"),
        (RuntimeError("CUDA out of memory. Tried"), "memory: there is not enough"),
    ],
)
def test_errors_for_people_are_one_line(error: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(error) == 1
    (told_line,) = capsys.readouterr().err.splitlines()
    assert told_line.startswith(f"error: {line}")


@pytest.mark.parametrize("error", [ValueError("a bug"), RuntimeError("a bug"), OSError("a bug")])
def test_bugs_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error), match="a bug"):
        raising(error)


def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        warnings.warn("beware", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run_command(work) == 0
    assert capsys.readouterr().err == "warning: beware\n"
