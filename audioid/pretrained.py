"""Which trained weights a run begins with: those that come with audioid, or those of a model folder of the user's own.

Decided by `model.json` and the checksum of the weights alone, without torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioid.errors import AudioidError
from audioid.model_description import DESCRIPTION, Description, checked_weights, place_of, read_description
from audioid.program import program
from audioid.schema import CnnSettings, Settings, flat
from audioid.terminal import on_a_line

SHIPPED = Path(__file__).parent / "weights"  # a model folder for each picture, made by scripts/pretrain.py
# What features depend on, by the beginnings of its keys, and what is free among it.
DECISIVE = ("transform.", "image.", "audio.sample_rate", "model.name", "model.width", "model.depth", "model.blocks")
FREE = ("image.standardize",)


@dataclass(frozen=True)
class Pretrained:
    """A model folder whose features a network begins with; `source` is `synthetic`, or the folder as it was chosen."""

    source: str
    folder: Path
    description: Description

    @property
    def record(self) -> dict[str, str]:
        """What `metrics.json` says of it."""
        return {"source": self.source, "sha256": self.description.weights_sha256}


@dataclass(frozen=True)
class Beginning:
    """What a run begins with, None for the initial weights of its seed, and a line that says so and why."""

    weights: Pretrained | None
    told: str


def beginning_of(settings: Settings) -> Beginning:
    """What `model.pretrained` means for this picture and this network.

    Raises:
        AudioidError: the weights that were asked for are not there, are damaged, or are of another picture or network.
    """
    if not isinstance(settings.model, CnnSettings):  # others have no such choice, or make it themselves
        return Beginning(None, "")
    chosen, picture = settings.model.pretrained, settings.transform.name
    if chosen == "none":
        return Beginning(None, "begins from scratch")
    if chosen not in ("auto", "synthetic"):
        return Beginning(_of_the_user(chosen, settings), f"begins with the weights in {chosen}")
    if chosen == "auto" and settings.data.name in ("synthetic", "generated"):
        return Beginning(
            None, "begins from scratch: the shipped weights have learned from sounds that are computed much like these"
        )
    nearest = _nearest_shipped(settings)
    unlike = _unlike(nearest.description, settings) if nearest else []
    if nearest and not unlike:
        try:
            checked_weights(nearest.folder, nearest.description)
        except AudioidError as error:
            problem = str(error).rpartition("; ")[0]
            raise AudioidError(f"{problem}; install audioid again, or set model.pretrained=none") from error
        return Beginning(nearest, f"begins with the shipped weights for {picture} (synthetic sounds)")
    words = _as_chosen(_decisive(settings.model_dump()), ["transform.name", *unlike])
    make = f"{program('pretrain')} {words}"
    if chosen == "auto":
        return Beginning(None, f"begins from scratch: no shipped weights for {words}; {make} makes some")
    raise AudioidError(
        f"model.pretrained: no shipped weights for {words}; make some with {make} "
        "and name their folder here, or set model.pretrained=none"
    )


def _of_the_user(chosen: str, settings: Settings) -> Pretrained:
    folder = place_of(Path(chosen).expanduser())
    if not (folder / DESCRIPTION).is_file():
        raise AudioidError(
            f"model.pretrained: {chosen} is no model folder; choose auto, none, synthetic, or the folder of a run"
        )
    description = read_description(folder / DESCRIPTION)
    if unlike := _unlike(description, settings):
        learned, wanted = (_decisive(each.model_dump()) for each in (description, settings))
        shared = [key for key in unlike if key in learned] or unlike  # another picture has other keys as well
        there, here = _as_chosen(learned, shared), _as_chosen(wanted, shared)
        raise AudioidError(
            f"model.pretrained: the weights in {chosen} are for {there}, not for {here}; choose that, or others"
        )
    checked_weights(folder, description)
    return Pretrained(chosen, folder, description)


def _nearest_shipped(settings: Settings) -> Pretrained | None:
    """Of the shipped folders the one that agrees best with the settings."""
    found = [
        Pretrained("synthetic", file.parent, read_description(file))
        for file in sorted(SHIPPED.glob(f"*/{DESCRIPTION}"))
    ]
    unlike = [_unlike(each.description, settings) for each in found]
    order = sorted(range(len(found)), key=lambda place: ("transform.name" in unlike[place], len(unlike[place])))
    return found[order[0]] if order else None


def _unlike(description: Description, settings: Settings) -> list[str]:
    """The keys that features depend on and whose values are not the same there."""
    learned, wanted = _decisive(description.model_dump()), _decisive(settings.model_dump())
    return [key for key, value in wanted.items() if key not in learned or learned[key] != value]


def _decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of settings those on which features depend: as they were when these learned, so they must be."""
    values = flat({group: settings[group] for group in ("transform", "image", "audio", "model")})
    if values["model.name"] == "cnn":  # what models older than a key do not say of it is what there was before it
        fields = CnnSettings.model_fields.items()
        values = {f"model.{key}": field.default for key, field in fields if not field.is_required()} | values
    return {key: value for key, value in values.items() if key.startswith(DECISIVE) and key not in FREE}


def _as_chosen(values: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The values of these keys as on a command line: `transform=cwt transform.wavelet=mexh`."""
    texts = {key: "null" if values.get(key) is None else str(values[key]).replace(" ", "") for key in keys}
    # Folders of others may hold any text.
    return " ".join(f"{key.removesuffix('.name')}={on_a_line(text)}" for key, text in texts.items())
