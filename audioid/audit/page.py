"""`audit.html`: one file with pictures and players, nothing loaded from elsewhere."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from audioid.audit.checks import Finding
from audioid.data.audio import Unreadable, Waveform, load
from audioid.data.index import Index
from audioid.data.mp3 import encode_mp3

SAMPLE_RATE, SECONDS = 32000, 3.0
# Cases of one kind that are shown with picture and player, some 30 kB each; audit.json holds all.
SHOWN = 12
WIDTH, HEIGHT = 224, 96
N_FFT, DECIBEL_RANGE = 1024, 70.0
LOWEST, HIGHEST = 40.0, 16000.0
# Dark to bright, even in lightness.
COLOURS = np.array([[6, 6, 20], [58, 16, 92], [140, 41, 99], [215, 72, 66], [251, 155, 40], [252, 253, 191]])


@dataclass(frozen=True)
class Sound:
    """A recording to look at and to listen to, as base64: `picture` a PNG, `player` an MP3."""

    picture: str
    player: str


def html_page(
    root: str,
    summary: Sequence[tuple[bool, str]],
    sampled: Sequence[str],
    tables: Sequence[tuple[str, list[str], list[list[str]]]],
    findings: Sequence[Finding],
    index: Index,
) -> str:
    """The page as text; every name that comes from a file is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html").render(
        root=root,
        summary=summary,
        sampled=sampled,
        tables=tables,
        findings=findings,
        index=index,
        shown=SHOWN,
        sound_of=partial(_sound, index),
    )


def _sound(index: Index, path: str) -> Sound | None:
    """The recording, None if it cannot be decoded."""
    try:
        wave = load(
            index.root / path,
            sample_rate=SAMPLE_RATE,
            seconds=SECONDS,
            start="onset",
            padding="end",
            remove_dc=False,
            level="none",
        )
    except Unreadable:
        return None
    seconds = float(index.table.loc[index.table["path"] == path, "seconds"].iloc[0])
    wave = wave[: max(1, round(seconds * SAMPLE_RATE))]
    return Sound(_encoded(_png(wave)), _encoded(encode_mp3(wave, SAMPLE_RATE)))


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _png(wave: Waveform) -> bytes:
    """A spectrogram, logarithmic in frequency from 40 Hz to 16 kHz, as wide as the wave is long."""
    centres = np.linspace(0, len(wave), WIDTH).astype(int)
    padded = np.pad(wave, N_FFT // 2)
    frames = padded[np.minimum(centres, len(wave) - 1)[:, None] + np.arange(N_FFT)]
    level = 20 * np.log10(np.abs(np.fft.rfft(frames * np.hanning(N_FFT), axis=1)) + 1e-9)
    rows = np.geomspace(HIGHEST, LOWEST, HEIGHT) * N_FFT / SAMPLE_RATE
    image = np.stack([np.interp(rows, np.arange(level.shape[1]), column) for column in level], axis=1)
    shade = np.clip(1 + (image - image.max()) / DECIBEL_RANGE, 0, 1)
    file = io.BytesIO()
    Image.fromarray(_coloured(shade)).save(file, "PNG")
    return file.getvalue()


def _coloured(shade: NDArray[np.float64]) -> NDArray[np.uint8]:
    places = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(shade, places, COLOURS[:, part]) for part in range(3)], axis=-1).astype(np.uint8)
