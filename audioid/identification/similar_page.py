"""A page to see and hear recordings and those most like them: one file, nothing loaded from elsewhere."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from audioid.data.audio import Unreadable
from audioid.data.clips import load_clips
from audioid.identification.answers import Model
from audioid.identification.similar import Found
from audioid.pipeline.colours import coloured
from audioid.pipeline.showing import playable

NEIGHBOURS = 12  # of each question
GAP = 2  # pixels between several pictures of one recording
QUALITY = 60  # of a picture, of 100: half of the size of a PNG


@dataclass(frozen=True)
class Card:
    """A recording as base64: `picture` a WebP of what the network sees of its first clip, `player` an MP3 of that; both
    empty where it can be read no more. A question has neither label nor similarity."""

    path: Path
    picture: str
    player: str
    label: str = ""
    similarity: float | None = None


@dataclass(frozen=True)
class Row:
    question: Card
    neighbours: list[Card]


def similar_page(model: Model, every: Sequence[Found], count: int) -> str:
    """The page as text; every name that comes from a file is escaped.

    Args:
        every: what to show, each with its first `NEIGHBOURS`.
        count: of how many questions these are the first.
    """
    rows = [
        Row(
            Card(found.path, *_shown(model, found.path)),
            [
                Card(each.path, *_shown(model, each.path), each.label, each.similarity)
                for each in found.neighbours[:NEIGHBOURS]
            ],
        )
        for found in every
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    most = max((len(found.neighbours) for found in every), default=0)
    return environment.get_template("similar_page.html").render(
        rows=rows, count=count, cut=most if most > NEIGHBOURS else 0, shown=NEIGHBOURS
    )


def _shown(model: Model, path: Path) -> tuple[str, str]:
    """The picture and the player."""
    try:
        wave = next(clip for clip in load_clips(path, **model.audio) if clip is not None)
    except Unreadable:
        return "", ""
    with torch.inference_mode():
        images = [(made, made(torch.from_numpy(wave)[None])[0].numpy()) for made in model.classifier.pictures]
    shades = [coloured(channel, made.row_label) for made, image in images for channel in image]
    parted = [np.pad(shade, ((0, 0), (0, GAP), (0, 0)), constant_values=255) for shade in shades[:-1]]
    file = io.BytesIO()
    Image.fromarray(np.concatenate([*parted, shades[-1]], axis=1)).save(file, "WEBP", quality=QUALITY)
    return _encoded(file.getvalue()), _encoded(playable(wave, model.audio["sample_rate"]))


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
