"""Sounds to what the page shows of them: HTML that holds all of it, so that no answer is a file on the server.

Every name that comes from a file, a model folder or a browser is escaped.
"""

import base64
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import matplotlib as mpl
import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from audioid.comparison.figures.style import short
from audioid.data.audio import AUDIO_SUFFIXES, Unreadable, Waveform
from audioid.data.clips import load_clips
from audioid.data.stream import stream
from audioid.errors import AudioidError
from audioid.files import stays_below
from audioid.identification.answers import Model
from audioid.identification.explanation import Explanation, explain
from audioid.identification.formats import Layout, outcomes, summary, write_csv, write_json
from audioid.identification.identify import (
    Answer,
    identify,
    judged,
    parts_of,
    ranked,
    sounding_clips,
    tells_unknown,
)
from audioid.identification.known import Known, nearest_known
from audioid.identification.page import figures
from audioid.identification.page.uploads import Upload, checked_length, sendable
from audioid.identification.picture import draw
from audioid.identification.timeline import Segment, hits, timeline
from audioid.identification.timeline_formats import write_audacity
from audioid.identification.timeline_formats import write_csv as write_timeline_csv
from audioid.pipeline.showing import playable

TOP = 5  # names of a sound
TOP_OF_MANY = 3
NEAREST = 6
LONGEST_PLAYED = 30.0  # seconds, of a sound
MOST_PLAYED = 300.0  # seconds, of a long recording: about 3 MB
PLAYED_RATE = 48_000  # at most
LEAST_HOP = 0.05  # seconds
MOST_ROWS = 500  # of a table; what is downloaded has all
HITS = "each hit, from its onset to the next"
Told = Callable[[float], object]


@dataclass(frozen=True)
class Asked:
    """Who answers: a model, those of one picture each that it consists of, with their names, and the folder of
    recordings from which nearest ones may be played, if any."""

    model: Model
    singles: Sequence[tuple[str, Model]]
    recordings: Path | None = None


@dataclass(frozen=True)
class Seen:
    """What one model made of a sound: its likeliest name, and each channel of its picture, as it is and with why."""

    name: str
    label: str
    probability: float
    pictures: list[str]
    explained: list[str]
    why: Explanation


@dataclass(frozen=True)
class Near:
    """A recording learned from; `player` is empty where it may not, or cannot, be played."""

    known: Known
    player: str


def one_sound(asked: Asked, upload: Upload) -> str:
    """Its names, what the networks see of it, why, and what it is like among what they have learned from.

    Of several clips the one is shown that speaks most for the name.

    Raises:
        Unreadable: it cannot be read, is too long, or there is nothing to hear in it.
    """
    seconds, clips = checked_length(upload), sounding_clips(upload.path, asked.model.audio)
    (answer,) = ranked(asked.model, [clips], TOP)
    label, rate = answer.names[0][0], asked.model.audio["sample_rate"]
    alone, _ = judged(asked.model, [[clip] for clip in clips])
    shown = int(alone[:, asked.model.labels.index(label)].argmax())
    wave = clips[shown]
    seen = [_seen(name, single, clips, wave, label) for name, single in asked.singles]
    near = next((found for _, single in asked.singles if (found := nearest_known(single, clips, top=NEAREST))), [])
    return _rendered(
        "sound.html",
        name=upload.name,
        answer=answer,
        label=label,
        n_models=len(parts_of(asked.model)),
        shown=shown,
        n_clips=len(clips),
        seconds=seconds,
        heard=len(clips) * asked.model.audio["seconds"],
        waveform=figures.waveform(wave, rate),
        player=_player(wave, rate, LONGEST_PLAYED),
        seen=seen,
        near=[Near(each, _known_player(asked, each)) for each in near],
        may_play=asked.recordings is not None,
    )


def many_sounds(asked: Asked, uploads: Sequence[Upload], told: Told = lambda share: None) -> str:
    """A table of their names, what came of all, and the same to download; one that cannot be read, or in which there is
    nothing to hear, has a row that says so.

    Args:
        told: is called with how much of them, 0 to 1, has an answer.
    """
    top = min(TOP_OF_MANY, len(asked.model.labels))
    layout = Layout(asked.model.labels, top, tells_unknown(asked.model), len(parts_of(asked.model)))
    errors = [_why_not(upload) for upload in uploads]
    readable = (upload.path for upload, error in zip(uploads, errors, strict=True) if not error)
    found = identify(asked.model, readable, top=top)
    answers = list[Answer]()
    for upload, error in zip(uploads, errors, strict=True):
        answer = Answer(upload.path, [], error) if error else next(found)
        answers.append(replace(answer, path=Path(upload.name)))
        told(len(answers) / len(uploads))
    return _rendered(
        "many.html",
        summary=summary(Counter(chain.from_iterable(outcomes(each, layout.n_models) for each in answers))),
        names=Counter(each.names[0][0] for each in answers if each.names and not each.unknown).most_common(),
        answers=answers[:MOST_ROWS],
        count=len(answers),
        layout=layout,
        downloads=[
            _download("names.csv", "CSV", lambda out: write_csv(answers, layout, out)),
            _download("names.json", "JSON", lambda out: write_json(answers, layout, out)),
        ],
    )


def long_sound(
    asked: Asked, upload: Upload, *, by_hits: bool, window: object, hop: object, told: Told = lambda share: None
) -> str:
    """What is heard in it when, with its spectrogram and a player; as far as it can be read.

    Args:
        told: is called with how much of it, 0 to 1, has been named.

    Raises:
        Unreadable: it cannot be read at all, or is too long.
        AudioidError: `window` or `hop` (seconds) is none that there can be.
    """
    seconds = checked_length(upload)
    segments, broken = list[Segment](), ""
    try:
        found = hits(asked.model, upload.path) if by_hits else _windows(asked.model, upload.path, window, hop)
        for segment in found:
            segments.append(segment)
            told(min(segment.end / seconds, 1.0))
    except Unreadable as error:
        if not segments:
            raise
        broken = error.reason
    rate = asked.model.audio["sample_rate"]
    with mpl.rc_context(figures.LOOK):  # type: ignore[arg-type]
        figure = draw(upload.path, segments, sample_rate=rate)
        figure.axes[0].set_title(short(upload.name), parse_math=False)
    stem, track = Path(upload.name).stem or "timeline", [(Path(upload.name), segments)]
    return _rendered(
        "long.html",
        name=upload.name,
        parts=HITS if by_hits else f"windows of {float(window):.2f} s, one every {float(hop):.2f} s",  # type: ignore[arg-type]
        player=_player(_beginning(upload.path, min(rate, PLAYED_RATE)), min(rate, PLAYED_RATE), MOST_PLAYED),
        played=MOST_PLAYED if seconds > MOST_PLAYED else None,
        picture=figures.svg(figure, "The spectrogram in hertz over seconds, with the names above it"),
        segments=segments[:MOST_ROWS],
        count=len(segments),
        broken=broken,
        downloads=[
            _download(f"{stem}.txt", "Audacity labels", lambda out: write_audacity(track, [], out)),
            _download(f"{stem}.csv", "CSV", lambda out: write_timeline_csv(track, [], out)),
        ],
    )


def least_window(model: Model) -> float:
    """In seconds, how short and near to one another windows may be: an hour of shorter ones would take too long."""
    return float(min(LEAST_HOP, model.audio["seconds"]))


def known(asked: Asked) -> str:
    """Which names there are."""
    tells = tells_unknown(asked.model)
    return _rendered(
        "known.html", labels=asked.model.labels, tells_unknown=tells, names=[name for name, _ in asked.singles]
    )


def failed(reason: str) -> str:
    """What stands where an answer would."""
    return _rendered("failed.html", reason=reason)


def note(text: str) -> str:
    """What is said beside an answer."""
    return _rendered("note.html", text=text)


def _why_not(upload: Upload) -> str:
    try:
        checked_length(upload)
    except Unreadable as error:
        return error.reason
    return ""


def _seen(name: str, single: Model, clips: Sequence[Waveform], wave: Waveform, label: str) -> Seen:
    """What a model of one picture made of a sound with these clips, and why it would call that in `wave` `label`."""
    made = single.classifier.pictures[0]
    with torch.inference_mode():
        image = made(torch.from_numpy(wave)[None])[0]
        own = judged(single, [list(clips)])[0][0].exp()
    why = explain(single, image, single.labels.index(label))
    best = int(own.argmax())
    titles = [f"{name} {channel}".strip() for channel in made.channel_names]
    channels = list(zip(image.numpy(), titles, strict=True))
    return Seen(
        name,
        single.labels[best],
        float(own[best]),
        [figures.picture(made, each, title) for each, title in channels],
        [figures.explained(made, each, why, f"{title}: what spoke for {short(label)}") for each, title in channels],
        why,
    )


def _player(wave: Waveform, sample_rate: int, longest: float) -> str:
    return _data("audio/mpeg", playable(wave, sample_rate, longest=longest))


def _beginning(path: Path, sample_rate: int) -> Waveform:
    """What is played of a long recording, as far as it can be read."""
    blocks, left = list[Waveform](), round(MOST_PLAYED * sample_rate)
    with suppress(Unreadable):  # it has been told
        for block in stream(path, sample_rate=sample_rate):
            blocks.append(block[:left])
            left -= len(blocks[-1])
            if not left:
                break
    return np.concatenate([*blocks, np.empty(0, np.float32)])


def _known_player(asked: Asked, known: Known) -> str:
    """Only what lies in the folder that was named, and is a sound, is played: a model folder may name any file."""
    if not (asked.recordings and stays_below(known.path) and Path(known.path).suffix.lower() in AUDIO_SUFFIXES):
        return ""
    try:
        path = (asked.recordings / known.path).resolve()
        if not path.is_relative_to(asked.recordings.resolve()):  # by a link
            return ""
        clips = load_clips(path, **asked.model.audio)
    except (Unreadable, OSError, RuntimeError, ValueError):  # no path at all, or links in a ring
        return ""
    wave = next(clip for clip in clips if clip is not None)
    return _player(wave, asked.model.audio["sample_rate"], LONGEST_PLAYED)


def _windows(model: Model, path: Path, window: object, hop: object) -> Iterator[Segment]:
    try:
        seconds = [float(each) for each in (window, hop)]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise AudioidError("window and hop are numbers of seconds") from None
    least = least_window(model)
    if not min(seconds) >= least:
        raise AudioidError(f"window and hop are at least {least:g} s")
    return timeline(model, path, window=seconds[0], hop=seconds[1])


def _download(name: str, told: str, write: Callable[[TextIO], None]) -> dict[str, str]:
    file = io.StringIO()
    write(file)
    text = file.getvalue().encode(errors="replace")
    return {"name": name, "told": told, "data": _data("application/octet-stream", text)}


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _rendered(template: str, **values: Any) -> str:
    return sendable(_templates().get_template(template).render(**values))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    return environment


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"
