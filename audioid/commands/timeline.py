"""What `identify` does with long recordings: `--window`, `--hop` and `--onsets`."""

import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from audioid.errors import AudioidError
from audioid.files import path_argument, replacing
from audioid.identification.timeline_formats import AUDACITY, WRITERS, write_audacity
from audioid.terminal import on_a_line

if TYPE_CHECKING:
    from audioid.identification.answers import Model
    from audioid.identification.timeline import Segment


def add_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group(
        "long recordings",
        "what is heard when: rows of start, end, name, probability; with --format audacity a label track, of several "
        "recordings one each in the folder --out",
    )
    group.add_argument("--window", type=float, metavar="SECONDS", help="name windows so long; else the model's clips")
    group.add_argument("--hop", type=float, metavar="SECONDS", help="a window every so often; else one after another")
    group.add_argument("--onsets", action="store_true", help="name each hit, from its onset to the next")
    group.add_argument(
        "--picture", type=path_argument, metavar="FILE.png", help="draw the spectrogram with the names over it"
    )


def is_asked(arguments: Namespace) -> bool:
    return arguments.onsets or arguments.window is not None or arguments.hop is not None


def check(arguments: Namespace) -> None:
    """Raises AudioidError where these arguments do not go together."""
    has_length = arguments.window is not None or arguments.hop is not None
    if arguments.picture and arguments.picture.suffix.lower() != ".png":
        raise AudioidError(f"--picture: {arguments.picture} is no name of a picture; let it end in .png")
    if arguments.onsets and has_length:
        raise AudioidError("--onsets: cuts where sounds begin, so it takes no --window or --hop; leave one out")
    if not is_asked(arguments):
        for name, is_given in (
            ("--picture", arguments.picture is not None),
            (f"--format {AUDACITY}", arguments.format == AUDACITY),
        ):
            if is_given:
                raise AudioidError(f"{name}: is for timelines; add --window SECONDS, or --onsets")


@dataclass
class Told:
    """Hands on what is heard in each recording, tells on stderr of those that cannot be read, and counts the others."""

    paths: Iterable[Path]
    heard_in: Callable[[Path], Iterable["Segment"]]
    unread: set[Path] = field(default_factory=set)
    read: int = 0

    def __iter__(self) -> Iterator[tuple[Path, Iterator["Segment"]]]:
        for path in self.paths:
            yield path, self._segments(path)

    def _segments(self, path: Path) -> Iterator["Segment"]:
        from audioid.data.audio import Unreadable

        try:
            yield from self.heard_in(path)
            self.read += 1
        except Unreadable as error:
            reason = "holds no recordings" if path.is_dir() else error.reason
            print(f"{on_a_line(path)}: {reason}", file=sys.stderr)
            self.unread.add(path)


def write_tracks(told: Told, labels: Sequence[str], folder: Path) -> None:
    """A label track `folder/NAME.txt` for each recording that can be read at least in part.

    Raises:
        AudioidError: the folder cannot be written.
    """
    from audioid.render import free_name

    taken: Counter[str] = Counter()
    for path, segments in told:
        first = list(islice(segments, 1))
        if not first and path in told.unread:
            continue
        with replacing(folder / f"{free_name(path.stem, taken)}.txt") as part, part.open("w", encoding="utf-8") as out:
            write_audacity([(path, chain(first, segments))], labels, out)


def work(model: "Model", chosen: Iterable[str], arguments: Namespace) -> None:
    """Writes what is heard when in all recordings that are `chosen`.

    Raises:
        AudioidError: an argument is none that there can be, or what is to be written cannot be.
    """
    from audioid.commands.identify import tell_passed_over
    from audioid.data.walk import Skipped
    from audioid.identification.identify import find_recordings
    from audioid.identification.timeline import hits, timeline

    passed_over: list[Skipped] = []
    paths = find_recordings(chosen, passed_over)
    some = list(islice(paths, 2))
    single = some[0] if some[1:] == [] else None
    if arguments.picture and single is None:
        raise AudioidError("--picture: shows one recording, and there are more; name one")
    has_folder = arguments.out is not None and (single is None or arguments.out.is_dir())
    if arguments.format == AUDACITY and single is None and not has_folder:
        raise AudioidError(f"--format {AUDACITY}: a track is of one recording; name a folder for several, --out DIR")
    if arguments.onsets:
        heard_in: Callable[[Path], Iterable[Segment]] = partial(hits, model)
    else:
        heard_in = partial(timeline, model, window=arguments.window, hop=arguments.hop)
    seen: list[Segment] = []
    if arguments.picture:  # of one recording, so this may be kept
        heard_in = partial(_kept, heard_in, seen)
    told = Told(chain(some, paths), heard_in)
    if arguments.format == AUDACITY and has_folder:
        write_tracks(told, model.labels, arguments.out)
    else:
        with replacing(arguments.out) if arguments.out else nullcontext() as part:
            target = part.open("w", encoding="utf-8", errors="surrogateescape") if part else nullcontext(sys.stdout)
            with target as out:
                WRITERS[arguments.format](told, model.labels, out)
    if single and arguments.picture and (seen or single not in told.unread):
        from audioid.identification.picture import write_picture

        write_picture(arguments.picture, single, seen, sample_rate=model.audio["sample_rate"])
    tell_passed_over(passed_over)
    if not told.read:
        sys.exit("No recording could be read to its end.")


def _kept(heard_in: Callable[[Path], Iterable["Segment"]], seen: list["Segment"], path: Path) -> Iterator["Segment"]:
    for segment in heard_in(path):
        seen.append(segment)
        yield segment
