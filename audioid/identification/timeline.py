"""From a long recording to what is heard when: it is cut into parts, and each is named as a recording by itself."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from audioid.data.audio import Unreadable, Waveform, levelled, padded, sounding
from audioid.data.stream import stream
from audioid.errors import AudioidError
from audioid.identification.answers import Model
from audioid.identification.identify import ranked
from audioid.identification.onsets import Onsets
from audioid.identification.tails import window_length, without_tail

BATCH_SIZE = 64
# Silence is what is below the first (a sine of full scale has 0), or so many decibels below the loudest so far: there
# is no name for the hiss of a recorder, which begins before anything loud does, nor for what a sound leaves in a room.
SILENT_DBFS = -70.0
SILENT_BELOW = 50.0


@dataclass(frozen=True)
class Segment:
    """What is heard from `start` to `end`, in seconds from the beginning, with its calibrated probability."""

    start: float
    end: float
    label: str
    probability: float


@dataclass(frozen=True)
class Part:
    """Samples from `start` to `end` of a recording, and the sound `(time,)` about them by which they are named."""

    start: int
    end: int
    own: Waveform
    about: Waveform


def timeline(model: Model, path: Path, *, window: float | None, hop: float | None) -> Iterator[Segment]:
    """What is heard in a recording, by a window of `window` seconds every `hop` seconds.

    Each window has a name, which stands for the `hop` about its middle, to the ends of the recording at its ends.
    Neighbours of the same name are one segment, with the mean of their probabilities; silence, and what the model can
    tell that it does not know, is left out. Memory does not grow with the recording.

    Args:
        window: the model's clip where it is None; a shorter window is filled up as short recordings are.
        hop: the window where it is None.

    Raises:
        AudioidError: a length is none that there can be.
        Unreadable: the recording cannot be read, or only in part, of which all segments have come then.
    """
    rate, clip = model.audio["sample_rate"], model.audio["seconds"]
    window = clip if window is None else window
    hop = window if hop is None else hop
    for name, seconds in (("--window", window), ("--hop", hop)):
        if not seconds * rate >= 1:  # nor is NaN
            raise AudioidError(f"{name}: {seconds:g} s is not as long as a sample at {rate} Hz; make it longer")
    if window * rate > round(clip * rate) + 0.5:
        told = f"--window: {window:g} s is longer than the clips that the model has learned from ({clip:g} s)"
        raise AudioidError(f"{told}; make it shorter, or leave it out")
    if hop > window:
        told = f"--hop: {hop:g} s is longer than the window ({window:g} s), so that nobody hears what is between"
        raise AudioidError(f"{told}; make it shorter")

    def segments(blocks: Iterable[Waveform]) -> Iterator[Segment]:
        parts = windows(blocks, round(window * rate), round(hop * rate))
        return merged(_named(model, parts, leave_out_unknown=True))

    return _until_broken(path, rate, segments)


def hits(model: Model, path: Path) -> Iterator[Segment]:
    """What is hit when: a segment from each onset to the next, at most as long as the model's clip.

    Every hit is named: what a model can tell that it does not know is told of whole recordings, and most hits are cut
    short by the next. Memory does not grow with the recording.

    Raises:
        Unreadable: as `timeline`.
    """
    rate, clip = model.audio["sample_rate"], model.audio["seconds"]

    def segments(blocks: Iterable[Waveform]) -> Iterator[Segment]:
        parts = parts_between_onsets(blocks, rate, round(clip * rate))
        return (segment for segment in _named(model, parts, leave_out_unknown=False) if segment)

    return _until_broken(path, rate, segments)


def windows(blocks: Iterable[Waveform], time: int, hop: int) -> Iterator[Part]:
    """Windows of `time` samples every `hop` of them; the last may be shorter. They stand for `hop` samples each."""
    wave, start, begin = np.empty(0, np.float32), 0, 0
    for block in blocks:
        wave = np.concatenate([wave, block])
        # One that may be the last is kept: it stands for what comes after its middle as well.
        while len(wave) > time:
            end = start + (time + hop) // 2
            yield Part(begin, end, wave[begin - start : end - start], wave[:time])
            begin, start, wave = end, start + hop, wave[hop:]
    if len(wave):
        yield Part(begin, start + len(wave), wave[begin - start :], wave)


def parts_between_onsets(blocks: Iterable[Waveform], sample_rate: int, longest: int) -> Iterator[Part]:
    """The sound from each onset to the next, or to the end, at most so many samples, without the tail of the last."""
    onsets, lead = Onsets(sample_rate), window_length(sample_rate)
    wave, first = np.zeros(lead, np.float32), -lead  # sounds from sample `first` on
    begun: list[int] = []
    for block in chain(blocks, [None]):
        if block is None:
            begun += onsets.finish()
            decided = first + len(wave)
        else:
            wave = np.concatenate([wave, block])
            begun += onsets.push(block)
            decided = onsets.decided
        # Where a hit ends is known when the next has begun, or could only begin later.
        while begun and (block is None or len(begun) > 1 or begun[0] + longest <= decided):
            start = begun.pop(0)
            end = min(start + longest, begun[0] if begun else decided)
            place = start - first
            own = without_tail(wave[place : end - first], wave[place - lead : place])
            yield Part(start, end, own, own)
        needed = (begun[0] if begun else decided) - lead
        wave, first = wave[needed - first :], needed


def merged(segments: Iterable[Segment | None]) -> Iterator[Segment]:
    """Segments that follow one another with the same label as one; None parts them."""
    whole, total, count = None, 0.0, 0
    for segment in segments:
        if whole and segment and (segment.start, segment.label) == (whole.end, whole.label):
            total, count = total + segment.probability, count + 1
            whole = Segment(whole.start, segment.end, whole.label, total / count)
            continue
        if whole:
            yield whole
        whole, total, count = segment, segment.probability if segment else 0.0, 1
    if whole:
        yield whole


def _until_broken(
    path: Path, sample_rate: int, segments: Callable[[Iterable[Waveform]], Iterator[Segment]]
) -> Iterator[Segment]:
    """The segments of all blocks that can be read; only then is it told what could not be."""
    broken = list[Unreadable]()

    def blocks() -> Iterator[Waveform]:
        try:
            yield from stream(path, sample_rate=sample_rate)
        except Unreadable as error:
            broken.append(error)

    yield from segments(blocks())
    if broken:
        raise broken[0]


def _named(model: Model, parts: Iterable[Part], *, leave_out_unknown: bool) -> Iterator[Segment | None]:
    """A segment for each part, None for what is left out; a few batches at once, each on a core of its own."""
    heard, cores = _heard(parts), torch.get_num_threads()
    waiting: deque[Future[list[Segment | None]]] = deque()
    with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        while batch := list(islice(heard, BATCH_SIZE)):
            waiting.append(pool.submit(_name, model, batch, leave_out_unknown))
            if len(waiting) > 2 * cores:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _heard(parts: Iterable[Part]) -> Iterator[tuple[Part, bool]]:
    """Each part, and whether it is more than silence."""
    loudest = 0.0
    for part in parts:
        power = 2 * float(part.own.var(dtype=np.float64))
        loudest = max(loudest, power)
        yield part, power > max(10 ** (SILENT_DBFS / 10), loudest * 10 ** (-SILENT_BELOW / 10))


def _name(model: Model, parts: list[tuple[Part, bool]], leave_out_unknown: bool) -> list[Segment | None]:
    audio = model.audio
    rate, time = audio["sample_rate"], round(audio["sample_rate"] * audio["seconds"])
    clips = []
    for part, is_heard in parts:
        if is_heard:
            wave = part.about[sounding(part.about, np.abs(part.about).max())]  # as of any recording
            level = levelled(wave, remove_dc=audio["remove_dc"], level=audio["level"])
            clips.append([padded(level, time, audio["padding"])])
    answers = iter(ranked(model, clips, 1))
    found: list[Segment | None] = []
    for part, is_heard in parts:
        answer = next(answers) if is_heard else None
        if answer is None or (leave_out_unknown and answer.unknown):
            found.append(None)
        else:
            found.append(Segment(part.start / rate, part.end / rate, *answer.names[0]))
    return found
