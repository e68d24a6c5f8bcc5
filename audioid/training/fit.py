"""Training: from a classifier with initial weights to the one of the epoch to keep, over stops if need be."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import AdvancedProfiler, Profiler, SimpleProfiler
from torch import nn

from audioid import registry
from audioid.classifier import AudioClassifier
from audioid.data.datamodule import AudioDataModule
from audioid.errors import AudioidError
from audioid.pipeline.recordings import PreparedData
from audioid.program import program
from audioid.schema import Settings
from audioid.training.callbacks import Budgets, KeepBest, KeepLast, ProgressLines
from audioid.training.module import ClassifierModule

BEST_BY = {"val_loss": ("loss/val", "min"), "val_accuracy": ("accuracy/val", "max")}


@dataclass(frozen=True)
class Fitted:
    """How many epochs there were; and what `max_epochs` was before, where a run went on with another one."""

    epochs: int
    earlier_max_epochs: list[int]


def fit(
    classifier: AudioClassifier,
    prepared: PreparedData,
    settings: Settings,
    folder: Path,
    *,
    loggers: list[Logger],
    reporter: Callback,
) -> Fitted | None:
    """Trains the classifier and gives it the weights of the epoch to keep; goes on from a checkpoint in `folder`.

    None where there is nothing to judge: on all devices but the first, and after `fast_dev_run`.

    Raises:
        AudioidError: training diverged, the checkpoint is damaged, or it is of other recordings.
        SystemExit: it was stopped; what was reached is kept.
    """
    budgets = Budgets()
    trainer = _trainer(settings, folder, loggers, [reporter, budgets], has_validation=len(prepared.split.val) > 0)
    augment = registry.maker_of("augment", settings.augment.name)(
        settings.augment.model_dump(),
        classifier.transform,
        image=settings.image.model_dump(),
        sample_rate=settings.audio.sample_rate,
        n_classes=len(prepared.index.classes),
    )
    data = AudioDataModule(
        prepared.images,
        prepared.waveforms if augment.of_sound else prepared.images,
        prepared.index.targets,
        prepared.split,
        digest=prepared.index.digest,
        batch_size=settings.data.batch_size,
        seed=settings.seed,
    )
    module = ClassifierModule(
        nn.Sequential(classifier.normalize, classifier.network),
        augment,
        optimizer=settings.optimizer.model_dump(),
        scheduler=settings.scheduler.model_dump(),
        seed=settings.seed,
    )
    if settings.trainer.fast_dev_run:
        trainer.fit(module, data)
        print("  fast_dev_run: a batch of training and of validation went well; nothing was recorded", flush=True)
        return None
    epochs = _fit(module, data, trainer, folder, settings.trainer.max_epochs)
    # Only the cosine's course depends on how many epochs there were to be.
    changed = budgets.earlier if settings.scheduler.name == "cosine" else []
    return Fitted(epochs, changed) if trainer.is_global_zero else None


def _fit(module: ClassifierModule, data: AudioDataModule, trainer: Trainer, folder: Path, max_epochs: int) -> int:
    last, best = (folder / "checkpoints" / name for name in ("last.ckpt", "best.ckpt"))
    reached = _reached(last)
    try:
        if reached < max_epochs:
            trainer.fit(module, data, ckpt_path=last if reached else None, weights_only=True)
            reached = trainer.current_epoch
    except SystemExit as stop:
        kept = f"; go on with: {program('train')} resume='{folder}'" if last.exists() else ""
        print(f"Stopped in epoch {trainer.current_epoch + 1}{kept}", file=sys.stderr)
        # Lightning ends with 1 after Ctrl-C, and so would hide what stopped it.
        raise SystemExit(130 if stop.code == 1 else stop.code) from None
    kept_epoch = best if best.exists() else last
    module.load_state_dict(torch.load(kept_epoch, map_location="cpu", weights_only=True)["state_dict"])
    return reached


def _reached(checkpoint: Path) -> int:
    """How many epochs the run that wrote this checkpoint had behind it; 0 where there is none.

    Raises:
        AudioidError: the checkpoint is damaged.
    """
    if not checkpoint.exists():
        return 0
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)
        missing = {"epoch", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers"} - set(found)
        if missing:
            raise KeyError(*sorted(missing))
        return int(found["epoch"]) + 1
    except Exception as error:
        raise AudioidError(f"{checkpoint}: is damaged; remove it to start this run again") from error


def _trainer(
    settings: Settings, folder: Path, loggers: list[Logger], callbacks: list[Callback], *, has_validation: bool
) -> Trainer:
    chosen, checkpoints, is_terminal = settings.trainer, folder / "checkpoints", sys.stdout.isatty()
    if has_validation:
        monitor, mode = BEST_BY[chosen.best_by]
        callbacks.append(KeepBest(checkpoints, monitor, mode))
        if chosen.patience is not None:
            callbacks.append(EarlyStopping(monitor, mode=mode, patience=chosen.patience))
    if not chosen.fast_dev_run:
        callbacks.append(KeepLast(checkpoints))
    if not is_terminal:
        callbacks.append(ProgressLines())
    # Deterministic algorithms are wanted, but not that each new tensor be filled with NaN first: a twentieth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return Trainer(
        max_epochs=chosen.max_epochs,
        accelerator=chosen.accelerator,
        devices=chosen.devices,
        strategy=chosen.strategy,
        precision=chosen.precision,
        gradient_clip_val=chosen.gradient_clip_val,
        accumulate_grad_batches=chosen.accumulate_grad_batches,
        limit_train_batches=chosen.limit_train_batches,
        fast_dev_run=chosen.fast_dev_run,
        profiler=_profiler(chosen.profiler, folder),
        logger=loggers,
        callbacks=callbacks,
        default_root_dir=folder,
        deterministic=True,
        enable_model_summary=False,
        enable_progress_bar=is_terminal,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        limit_val_batches=None if has_validation else 0,
    )


def _profiler(name: str, folder: Path) -> Profiler | None:
    kinds = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
    return kinds[name](dirpath=folder, filename="profile") if name in kinds else None
