"""What each key of the configuration may hold. The values themselves live in `conf/*.yaml` alone."""

import math
from dataclasses import dataclass, field
from typing import Any


def one_of(*choices: str) -> Any:
    """A field whose value is one of these words."""
    return field(metadata={"choices": choices})


def number(*, low: float = -math.inf, high: float = math.inf, above: float = -math.inf) -> Any:
    """A numeric field in `[low, high]` that is also greater than `above`."""
    return field(metadata={"low": low, "high": high, "above": above})


@dataclass(frozen=True)
class Audio:
    sample_rate: int = number(low=1000, high=768000)
    seconds: float = number(above=0, high=3600)
    start: str = one_of("beginning", "onset", "loudest", "random")
    padding: str = one_of("end", "center", "repeat")
    remove_dc: bool
    level: str = one_of("none", "peak", "rms")


@dataclass(frozen=True)
class Image:
    size: int = number(low=8, high=1024)
    f_min: float = number(above=0)
    f_max: float = number(above=0)
    spacing: str = one_of("log", "mel", "linear")
    scale: str = one_of("decibel", "magnitude", "signed")
    decibel_range: float = number(above=0, high=200)
    standardize: str = one_of("global", "pixel", "none")


@dataclass(frozen=True)
class Data:
    name: str
    on_unreadable: str = one_of("skip", "fail")
    batch_size: int = number(low=1)


@dataclass(frozen=True)
class SyntheticData(Data):
    seed: int = number(low=0)
    per_class: int = number(low=1)
    kits: int = number(low=1)


@dataclass(frozen=True)
class FolderData(Data):
    root: str
    group_pattern: str | None


@dataclass(frozen=True)
class ManifestData(Data):
    file: str
    group_pattern: str | None


@dataclass(frozen=True)
class Split:
    name: str
    seed: int = number(low=0)
    group: str = one_of("index", "near_duplicates")
    test_fraction: float = number(above=0, high=0.9)
    val_fraction: float = number(low=0, high=0.9)
    folds: int = number(low=2)
    fold: int = number(low=0)


@dataclass(frozen=True)
class Transform:
    name: str


@dataclass(frozen=True)
class Augment:
    name: str


@dataclass(frozen=True)
class Model:
    name: str
    width: int = number(low=1)


@dataclass(frozen=True)
class Cnn(Model):
    depth: int = number(low=1, high=8)
    dropout: float = number(low=0, high=0.9)


@dataclass(frozen=True)
class Optimizer:
    name: str
    lr: float = number(above=0)
    weight_decay: float = number(low=0)


@dataclass(frozen=True)
class Sgd(Optimizer):
    momentum: float = number(low=0, high=0.9999)


@dataclass(frozen=True)
class Scheduler:
    name: str


@dataclass(frozen=True)
class Cosine(Scheduler):
    warmup_epochs: int = number(low=0)


@dataclass(frozen=True)
class Plateau(Scheduler):
    factor: float = number(above=0, high=0.99)
    patience: int = number(low=0)


@dataclass(frozen=True)
class Trainer:
    max_epochs: int = number(low=1)
    accelerator: str = one_of("auto", "cpu", "gpu", "mps")
    devices: int = number(low=1)
    strategy: str = one_of("auto", "ddp", "ddp_spawn", "fsdp")
    best_by: str = one_of("val_loss", "val_accuracy")
    patience: int | None = number(low=1)


@dataclass(frozen=True)
class Store:
    root: str
    max_gib: float = number(above=0)
    shards: int = number(low=1, high=4096)


@dataclass(frozen=True)
class Settings:
    """The whole configuration of one run."""

    seed: int = number(low=0, high=2**32 - 1)
    resume: str | None
    audio: Audio
    image: Image
    data: Data
    split: Split
    transform: Transform
    augment: Augment
    model: Model
    optimizer: Optimizer
    scheduler: Scheduler
    trainer: Trainer
    store: Store


# The classes of the groups whose options differ: OPTIONS[group][name].
OPTIONS: dict[str, dict[str, type]] = {
    "data": {"synthetic": SyntheticData, "folder": FolderData, "manifest": ManifestData},
    "split": dict.fromkeys(("stratified", "grouped", "kfold", "given"), Split),
    "transform": {"fft": Transform, "cwt": Transform, "ssq": Transform, "cqt": Transform},
    "augment": {"none": Augment, "specaugment": Augment},
    "model": {"cnn": Cnn, "original": Model},
    "optimizer": {"sgd": Sgd, "adamw": Optimizer},
    "scheduler": {"constant": Scheduler, "cosine": Cosine, "plateau": Plateau},
}
