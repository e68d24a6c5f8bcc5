"""Recordings of a run that is done, as its network was given them."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audioid import transforms
from audioid.comparison.records import Run
from audioid.comparison.showing import Shown
from audioid.data.audio import Unreadable, Waveform
from audioid.data.clips import load_clips
from audioid.data.corpus import corpus_root
from audioid.data.mp3 import encode_mp3
from audioid.errors import one_line
from audioid.files import read_yaml, stays_below
from audioid.pipeline.colours import coloured
from audioid.pipeline.generated import make_sounds
from audioid.schema import (
    AudioSettings,
    DataSettings,
    GeneratedDataSettings,
    ImageSettings,
    StoreSettings,
    TransformSettings,
)
from audioid.validation import checked_option

logger = logging.getLogger(__name__)

MOST_SAMPLES = 2**27  # of all waveforms together, half a GiB
LONGEST_SOUND = 3.0  # seconds
SILENCE = 1e-6


@dataclass(frozen=True)
class _Needed:
    """The groups of a run's configuration that its images come from."""

    audio: AudioSettings
    image: ImageSettings
    data: DataSettings
    transform: TransformSettings
    store: StoreSettings


def show(run: Run, paths: Sequence[str]) -> dict[str, Shown]:
    """Recordings by their paths in `predictions.csv`, the image and the sound of the first clip that the run's network
    was given.

    What cannot be read any more, leads out of the corpus, or is beyond `MOST_SAMPLES` is missing. The run's files may
    come from anybody: nothing in them makes code be imported or a file be written.
    """
    try:
        return _shown(_needed(run), paths)
    except Exception as error:  # pictures are not worth a comparison
        logger.warning("%s: no pictures of its recordings (%s)", run.folder, one_line(error))
        return {}


def _needed(run: Run) -> _Needed:
    config = read_yaml(run.folder / ".hydra" / "config.yaml")
    # Of the options of other packages only those are known here that the caller has imported already.
    groups: dict[str, Any] = {group: checked_option(group, config.get(group)) for group in _Needed.__annotations__}
    if groups["audio"].seconds == "auto":
        groups["audio"] = groups["audio"].model_copy(update={"seconds": run.clip_seconds})
    return _Needed(**groups)


def _shown(settings: _Needed, paths: Sequence[str]) -> dict[str, Shown]:
    audio = settings.audio
    wanted = [path for path in dict.fromkeys(paths) if stays_below(path)][: MOST_SAMPLES // max(1, audio.n_samples)]
    with ThreadPoolExecutor() as pool:
        waveforms = _waveforms(settings, wanted, pool)
        if not waveforms:
            return {}
        images = _images(settings, np.stack(list(waveforms.values())))
        sounds = pool.map(lambda wave: playable(wave, audio.sample_rate), waveforms.values())
        return {path: Shown(*each) for path, each in zip(waveforms, zip(images, sounds, strict=True), strict=True)}


def _waveforms(settings: _Needed, paths: Sequence[str], pool: Executor) -> dict[str, Waveform]:
    """By their paths, those that there are."""
    audio, data = settings.audio.model_dump(), settings.data
    if isinstance(data, GeneratedDataSettings):
        return dict(zip(paths, make_sounds(paths, seed=data.seed, audio=audio), strict=True))
    root = corpus_root(data, Path(settings.store.root).expanduser())

    def decoded(path: str) -> Waveform | None:
        try:
            return next(clip for clip in load_clips(root / path, **audio) if clip is not None)
        except Unreadable:
            return None

    found = zip(paths, pool.map(decoded, paths), strict=True)
    return {path: wave for path, wave in found if wave is not None}


def _images(settings: _Needed, waveforms: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """For each waveform of `(recordings, time)` its image, the channels side by side."""
    made = transforms.build(
        settings.transform.model_dump(),
        settings.image.model_dump(),
        sample_rate=settings.audio.sample_rate,
        n_samples=waveforms.shape[1],
    )
    with torch.inference_mode():
        images = made(torch.from_numpy(waveforms)).numpy()
    return [np.concatenate([coloured(channel, made.row_label) for channel in image], axis=1) for image in images]


def playable(wave: Waveform, sample_rate: int, *, longest: float = LONGEST_SOUND) -> bytes:
    """The first `longest` seconds of a waveform `(time,)` without the zeros that fill its end, as loud as can be, as a
    mono MP3."""
    wave = np.trim_zeros(wave[: round(longest * sample_rate)], "b")
    return encode_mp3(wave / max(float(np.abs(wave).max(initial=0)), SILENCE), sample_rate)
