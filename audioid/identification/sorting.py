"""Recordings into folders by their names: nothing is ever overwritten, and all of it can be undone."""

import filecmp
import json
import os
import shutil
import string
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TextIO

from audioid.data.walk import AUDIO_SUFFIXES
from audioid.errors import AudioidError
from audioid.identification.identify import Answer

How = Literal["copy", "move", "link"]

UNKNOWN = "unknown"
FIELDS = {"label": "kick", "confidence": 98.6, "name": "Hit 07"}  # of a pattern, with examples
FORBIDDEN = '<>:"/\\|?*'  # in names of files on one system or another
MOST_COPIES = 10_000


@dataclass(frozen=True)
class Step:
    """What was done with one recording: `made` is where it came to, `source` where it was, both absolute."""

    how: How
    source: str
    made: str


def check_pattern(pattern: str) -> None:
    """Raises AudioidError where a pattern for names has other fields than `FIELDS`, or looks into them."""
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
        strange = [name for name in fields if name not in FIELDS]
        if strange:
            raise ValueError(f"there is no {{{strange[0]}}}")
        if not fields:
            raise ValueError("all files would have one name")
        pattern.format(**FIELDS)
    except (ValueError, KeyError, IndexError) as error:
        known = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise AudioidError(f"--rename: {pattern!r} is no pattern ({error}); it may have {known}") from None


@dataclass(frozen=True)
class Sorter:
    """Puts recordings into `folder`, each into the folder of its likeliest name; what is unknown, or less sure than
    `min_confidence` (0 to 1), into `unknown`.

    Files keep their names, or get one by `pattern`, with the suffix they have. `undo` is where the steps are written
    as they are done; None: nothing is done, and steps are only told.
    """

    folder: Path
    how: How
    min_confidence: float = 0.0
    pattern: str = "{name}"
    undo: TextIO | None = None

    def sort(self, answer: Answer) -> Step | None:
        """What was done with the recording, or would be; None where nothing is to be done: it could not be read, or it
        lies in `folder` already.

        Raises:
            AudioidError: the file or the folder does not allow it.
        """
        source, root = Path(os.path.abspath(answer.path)), Path(os.path.abspath(self.folder))
        if answer.error is not None or source.is_relative_to(root):
            return None
        label, confidence = answer.names[0]
        is_unknown = answer.unknown or confidence < self.min_confidence
        name = self.pattern.format(label=label, confidence=100 * confidence, name=source.stem)
        target = root / _legal(UNKNOWN if is_unknown else label) / f"{_legal(name)}{source.suffix}"
        if self.undo is None:
            return Step(self.how, str(source), str(target))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.parent.resolve().is_relative_to(root.resolve()):  # from there nothing would be taken back
                raise AudioidError(
                    f"{target.parent}: leads out of {root}; remove that link, or sort into another folder"
                )
            made = _put(source, target, self.how)
        except OSError as error:
            raise AudioidError(f"{target}: {error.strerror or error}; choose a folder that can be written") from error
        if made is None:
            return None
        step = Step(self.how, str(source), str(made))
        self.undo.write(json.dumps(asdict(step)) + "\n")
        self.undo.flush()  # what was done must be known even if this ends in the middle
        return step


def _legal(name: str) -> str:
    """A name that files and folders may have on any system."""
    text = "".join("_" if sign in FORBIDDEN or ord(sign) < 32 else sign for sign in name).strip().rstrip(".")
    return text or "_"


def _put(source: Path, target: Path, how: How) -> Path | None:
    """Where the file came to: `target`, or if there is another already `target (2)` and so on.

    None where there is the same copy or link already: sorted again, nothing is to be done.
    """
    ways: dict[How, Callable[[Path, Path], None]] = {"copy": _copy, "move": _move, "link": os.symlink}
    for place in _free(target):
        try:
            ways[how](source, place)
        except FileExistsError:
            if how != "move" and _is_same(source, place):
                return None
            continue
        return place
    raise OSError(None, f"has {MOST_COPIES} others of its name already")


def _is_same(source: Path, place: Path) -> bool:
    return place.is_file() and (os.path.samefile(source, place) or filecmp.cmp(source, place, shallow=False))


def _free(target: Path) -> Iterator[Path]:
    yield target
    for number in range(2, MOST_COPIES):
        yield target.with_name(f"{target.stem} ({number}){target.suffix}")


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as given, target.open("xb") as made:  # x: an error if there is one, even if just made
        try:
            shutil.copyfileobj(given, made)
        except BaseException:
            target.unlink()
            raise
    shutil.copystat(source, target)


def _move(source: Path, target: Path) -> None:
    if source.is_symlink():  # a link stays one, to the same file
        os.symlink(source.resolve(), target)
    else:
        try:
            os.link(source, target)  # unlike a renaming this never takes the place of another file
        except FileExistsError:
            raise
        except OSError:  # another disk, or one without links
            _copy(source, target)
    try:
        source.unlink()
    except OSError:
        target.unlink()  # it was not moved, so there is nothing to take back either
        raise


def undo(file: Path, tell: Callable[[str], None]) -> int:
    """Takes back what the steps in `file` did, the last first, and removes it; how many were taken back.

    Of copies and links only those are removed whose source is still there, and nothing is overwritten: what is not as
    it was left stays, and `tell` gets a line on it. Then the file stays too, with what is left.

    Raises:
        AudioidError: it is no such file, or names what is not beside it.
    """
    steps = _read_steps(file)
    left = []
    for step in reversed(steps):
        reason = _take_back(step)
        if reason:
            tell(f"{step.made}: {reason}")
            left.append(step)
        else:
            with suppress(OSError):  # not empty
                Path(step.made).parent.rmdir()
    if left:
        file.write_text("".join(json.dumps(asdict(step)) + "\n" for step in reversed(left)), encoding="utf-8")
    else:
        file.unlink()
    return len(steps) - len(left)


def _read_steps(file: Path) -> list[Step]:
    root = Path(os.path.abspath(file)).parent
    try:
        if file.exists() and not file.is_file():  # a pipe or a device may have no end
            raise OSError(None, "is no file")
        steps = [Step(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
        if not all(
            isinstance(value, str) and step.how in ("copy", "move", "link")
            for step in steps
            for value in asdict(step).values()
        ):
            raise ValueError("a step is none")
    except OSError as error:
        raise AudioidError(f"{file}: {error.strerror}; name the file that sorting has left") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise AudioidError(f"{file}: is no list of steps ({error}); name the file that sorting has left") from error
    for step in steps:
        # Also of a path that leads through links, which whoever made the folder may have put there.
        place = Path(step.made)
        is_below = ".." not in place.parts and place.is_relative_to(root)
        if not (is_below and place.parent.resolve().is_relative_to(root.resolve())):
            raise AudioidError(f"{file}: names {step.made}, which is not below {root}; it was not left by sorting")
    return steps


def _take_back(step: Step) -> str:
    """Why it could not be, if so."""
    source, made = Path(step.source), Path(step.made)
    try:
        if not os.path.lexists(made):
            return "is not there any more"
        if step.how == "move":
            if made.suffix.lower() not in AUDIO_SUFFIXES or source.suffix != made.suffix:
                return f"is no recording by its name; move it back to {source} yourself"
            if os.path.lexists(source):
                return f"there is another {source} now"
            source.parent.mkdir(parents=True, exist_ok=True)
            _move(made, source)
        elif step.how == "link":
            if not made.is_symlink() or os.readlink(made) != step.source:
                return f"is no link to {source} any more"
            made.unlink()
        else:
            if made.is_symlink() or not source.is_file() or os.path.samefile(source, made):
                return f"is no copy of {source}"
            if not filecmp.cmp(source, made, shallow=False):
                return f"is not what {source} is any more"
            made.unlink()
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # no name that a file can have
        return str(error)
    return ""
