"""A page on which generated sounds can be seen in both pictures and heard: one file, nothing loaded from elsewhere."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from audioid import transforms
from audioid.config import compose
from audioid.generator.files import Sound, Wanted, sounds
from audioid.generator.kinds import Kind
from audioid.pipeline.colours import coloured
from audioid.pipeline.showing import playable
from audioid.transforms.image import TimeFrequencyTransform

PICTURES = ("fft", "cwt")
QUALITY = 60  # of a picture, of 100: half of the size of a PNG


@dataclass(frozen=True)
class Shown:
    """A sound as base64: `picture` a WebP of its pictures side by side, `player` an MP3."""

    name: str
    picture: str
    player: str


@dataclass(frozen=True)
class Chapter:
    kind: Kind
    sounds: list[Shown]

    @property
    def meaning(self) -> str:
        """The first paragraph of what the model says of itself."""
        return " ".join((self.kind.model.__doc__ or "").partition("\n\n")[0].split())


def sounds_page(kinds: Sequence[int], wanted: Wanted) -> str:
    """The page as text: for each of the kinds (places in `KINDS`) its makers and takes, label by label."""
    pictures = _pictures(wanted)
    chapters = [
        Chapter(kind, [_shown(sound, pictures, wanted) for sound in some])
        for kind, some in groupby(sounds(kinds, wanted), key=lambda sound: sound.kind)
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    labels = list(dict.fromkeys(chapter.kind.label for chapter in chapters))
    by_label = {label: [chapter for chapter in chapters if chapter.kind.label == label] for label in labels}
    return environment.get_template("sounds_page.html").render(by_label=by_label, pictures=PICTURES, wanted=wanted)


def _pictures(wanted: Wanted) -> list[TimeFrequencyTransform]:
    """Both pictures of such sounds, in the default settings."""
    audio = [f"audio.sample_rate={wanted.sample_rate}", f"audio.seconds={wanted.seconds}"]
    if wanted.sample_rate < 22050:
        audio.append(f"image.f_max={0.45 * wanted.sample_rate}")
    every = [compose([f"transform={name}", *audio]) for name in PICTURES]
    n_samples = round(wanted.sample_rate * wanted.seconds)
    return [
        transforms.build(
            each.transform.model_dump(), each.image.model_dump(), sample_rate=wanted.sample_rate, n_samples=n_samples
        )
        for each in every
    ]


def _shown(sound: Sound, pictures: Sequence[TimeFrequencyTransform], wanted: Wanted) -> Shown:
    with torch.inference_mode():
        images = [made(torch.from_numpy(sound.waveform)[None])[0, 0].numpy() for made in pictures]
    shades = [coloured(image, made.row_label) for image, made in zip(images, pictures, strict=True)]
    gap = np.full((len(shades[0]), 4, 3), 255, np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.concatenate([shades[0], gap, shades[1]], axis=1)).save(file, "WEBP", quality=QUALITY)
    name = f"maker {sound.maker}" + (f", take {sound.take}" if wanted.takes > 1 else "")
    return Shown(name, _encoded(file.getvalue()), _encoded(playable(sound.waveform, wanted.sample_rate)))


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
