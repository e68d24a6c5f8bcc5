"""What settings may be together, as far as it can be judged without data and without torch."""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from audioid.data.split import split_problem
from audioid.errors import AudioidError
from audioid.schema import (
    LOGGERS,
    SMALLEST_ORIGINAL,
    AugmentSettings,
    CnnSettings,
    CustomSettings,
    DataSettings,
    FolderDataSettings,
    GeneratedDataSettings,
    ManifestDataSettings,
    Settings,
    TimmSettings,
)
from audioid.targets import check_target
from audioid.training import augment_rules
from audioid.transforms.rules import check_transform


def as_shown(settings: Settings, auto: Mapping[str, Any]) -> Settings:
    """The same settings, without what `augment=auto`, whose values in the configuration are `auto`, cannot do here."""
    augment, image = settings.augment, settings.image.model_dump()
    if not isinstance(augment, AugmentSettings) or augment.name != "auto":
        return settings
    picture = (settings.transform.model_dump(), image, settings.audio.level)
    values = augment_rules.as_shown(augment.model_dump(), auto, *picture)
    return settings.model_copy(update={"augment": AugmentSettings(**values)})


def check(settings: Settings, split_defaults: Mapping[str, Any]) -> None:
    """Raises AudioidError for the first rule that the settings break.

    Args:
        split_defaults: what the keys of the chosen split are where nobody chose otherwise.
    """
    check_transform(*(getattr(settings, group).model_dump() for group in ("transform", "image", "audio")))
    augment, image, audio = settings.augment, settings.image, settings.audio
    if isinstance(augment, AugmentSettings):
        augment_rules.check_augment(
            augment.model_dump(), settings.transform.model_dump(), image.model_dump(), audio.level
        )
    split = settings.split
    if isinstance(settings.data, GeneratedDataSettings) and audio.seconds == "auto":
        raise AudioidError("audio.seconds: generated sounds are as long as it says; choose a number")
    if isinstance(settings.data, GeneratedDataSettings) and split.group == "near_duplicates":
        raise AudioidError("split.group: data=generated has no files to search for near-duplicates; leave it at index")
    if problem := split_problem(split.model_dump(), split_defaults):
        raise AudioidError(problem)
    if not split.val_fraction and split.name != "given":
        refuse_needs_of_validation(settings)
    _check_loggers(settings.logger)
    _check_model(settings)
    if settings.trainer.max_epochs is not None and settings.trainer.max_steps != "auto":
        raise AudioidError(
            "trainer.max_steps: trainer.max_epochs is a number too; give one (trainer.max_epochs=null for steps)"
        )
    if settings.trainer.parallel_seeds != 1:
        _check_parallel(settings)
    if settings.fit == "everything":
        _check_everything(settings)
    if settings.trainer.precision == "16-mixed" and settings.trainer.accelerator == "cpu":
        raise AudioidError("trainer.precision: 16-mixed needs a GPU; choose bf16-mixed or 32-true")


def _check_everything(settings: Settings) -> None:
    for key, is_wanted in (
        ("parallel_seeds", settings.trainer.parallel_seeds != 1),
        ("devices", settings.trainer.devices > 1),
    ):
        if is_wanted:
            raise AudioidError(f"fit: everything is learned by one network on one device; leave out trainer.{key}")
    if settings.scheduler.name == "plateau":
        raise AudioidError("fit: with everything to learn from there is no validation part; choose scheduler=cosine")


def refuse_needs_of_validation(settings: Settings) -> None:
    """Raises AudioidError for what watches a validation part, where there is none."""
    needy = {
        "scheduler": settings.scheduler.name == "plateau",
        "trainer.patience": settings.trainer.patience,
        "trainer.best_by": settings.trainer.best_by != "val_loss",  # what it is where nobody chose
    }
    for key in (key for key, is_needy in needy.items() if is_needy):
        raise AudioidError(f"{key}: needs a validation part, and there is none; set split.val_fraction above 0")


def check_search(settings: Settings) -> None:
    """Raises AudioidError for what a search cannot take, whose trials are single runs judged by validation alone."""
    if settings.split.val_fraction == 0 and settings.split.name != "given":
        raise AudioidError("split.val_fraction: a search chooses by the validation part; set it above 0")
    if settings.trainer.fast_dev_run:
        raise AudioidError("trainer.fast_dev_run: leaves nothing for a search to choose by; leave it out")
    if settings.trainer.parallel_seeds != 1:
        raise AudioidError("trainer.parallel_seeds: a search runs its trials one by one; leave it at 1")


def check_places(data: DataSettings) -> None:
    """Raises AudioidError where the recordings, or their list, are not where they are said to be."""
    if isinstance(data, FolderDataSettings) and not Path(data.root).expanduser().is_dir():
        there = "is not a folder" if Path(data.root).expanduser().exists() else "does not exist"
        raise AudioidError(f"{data.root}: {there}; set data.root")
    if isinstance(data, ManifestDataSettings) and not Path(data.file).expanduser().is_file():
        raise AudioidError(f"{data.file}: is not a file; set data.file")


def _check_loggers(names: Sequence[str]) -> None:
    known = [*LOGGERS, *entry_points(group="audioid.loggers").names]
    for name in names:
        if name not in known:
            raise AudioidError(f"logger: there is no '{name}'; choose of {', '.join(known)}, or several: [A,B]")
        if name in ("mlflow", "wandb") and find_spec(name) is None:
            raise AudioidError(f"logger: {name} is not installed; pip install 'audioid[{name}]'")
    if len(set(names)) < max(1, len(names)):
        raise AudioidError(f"logger: {names} does not name each once; choose of {', '.join(known)}")


def _check_parallel(settings: Settings) -> None:
    trainer = settings.trainer
    problems = {
        "model": settings.model.name not in ("cnn", "original") and "trains cnn and original alone",
        "scheduler": settings.scheduler.name == "plateau"
        and "has one learning rate for all seeds, plateau one for each",
        "trainer.precision": trainer.precision == "16-mixed" and "has one scale of losses for all seeds",
        "trainer.devices": (trainer.devices > 1 or trainer.strategy != "auto") and "works on one device",
        "trainer.profiler": trainer.profiler != "none" and "is no single run",
        "logger": "wandb" in settings.logger and "writes several runs at a time, and wandb takes one",
    }
    for key, problem in problems.items():
        if problem:
            raise AudioidError(f"trainer.parallel_seeds: {problem}; change {key}, or leave it at 1")


def _check_model(settings: Settings) -> None:
    model, size = settings.model, settings.image.size
    if model.name == "original" and size < SMALLEST_ORIGINAL:
        raise AudioidError(f"image.size: {size} is too small for model=original; make it at least {SMALLEST_ORIGINAL}")
    if isinstance(model, CnnSettings) and settings.data.batch_size == 1 and size <= 2**model.depth:
        raise AudioidError(
            "data.batch_size: 1 and images brought down to one pixel leave nothing to normalise; raise it"
        )
    if isinstance(model, CnnSettings) and model.blocks > model.depth:
        raise AudioidError(
            f"model.blocks: {model.blocks} come after the last of {model.depth} convolutions (model.depth); lower it"
        )
    if isinstance(model, TimmSettings) and find_spec("timm") is None:
        raise AudioidError("model=timm: needs the package timm; pip install 'audioid[timm]'")
    if isinstance(model, CustomSettings):
        check_target(model.target)
