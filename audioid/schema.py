"""What each key of the configuration may hold. The values themselves live in `conf/*.yaml` alone."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializeAsAny


class Section(BaseModel):
    """A part of the configuration: plain values of declared types, which nothing changes any more."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


def _pattern(text: str) -> str:
    """A regular expression with a capture; ValueError says what is wrong."""
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"is no regular expression ({error}); mend it") from None
    if not groups:
        raise ValueError("captures nothing; put ( ) around what names the group")
    return text


class AudioSettings(Section):
    sample_rate: Annotated[int, Field(ge=1000, le=768000)]
    seconds: Annotated[float, Field(gt=0, le=3600)] | Literal["auto"]
    windows: Annotated[int, Field(ge=1, le=10**6)] | Literal["all"] = 1  # as was so before there was a choice
    start: Literal["beginning", "onset", "loudest", "random"]
    padding: Literal["end", "center", "repeat"]
    remove_dc: bool
    level: Literal["none", "peak", "rms"]

    @property
    def n_samples(self) -> int:
        """Of each clip, once its length is a number."""
        assert self.seconds != "auto"
        return round(self.sample_rate * self.seconds)


class ImageSettings(Section):
    size: Annotated[int, Field(ge=8, le=1024)]
    f_min: Annotated[float, Field(gt=0)]
    f_max: Annotated[float, Field(gt=0)]
    frequency_scale: Literal["log", "mel", "linear"]
    amplitude_scale: Literal["decibel", "magnitude", "signed"]
    decibel_range: Annotated[float, Field(gt=0, le=200)]
    standardize: Literal["global", "pixel", "none"]


class DataSettings(Section):
    name: str
    unknown: str | None = None
    on_unreadable: Literal["skip", "fail"]
    batch_size: Annotated[int, Field(ge=1, le=65536)]


class SyntheticDataSettings(DataSettings):
    seed: Annotated[int, Field(ge=0)]
    per_class: Annotated[int, Field(ge=1)]
    kits: Annotated[int, Field(ge=1)]
    sample_rate: Annotated[int, Field(ge=8000)]
    seconds: Annotated[float, Field(ge=0.05)]


class GeneratedDataSettings(DataSettings):
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    count: Annotated[int, Field(ge=1, lt=10**7)]
    label: Literal["label", "kind"]


class FolderDataSettings(DataSettings):
    root: str
    group_pattern: Annotated[str, AfterValidator(_pattern)] | None


class ManifestDataSettings(DataSettings):
    file: str
    group_pattern: Annotated[str, AfterValidator(_pattern)] | None


class SplitSettings(Section):
    name: str
    seed: Annotated[int, Field(ge=0)]
    group: Literal["index", "near_duplicates"]
    test_fraction: Annotated[float, Field(gt=0, le=0.9)]
    val_fraction: Annotated[float, Field(ge=0, le=0.9)]
    train_per_class: Annotated[int, Field(ge=1)] | None = None  # as was so before there was a choice
    folds: Annotated[int, Field(ge=2)]
    fold: Annotated[int, Field(ge=0)]


class TransformSettings(Section):
    name: str


class FftSettings(TransformSettings):
    n_fft: Annotated[int, Field(ge=16, le=2**17)] | Literal["auto"]
    win_length: Annotated[int, Field(ge=4, le=2**17)] | Literal["auto"]
    window: Literal["hann", "hamming", "blackman"]
    n_mels: Annotated[int, Field(ge=2, le=4096)] | None


class CwtSettings(TransformSettings):
    wavelet: str
    norm: Literal["l1", "l2"]
    padding: Literal["zero", "reflect"]
    scales: list[Annotated[int, Field(ge=1, le=10**5)]] | None
    first_samples: Annotated[int, Field(ge=2)] | None


class SsqSettings(TransformSettings):
    wavelet: str
    padding: Literal["zero", "reflect"]


class CqtSettings(TransformSettings):
    filter_scale: Annotated[float, Field(gt=0, le=10)]
    padding: Literal["zero", "reflect"]


class MfccSettings(FftSettings):
    n_mfcc: Annotated[int, Field(ge=1, le=1024)] | None


class BothSettings(FftSettings, CwtSettings):
    """The keys of both channels."""


class AugmentSettings(Section):
    name: str
    p: Annotated[float, Field(gt=0, le=1)]
    pitch_semitones: Annotated[float, Field(ge=0, le=12)]
    speed: Annotated[float, Field(ge=0, le=0.5)]
    eq_db: Annotated[float, Field(ge=0, le=40)]
    reverb_seconds: Annotated[float, Field(ge=0, le=2)]
    min_snr_db: Annotated[float, Field(ge=-20, le=100)] | None
    time_shift: Annotated[float, Field(ge=0, le=0.9)]
    gain_db: Annotated[float, Field(ge=0, le=60)]
    frequency_shift: Annotated[float, Field(ge=0, le=0.5)] | Literal["auto"]
    time_stretch: Annotated[float, Field(ge=0, le=2)]
    tilt_db: Annotated[float, Field(ge=0, le=40)]
    frequency_mask: Annotated[float, Field(ge=0, le=0.9)]
    time_mask: Annotated[float, Field(ge=0, le=0.9)]
    mixup: Annotated[float, Field(ge=0, le=10)]


class ModelSettings(Section):
    name: str


SMALLEST_ORIGINAL = 16  # image.size that its layers can take


class OriginalSettings(ModelSettings):
    width: Annotated[int, Field(ge=1, le=65536)]


class CnnSettings(ModelSettings):
    width: Annotated[int, Field(ge=1, le=65536)]
    depth: Annotated[int, Field(ge=1, le=8)]
    blocks: Annotated[int, Field(ge=0, le=8)] = 0  # this and the next: as was so before there was a choice
    dropout: Annotated[float, Field(ge=0, le=0.9)]
    pretrained: str = "none"


class TimmSettings(ModelSettings):
    architecture: str
    pretrained: Literal["none", "imagenet"] = "none"  # model folders do not say any more


class CustomSettings(ModelSettings):
    target: str
    arguments: dict[str, Any]


class OptimizerSettings(Section):
    name: str
    lr: Annotated[float, Field(gt=0, le=100)]
    weight_decay: Annotated[float, Field(ge=0, le=100)]


class SgdSettings(OptimizerSettings):
    momentum: Annotated[float, Field(ge=0, le=0.9999)]


class SchedulerSettings(Section):
    name: str


class CosineSettings(SchedulerSettings):
    warmup: Annotated[float, Field(ge=0, lt=1)]


class PlateauSettings(SchedulerSettings):
    factor: Annotated[float, Field(gt=0, le=0.99)]
    patience: Annotated[int, Field(ge=0)]


BestBy = Literal["val_loss", "val_accuracy"]


class TrainerSettings(Section):
    max_steps: Annotated[int, Field(ge=1, le=10**8)] | Literal["auto"]
    max_epochs: Annotated[int, Field(ge=1, le=10**6)] | None
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: Annotated[int, Field(ge=1)]
    parallel_seeds: Annotated[int, Field(ge=1, le=1024)] | list[int] = 1  # a list: those of one job of a sweep
    strategy: Literal["auto", "ddp"]
    best_by: BestBy
    patience: Annotated[float, Field(gt=0, lt=1)] | None
    class_weights: Literal["none", "balanced"] = "none"  # as was so before there was a choice
    precision: Literal["32-true", "16-mixed", "bf16-mixed"]
    gradient_clip_val: Annotated[float, Field(gt=0)] | None
    accumulate_grad_batches: Annotated[int, Field(ge=1)]
    limit_train_batches: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)] | None
    fast_dev_run: bool
    profiler: Literal["none", "simple", "advanced"]


class UnknownSettings(Section):
    false_rejections: Annotated[float, Field(gt=0, lt=1)] = 0.05


MOST_TRIALS = 10**4


class TuneSettings(Section):
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = 30
    at_once: Annotated[int, Field(ge=1, le=1024)] = 1
    seed: Annotated[int, Field(ge=0, lt=10**5)] = 0  # numpy's seeds end at 2**32


class StoreSettings(Section):
    root: str
    max_gib: Annotated[float, Field(gt=0, le=1e6)]
    shards: Annotated[int, Field(ge=1, le=256)]  # each keeps a file open


class Settings(Section):
    """The whole configuration of one run."""

    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]
    resume: str | None
    fit: Literal["judged", "everything"] = "judged"
    metric: Literal["auto", "test_accuracy", "test_macro_f1", "test_loss"]
    margin: Annotated[float, Field(gt=0, lt=1)]
    logger: list[str]
    audio: AudioSettings
    image: ImageSettings
    data: SerializeAsAny[DataSettings]
    split: SplitSettings
    transform: SerializeAsAny[TransformSettings]
    augment: SerializeAsAny[AugmentSettings]
    model: SerializeAsAny[ModelSettings]
    optimizer: SerializeAsAny[OptimizerSettings]
    scheduler: SerializeAsAny[SchedulerSettings]
    trainer: TrainerSettings
    unknown: UnknownSettings = UnknownSettings()
    tune: TuneSettings = TuneSettings()
    store: StoreSettings


LOGGERS = ("tensorboard", "csv", "mlflow", "wandb")
JUDGED_ANEW = ("unknown.", "data.unknown")  # what is said of a trained network hangs on these, not the network
# What may change when a run goes on: where it runs, how long, and by what it is then judged.
FREE_ON_RESUME = (
    "resume",
    "fit",
    "metric",
    "margin",
    "store.",
    "tune.trials",
    "tune.at_once",
    *JUDGED_ANEW,
    *(f"trainer.{key}" for key in ("max_steps", "max_epochs", "accelerator", "devices", "strategy", "parallel_seeds")),
)
# The classes of the groups whose options differ: OPTIONS[group][name]. `audioid.registry` adds those of others.
OPTIONS: dict[str, dict[str, type[Section]]] = {
    "data": {
        "synthetic": SyntheticDataSettings,
        "generated": GeneratedDataSettings,
        "folder": FolderDataSettings,
        "manifest": ManifestDataSettings,
    },
    "split": dict.fromkeys(("stratified", "grouped", "kfold", "given"), SplitSettings),
    "transform": {
        "fft": FftSettings,
        "cwt": CwtSettings,
        "ssq": SsqSettings,
        "cqt": CqtSettings,
        "mfcc": MfccSettings,
        "both": BothSettings,
    },
    "augment": dict.fromkeys(("auto", "none", "specaugment", "sound", "full"), AugmentSettings),
    "model": {"cnn": CnnSettings, "original": OriginalSettings, "timm": TimmSettings, "custom": CustomSettings},
    "optimizer": {"sgd": SgdSettings, "adamw": OptimizerSettings},
    "scheduler": {"constant": SchedulerSettings, "cosine": CosineSettings, "plateau": PlateauSettings},
}


def later_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's `flat` configuration lacks that was written before a key was there: the default says what was so."""
    groups: dict[str, type[Section]] = {"audio": AudioSettings, "split": SplitSettings, "trainer": TrainerSettings}
    if "cnn" in (values.get("model.name"), values.get("model")):
        groups["model"] = CnnSettings
    return {
        f"{group}.{name}": field.default
        for group, schema in groups.items()
        if any(f"{key}.".startswith(f"{group}.") for key in values)
        for name, field in schema.model_fields.items()
        if not field.is_required() and f"{group}.{name}" not in values
    }


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"seed": 0, "model": {"width": 32}}` as `{"seed": 0, "model.width": 32}`; what lies deeper is one value."""
    pairs: dict[str, Any] = {}
    for key, value in values.items():
        pairs |= {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, Mapping) else {key: value}
    return pairs
