"""Generated sounds chosen by name, and as files in folders named by label."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from pydantic import Field

from audioid.errors import AudioidError
from audioid.files import new_folder
from audioid.generator.generator import AT_ONCE, Generator
from audioid.generator.kinds import KINDS, Kind
from audioid.program import program
from audioid.schema import Section

ALL = "all"


class Wanted(Section):
    """How many sounds of each kind, of what seed and length."""

    makers: Annotated[int, Field(ge=1, le=10_000)] = 4
    takes: Annotated[int, Field(ge=1, le=100)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    seconds: Annotated[float, Field(ge=0.05, le=30)] = 1.0
    sample_rate: Annotated[int, Field(ge=8000, le=96_000)] = 22050


@dataclass(frozen=True)
class Sound:
    """One generated sound: `waveform` `(time,)` within -1 and 1."""

    kind: Kind
    maker: int
    take: int
    waveform: NDArray[np.float32]

    @property
    def name(self) -> str:
        return f"{self.kind.model.__name__}_maker{self.maker:04d}_take{self.take:02d}"


def kinds_named(names: Sequence[str]) -> list[int]:
    """The places in `KINDS` of these kinds and of all kinds with these labels, each once; `all` for all.

    Raises:
        AudioidError: there is no such kind or label; tells of near ones.
    """
    found: dict[int, None] = {}
    for name in names:
        places = [place for place, kind in enumerate(KINDS) if name in (ALL, kind.label, kind.model.__name__)]
        if not places:
            known = {ALL, *(name for kind in KINDS for name in (kind.label, kind.model.__name__))}
            near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
            near += sorted(other for other in known - {*near} if name and name in other)
            hint = f"did you mean {' or '.join(near)}?" if near else f"{program('synthesize')} --list tells all"
            raise AudioidError(f"--instrument: there is no {name!r}; {hint}")
        found |= dict.fromkeys(places)
    return list(found)


def sounds(kinds: Sequence[int], wanted: Wanted) -> Iterator[Sound]:
    """The sounds of these kinds, kind by kind, maker by maker."""
    generator = Generator(seed=wanted.seed, sample_rate=wanted.sample_rate, seconds=wanted.seconds)
    everyone = torch.cartesian_prod(torch.arange(wanted.makers), torch.arange(wanted.takes))
    for place in kinds:
        for some in everyone.split(AT_ONCE):
            made = generator.sounds([place] * len(some), some[:, 0], some[:, 1]).numpy()
            for (maker, take), waveform in zip(some.tolist(), made, strict=True):
                yield Sound(KINDS[place], maker, take, waveform)


def write_sounds(root: Path, kinds: Sequence[int], wanted: Wanted) -> int:
    """Write them as `root/LABEL/KIND_maker0003_take00.wav`, 16 bit, mono; how many. `root` appears when it is whole.

    Raises:
        AudioidError: `root` is there already or cannot be written.
    """
    with new_folder(root) as part:
        for sound in sounds(kinds, wanted):
            folder = part / sound.kind.label
            folder.mkdir(exist_ok=True)
            soundfile.write(folder / f"{sound.name}.wav", sound.waveform, wanted.sample_rate, subtype="PCM_16")
    return len(kinds) * wanted.makers * wanted.takes
