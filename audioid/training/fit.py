"""Training: from a classifier with initial weights to the one of the epoch to keep, over stops if need be."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import AdvancedProfiler, Profiler, SimpleProfiler
from torch import Tensor, nn

from audioid import registry
from audioid.classifier import AudioClassifier
from audioid.comparison.records import TRIAL
from audioid.data.datamodule import AudioDataModule
from audioid.errors import AudioidError
from audioid.pipeline.device import device_of
from audioid.pipeline.recordings import PreparedData
from audioid.program import program
from audioid.rules import refuse_needs_of_validation
from audioid.schema import Settings
from audioid.training.budget import Budget
from audioid.training.callbacks import Course, Curves, KeepBest, KeepLast, Patience, ProgressBar, ProgressLines
from audioid.training.determinism import deterministic
from audioid.training.module import ClassifierModule

BEST_BY = {"val_loss": ("loss/val", "min"), "val_accuracy": ("accuracy/val", "max")}


@dataclass(frozen=True)
class Progress:
    """What a run has behind it: epochs, the `max_epochs` it has had, the first first, whether it ended early, and the
    seconds that its epochs took.

    `pretrained` is what `metrics.json` says of the weights that its features began with, None for initial weights.
    """

    epochs: int = 0
    max_epochs: tuple[int, ...] = ()
    ended_early: bool = False
    pretrained: dict[str, str] | None = None
    seconds: float = 0.0

    def is_over(self, max_epochs: int) -> bool:
        """Whether nothing is left to train."""
        return self.epochs >= max_epochs or (self.ended_early and self.max_epochs[-1] == max_epochs)


@dataclass(frozen=True)
class Fitted:
    """What was to be trained, and how many epochs there were; what `max_epochs` was before, where a run went on with
    another one; what it began with, as in `Progress`; and the seconds of the epochs from before it was stopped."""

    budget: Budget
    epochs: int
    earlier_max_epochs: list[int]
    pretrained: dict[str, str] | None
    seconds_before: float = 0.0


def fit(
    classifier: AudioClassifier,
    prepared: PreparedData,
    settings: Settings,
    folder: Path,
    *,
    budget: Budget,
    progress: Progress,
    loggers: list[Logger],
    watching: Sequence[Callback] = (),
) -> Fitted | None:
    """Trains the classifier and gives it the weights of the epoch to keep; goes on from a checkpoint, if any.

    None where there is nothing to judge: on all devices but the first, and after `fast_dev_run`. `watching` are
    callbacks beside those of every training.

    Raises:
        AudioidError: training diverged, or the settings do not go with the sizes of the parts.
        SystemExit: it was stopped; what was reached is kept.
    """
    max_epochs = budget.epochs
    known = [*progress.max_epochs, *([max_epochs] if progress.max_epochs[-1:] != (max_epochs,) else [])]
    if not len(prepared.split.val):
        refuse_needs_of_validation(settings)
    has_validation = len(prepared.split.val) > 0
    callbacks = [*watching, Course(known, progress.pretrained, seconds=progress.seconds)]
    callbacks += choosing(settings, budget, progress, folder, has_validation=has_validation)
    if not settings.trainer.fast_dev_run:
        callbacks += [Curves(folder), KeepLast(folder / "checkpoints")]
    print(f"  {budget.told}", flush=True)
    trainer = trainer_of(settings, budget, folder, loggers, callbacks, has_validation=has_validation)
    augment = augmentation(classifier, prepared, settings)
    data = AudioDataModule(
        prepared.images,
        prepared.waveforms if augment.of_sound else prepared.images,
        prepared.index.targets,
        prepared.clips,
        prepared.split,
        digest=prepared.index.digest,
        batch_size=settings.data.batch_size,
        seed=settings.seed,
    )
    module = learning(classifier, augment, settings, prepared, progress)
    if settings.trainer.fast_dev_run:
        with deterministic():
            trainer.fit(module, data)
        print("  fast_dev_run: a batch of training and of validation went well; nothing was recorded", flush=True)
        return None
    epochs = _fit(module, data, trainer, folder, progress)
    # Only the cosine's course depends on how many epochs there were to be.
    changed = known[:-1] if settings.scheduler.name == "cosine" else []
    return Fitted(budget, epochs, changed, progress.pretrained, progress.seconds) if trainer.is_global_zero else None


def _fit(module: ClassifierModule, data: AudioDataModule, trainer: Trainer, folder: Path, progress: Progress) -> int:
    last = folder / "checkpoints" / "last.ckpt"
    reached = progress.epochs
    try:
        if not progress.is_over(trainer.max_epochs or 0):
            with deterministic():
                trainer.fit(module, data, ckpt_path=last if reached else None, weights_only=True)
            reached = trainer.current_epoch
            stop = trainer.early_stopping_callback
            if stop and stop.wait_count >= stop.patience and trainer.is_global_zero:
                print(f"  ended after epoch {reached}: trainer.patience is over, the best epoch is kept", flush=True)
    except SystemExit as stop:
        again = ""
        if not (folder / TRIAL).exists():  # it is gone on with by its search alone, which says so
            kept = "go on" if last.exists() else "nothing was kept yet; begin again"
            again = f"; {kept} with: {program('train')} resume='{folder}'"
        print(f"Stopped in epoch {trainer.current_epoch + 1}{again}", file=sys.stderr)
        # Lightning ends with 1 after Ctrl-C, and so would hide what stopped it.
        raise SystemExit(130 if stop.code == 1 else stop.code) from None
    load_kept(module, folder)
    return reached


def load_kept(module: ClassifierModule, folder: Path) -> None:
    """Gives the module the weights of the epoch to keep."""
    last, best = (folder / "checkpoints" / name for name in ("last.ckpt", "best.ckpt"))
    kept_epoch = best if best.exists() else last
    module.load_state_dict(torch.load(kept_epoch, map_location="cpu", weights_only=True)["state_dict"])


def kept_epochs(folder: Path) -> int:
    """After how many epochs the network was kept."""
    last, best = (folder / "checkpoints" / name for name in ("last.ckpt", "best.ckpt"))
    found = torch.load(best if best.exists() else last, map_location="cpu", weights_only=True)
    if "epoch" not in found:  # of runs from before it was kept
        found = torch.load(last, map_location="cpu", weights_only=True)
    return int(found["epoch"]) + 1


def read_progress(folder: Path, budget: Budget, prepared: PreparedData) -> Progress:
    """What the run of this folder has behind it, which is to go on to the end of `budget`.

    Raises:
        AudioidError: the checkpoint is damaged, it is of other recordings or parts, it is further than is asked for, or
            what is asked for is longer epochs and no more of them.
    """
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if not checkpoint.exists():
        return Progress()
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)
        missing = {"epoch", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers"} - set(found)
        if missing:
            raise KeyError(*sorted(missing))
        course, learned = found["course"], found["AudioDataModule"]
        same_recordings = learned["digest"] == prepared.index.digest
        # Older checkpoints do not say how they were parted.
        same_parts = learned.get("parts", prepared.split.digest) == prepared.split.digest
        reached = Progress(
            int(found["epoch"]) + 1,
            tuple(course["max_epochs"]),
            course["ended_early"],
            course.get("pretrained"),  # older checkpoints do not say: there was no such choice
            course.get("seconds", 0.0),  # nor these
        )
    except Exception as error:
        raise AudioidError(f"{checkpoint}: is damaged; remove it to start this run again") from error
    if not same_recordings:
        raise AudioidError("resume: the recordings have changed since the run was stopped; start a new run")
    if not same_parts:  # what it is to be judged on it may have learned from
        raise AudioidError(
            "resume: the recordings are parted otherwise than before the run was stopped, as where another version of "
            "audioid finds other near-duplicates; start a new run"
        )
    if reached.epochs > budget.epochs:
        raise AudioidError(
            f"trainer.{budget.asked.key}: {budget.epochs} epochs are less than the {reached.epochs} that the run in "
            f"{folder} has behind it; raise it, or choose another folder"
        )
    if budget.asked.key == "max_steps" and reached.epochs == budget.epochs and found["global_step"] < budget.steps:
        raise AudioidError(
            f"trainer.max_steps: {budget.steps} steps are no more epochs than the {reached.epochs} of the run in "
            f"{folder}, which were shorter; raise it further, or choose another folder"
        )
    return reached


def augmentation(classifier: AudioClassifier, prepared: PreparedData, settings: Settings) -> nn.Module:
    """What changes training batches; its `of_sound` tells whether they are to be waveforms."""
    made: nn.Module = registry.maker_of("augment", settings.augment.name)(
        settings.augment.model_dump(),
        classifier.transform,
        image=settings.image.model_dump(),
        sample_rate=settings.audio.sample_rate,
        n_classes=len(prepared.index.classes),
    )
    return made


def learning(
    classifier: AudioClassifier, augment: nn.Module, settings: Settings, prepared: PreparedData, progress: Progress
) -> ClassifierModule:
    """The classifier as it learns from images."""
    is_balanced = settings.trainer.class_weights == "balanced"
    return ClassifierModule(
        nn.Sequential(classifier.normalize, classifier.network),
        augment,
        optimizer=settings.optimizer.model_dump(),
        scheduler=settings.scheduler.model_dump(),
        seed=settings.seed,
        backbone="1.features" if progress.pretrained else None,
        class_weights=balanced(prepared, prepared.split.train) if is_balanced else None,
        val_class_weights=balanced(prepared, prepared.split.val) if is_balanced else None,
    )


def balanced(prepared: PreparedData, part: NDArray[np.int64]) -> Tensor:
    """Weights of the loss `(classes,)` with which each class counts as much as any other in a part, given by its rows.

    Their mean over the recordings of the part is 1, so that the learning rate means the same. A class of which it has
    none counts for nothing there, whatever its weight.
    """
    counts = np.bincount(prepared.index.targets[part], minlength=len(prepared.index.classes))
    share = counts.sum() / max(1, np.count_nonzero(counts))
    return torch.tensor(share / counts.clip(min=1), dtype=torch.float32)


def choosing(
    settings: Settings, budget: Budget, progress: Progress, folder: Path, *, has_validation: bool
) -> list[Callback]:
    """What keeps the best epoch, and stops after too many that are not."""
    if not has_validation:
        return []
    monitor, mode = BEST_BY[settings.trainer.best_by]
    callbacks: list[Callback] = [KeepBest(folder / "checkpoints", monitor, mode)]
    if settings.trainer.patience is not None:
        patience = max(1, round(settings.trainer.patience * budget.epochs))
        is_another = progress.max_epochs[-1:] != (budget.epochs,)
        callbacks.append(Patience(monitor, mode, patience, begins_anew=is_another))
    return callbacks


def trainer_of(
    settings: Settings,
    budget: Budget,
    folder: Path,
    loggers: list[Logger],
    callbacks: list[Callback],
    *,
    has_validation: bool,
) -> Trainer:
    """Lightning's trainer, which also shows how far it is."""
    chosen = settings.trainer
    callbacks = [*callbacks, ProgressBar() if sys.stdout.isatty() else ProgressLines()]
    return Trainer(
        max_epochs=budget.epochs,
        accelerator=device_of(settings),  # of `auto` Lightning would make another than all else is computed on
        devices=chosen.devices,
        strategy=chosen.strategy,
        precision=chosen.precision,
        gradient_clip_val=chosen.gradient_clip_val,
        accumulate_grad_batches=chosen.accumulate_grad_batches,
        limit_train_batches=budget.batches,
        fast_dev_run=chosen.fast_dev_run,
        profiler=_profiler(chosen.profiler, folder),
        logger=loggers,
        callbacks=callbacks,
        default_root_dir=folder,
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        limit_val_batches=None if has_validation else 0,
    )


def _profiler(name: str, folder: Path) -> Profiler | None:
    kinds = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
    return kinds[name](dirpath=folder, filename="profile") if name in kinds else None
