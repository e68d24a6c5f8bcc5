"""What each key of the configuration may hold. The values themselves live in `conf/*.yaml` alone."""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from reprlib import repr as brief
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin


@dataclass(frozen=True)
class Range:
    """The limits of a number: `low` and `high` may be reached, `above` may not."""

    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf

    def holds(self, value: float) -> bool:
        """Whether `value` lies inside."""
        return self.low <= value <= self.high and value > self.above

    def __str__(self) -> str:
        rules = {"at least": self.low, "at most": self.high, "greater than": self.above}
        return " and ".join(f"{words} {limit:g}" for words, limit in rules.items() if math.isfinite(limit))


@dataclass(frozen=True)
class AudioSettings:
    sample_rate: Annotated[int, Range(low=1000, high=768000)]
    seconds: Annotated[float, Range(above=0, high=3600)]
    start: Literal["beginning", "onset", "loudest", "random"]
    padding: Literal["end", "center", "repeat"]
    remove_dc: bool
    level: Literal["none", "peak", "rms"]


@dataclass(frozen=True)
class ImageSettings:
    size: Annotated[int, Range(low=8, high=1024)]
    f_min: Annotated[float, Range(above=0)]
    f_max: Annotated[float, Range(above=0)]
    frequency_scale: Literal["log", "mel", "linear"]
    amplitude_scale: Literal["decibel", "magnitude", "signed"]
    decibel_range: Annotated[float, Range(above=0, high=200)]
    standardize: Literal["global", "pixel", "none"]


@dataclass(frozen=True)
class DataSettings:
    name: str
    on_unreadable: Literal["skip", "fail"]
    batch_size: Annotated[int, Range(low=1, high=65536)]


@dataclass(frozen=True)
class SyntheticDataSettings(DataSettings):
    seed: Annotated[int, Range(low=0)]
    per_class: Annotated[int, Range(low=1)]
    kits: Annotated[int, Range(low=1)]
    sample_rate: Annotated[int, Range(low=8000)]
    seconds: Annotated[float, Range(low=0.05)]


@dataclass(frozen=True)
class FolderDataSettings(DataSettings):
    root: str
    group_pattern: str | None


@dataclass(frozen=True)
class ManifestDataSettings(DataSettings):
    file: str
    group_pattern: str | None


@dataclass(frozen=True)
class SplitSettings:
    name: str
    seed: Annotated[int, Range(low=0)]
    group: Literal["index", "near_duplicates"]
    test_fraction: Annotated[float, Range(above=0, high=0.9)]
    val_fraction: Annotated[float, Range(low=0, high=0.9)]
    folds: Annotated[int, Range(low=2)]
    fold: Annotated[int, Range(low=0)]


@dataclass(frozen=True)
class TransformSettings:
    name: str


@dataclass(frozen=True)
class FftSettings(TransformSettings):
    n_fft: Annotated[int | str, Range(low=16, high=2**17)]
    win_length: Annotated[int | str, Range(low=4, high=2**17)]
    window: Literal["hann", "hamming", "blackman"]
    n_mels: Annotated[int | None, Range(low=2, high=4096)]


@dataclass(frozen=True)
class CwtSettings(TransformSettings):
    wavelet: str
    norm: Literal["l1", "l2"]
    padding: Literal["zero", "reflect"]
    scales: list[int] | None
    first_samples: Annotated[int | None, Range(low=2)]


@dataclass(frozen=True)
class SsqSettings(TransformSettings):
    wavelet: str
    padding: Literal["zero", "reflect"]


@dataclass(frozen=True)
class CqtSettings(TransformSettings):
    filter_scale: Annotated[float, Range(above=0, high=10)]
    padding: Literal["zero", "reflect"]


@dataclass(frozen=True)
class AugmentSettings:
    name: str
    p: Annotated[float, Range(above=0, high=1)]
    pitch_semitones: Annotated[float, Range(low=0, high=12)]
    speed: Annotated[float, Range(low=0, high=0.5)]
    eq_db: Annotated[float, Range(low=0, high=40)]
    reverb_seconds: Annotated[float, Range(low=0, high=2)]
    min_snr_db: Annotated[float | None, Range(low=-20, high=100)]
    time_shift: Annotated[float, Range(low=0, high=0.9)]
    gain_db: Annotated[float, Range(low=0, high=60)]
    frequency_mask: Annotated[float, Range(low=0, high=0.9)]
    time_mask: Annotated[float, Range(low=0, high=0.9)]
    mixup: Annotated[float, Range(low=0, high=10)]


@dataclass(frozen=True)
class ModelSettings:
    name: str
    width: Annotated[int, Range(low=1, high=65536)]


@dataclass(frozen=True)
class CnnSettings(ModelSettings):
    depth: Annotated[int, Range(low=1, high=8)]
    dropout: Annotated[float, Range(low=0, high=0.9)]


@dataclass(frozen=True)
class OptimizerSettings:
    name: str
    lr: Annotated[float, Range(above=0, high=100)]
    weight_decay: Annotated[float, Range(low=0, high=100)]


@dataclass(frozen=True)
class SgdSettings(OptimizerSettings):
    momentum: Annotated[float, Range(low=0, high=0.9999)]


@dataclass(frozen=True)
class SchedulerSettings:
    name: str


@dataclass(frozen=True)
class CosineSettings(SchedulerSettings):
    warmup_epochs: Annotated[int, Range(low=0)]


@dataclass(frozen=True)
class PlateauSettings(SchedulerSettings):
    factor: Annotated[float, Range(above=0, high=0.99)]
    patience: Annotated[int, Range(low=0)]


@dataclass(frozen=True)
class TrainerSettings:
    max_epochs: Annotated[int, Range(low=1, high=10**6)]
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: Annotated[int, Range(low=1)]
    strategy: Literal["auto", "ddp"]
    best_by: Literal["val_loss", "val_accuracy"]
    patience: Annotated[int | None, Range(low=1)]
    precision: Literal["32-true", "16-mixed", "bf16-mixed"]
    gradient_clip_val: Annotated[float | None, Range(above=0)]
    accumulate_grad_batches: Annotated[int, Range(low=1)]
    limit_train_batches: Annotated[int | float | None, Range(above=0)]
    fast_dev_run: bool
    profiler: Literal["none", "simple", "advanced"]


@dataclass(frozen=True)
class StoreSettings:
    root: str
    max_gib: Annotated[float, Range(above=0, high=1e6)]
    shards: Annotated[int, Range(low=1, high=256)]  # each keeps a file open


@dataclass(frozen=True)
class Settings:
    """The whole configuration of one run."""

    seed: Annotated[int, Range(low=0, high=2**32 - 1)]
    resume: str | None
    logger: list[str]
    audio: AudioSettings
    image: ImageSettings
    data: DataSettings
    split: SplitSettings
    transform: TransformSettings
    augment: AugmentSettings
    model: ModelSettings
    optimizer: OptimizerSettings
    scheduler: SchedulerSettings
    trainer: TrainerSettings
    store: StoreSettings


LOGGERS = ("tensorboard", "csv", "mlflow", "wandb")

# The classes of the groups whose options differ: OPTIONS[group][name].
OPTIONS: dict[str, dict[str, Any]] = {
    "data": {"synthetic": SyntheticDataSettings, "folder": FolderDataSettings, "manifest": ManifestDataSettings},
    "split": dict.fromkeys(("stratified", "grouped", "kfold", "given"), SplitSettings),
    "transform": {"fft": FftSettings, "cwt": CwtSettings, "ssq": SsqSettings, "cqt": CqtSettings},
    "augment": dict.fromkeys(("none", "specaugment", "sound", "full"), AugmentSettings),
    "model": {"cnn": CnnSettings, "original": ModelSettings},
    "optimizer": {"sgd": SgdSettings, "adamw": OptimizerSettings},
    "scheduler": {"constant": SchedulerSettings, "cosine": CosineSettings, "plateau": PlateauSettings},
}


def check(kind: Any, value: Any, key: str) -> str | None:
    """What is wrong with a value for a field annotated `kind`, as `KEY: PROBLEM`; None where nothing is."""
    kind, limits = get_args(kind) if get_origin(kind) is Annotated else (kind, Range())
    if get_origin(kind) is Literal:
        return _check_choice(get_args(kind), value, key)
    if not _is_of(kind, value):
        return f"{key}: {brief(value)} is not of type {kind.__name__ if isinstance(kind, type) else kind}"
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int | float) and not abs(number) <= sys.float_info.max:
            return f"{key}: {brief(number)} is not finite"
        if isinstance(number, int | float) and not limits.holds(number):
            return f"{key}: {brief(number)} is out of range; it must be {limits}"
    return None


def check_all(schema: type, values: Any, key: str) -> str | None:
    """As `check`, for the fields of the dataclass `schema`, which are to be the keys of `values`."""
    if not isinstance(values, dict):
        return f"{key}: {brief(values)} is no table of keys and values"
    kinds = {item.name: item.type for item in fields(schema)}
    for name in [*values, *kinds]:
        if name not in kinds:
            return f"{key}: there is no key {brief(name)}"
        if name not in values:
            return f"{key}.{name}: is missing"
        problem = check(kinds[name], values[name], f"{key}.{name}")
        if problem:
            return problem
    return None


def check_group(group: str, values: Any) -> str | None:
    """As `check_all`, for a group of `Settings`, whose `name` says which of its options it is."""
    if group not in OPTIONS:
        return check_all(Settings.__annotations__[group], values, group)
    name = values.get("name") if isinstance(values, dict) else None
    problem = _check_choice(OPTIONS[group], name, f"{group}.name")
    return problem or check_all(OPTIONS[group][str(name)], values, group)


def _check_choice(choices: Iterable[str], value: Any, key: str) -> str | None:
    choices = list(choices)
    return None if value in choices else f"{key}: there is no {brief(value)}; choose one of {', '.join(choices)}"


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a plain value is of the type; a whole number will do for a real one, but True and False are none."""
    if isinstance(kind, UnionType):
        return any(_is_of(each, value) for each in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is_of(get_args(kind)[0], each) for each in value)
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    return isinstance(value, kind)
