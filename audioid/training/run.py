"""One run: from settings to a trained network and the record of what it can do."""

import json
import logging
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import EarlyStopping
from sklearn.metrics import confusion_matrix, f1_score
from torch import nn
from torch.utils.data import DataLoader

from audioid import model_folder, models, transforms
from audioid.data.datamodule import AudioDataModule, Batch
from audioid.errors import AudioidError
from audioid.pipeline.recordings import PreparedData, Stopwatch, prepare_data
from audioid.schema import Settings
from audioid.training import record
from audioid.training.allocator import keep_freed_memory
from audioid.training.augment import Augment
from audioid.training.board import Board
from audioid.training.callbacks import KeepBest, KeepLast, ProgressLines
from audioid.training.module import ClassifierModule

BEST_BY = {"val_loss": ("loss/val", "min"), "val_accuracy": ("accuracy/val", "max")}


def run(settings: Settings, folder: Path) -> None:
    """Trains and judges one network and leaves its record in `folder`; goes on from a checkpoint found there.

    Raises:
        AudioidError: the recordings or the settings do not allow it.
        SystemExit: it was stopped; what was reached is kept.
    """
    if _is_done(settings, folder):
        print(f"{folder.name}: done already", flush=True)
        return
    _quiet()
    keep_freed_memory()
    print(folder.name, flush=True)
    watch = Stopwatch()
    with watch("total"):
        scores = _run(settings, folder, watch)
    # The last file: a run without it is not done.
    if scores:
        record.write_json(folder / "metrics.json", scores | {"seconds": watch.seconds})
        print(f"  test accuracy {scores['test_accuracy']:.3f}, {watch.seconds['total']:.0f} s, in {folder}", flush=True)


def _run(settings: Settings, folder: Path, watch: Stopwatch) -> dict[str, Any]:
    device = device_of(settings)
    material = prepare_data(settings, watch, device=device)
    index, parts = material.index, material.split
    board = Board(folder)
    trainer = _trainer(settings, folder, board, has_validation=len(parts.val) > 0)
    record.write_skipped(folder / "skipped.csv", index.skipped)
    print(f"  {_described(material)}", flush=True)

    seed_everything(settings.seed, verbose=False)
    network = models.build(asdict(settings.model), n_classes=len(index.classes), image_size=settings.image.size)
    picture = transforms.build(
        asdict(settings.transform),
        asdict(settings.image),
        sample_rate=settings.audio.sample_rate,
        n_samples=material.waveforms.stage.shape[0],
    )
    augment = Augment(
        asdict(settings.augment),
        picture,
        image=asdict(settings.image),
        sample_rate=settings.audio.sample_rate,
        classes=len(index.classes),
    )
    training_rows = material.waveforms if augment.of_sound else material.images
    data = AudioDataModule(
        material.images,
        training_rows,
        index.targets,
        parts,
        digest=index.digest,
        batch_size=settings.data.batch_size,
        seed=settings.seed,
    )
    if settings.image.standardize != "none":
        normalize = cast(models.Normalize, network[0])
        normalize.fit((images for images, _ in data.eval_dataloader(parts.train)), over=settings.image.standardize)
    if trainer.is_global_zero:
        board.log_hyperparameters(asdict(settings))
    module = ClassifierModule(
        cast(nn.Sequential, network.to(memory_format=torch.channels_last)),  # type: ignore[call-overload]
        augment,
        optimizer=asdict(settings.optimizer),
        scheduler=asdict(settings.scheduler),
        seed=settings.seed,
    )
    with watch("fit"):
        epochs = _fit(module, data, trainer, folder, settings.trainer.max_epochs)
    if not trainer.is_global_zero:  # of several devices, the others have nothing more to do
        return {}

    network.eval().to(device)
    with watch("test"):
        log_probabilities = {
            part: _log_probabilities(network, data.eval_dataloader(rows), device)
            for part, rows in (("train", parts.train), ("val", parts.val), ("test", parts.test))
        }
    if not np.isfinite(log_probabilities["test"]).all():
        raise AudioidError("optimizer.lr: training diverged, its loss is no number; lower it")
    scores_of = {
        part: _accuracy_and_loss(log_probabilities[part], index.targets[getattr(parts, part)])
        for part in log_probabilities
    }
    test_targets, predicted = index.targets[parts.test], log_probabilities["test"].argmax(1)
    macro_f1 = float(f1_score(test_targets, predicted, average="macro"))
    scores = {
        "transform": settings.transform.name,
        "seed": settings.seed,
        "split_seed": settings.split.seed,
        "fold": settings.split.fold if settings.split.name in ("kfold", "given") else None,
        "classes": index.classes,
        "n_train": len(parts.train),
        "n_val": len(parts.val),
        "n_test": len(parts.test),
        "train_accuracy": scores_of["train"][0],
        "val_accuracy": scores_of["val"][0] if len(parts.val) else None,
        "test_accuracy": scores_of["test"][0],
        "test_macro_f1": macro_f1,
        "test_loss": scores_of["test"][1],
        "epochs": epochs,
        "max_epochs": settings.trainer.max_epochs,
        "parameters": sum(weights.numel() for weights in network.parameters()),
        "index_digest": index.digest,
        "commit": record.commit(),
        "versions": record.versions(),
    }
    record.write_predictions(folder / "predictions.csv", index, parts.test, np.exp(log_probabilities["test"]))
    model_folder.save(
        folder / "model",
        network,
        labels=index.classes,
        audio=asdict(settings.audio),
        image=asdict(settings.image),
        transform=asdict(settings.transform),
        model=asdict(settings.model),
    )
    counts = confusion_matrix(test_targets, predicted, labels=range(len(index.classes)))
    board.log_test_results(counts, index.classes, [scores_of["test"][0], macro_f1, scores_of["test"][1]], epochs)
    train = parts.train
    firsts = train[np.unique(index.targets[train], return_index=True)[1]]  # of each class, by path
    board.examples(firsts, material, settings.audio.sample_rate, picture)
    board.experiment.close()
    return scores | {"peak_memory_mib": record.peak_memory_mib()}


def _fit(module: ClassifierModule, data: AudioDataModule, trainer: Trainer, folder: Path, max_epochs: int) -> int:
    """Trains the network and gives it the weights of the epoch to keep; returns how many epochs there were."""
    last, best = (folder / "checkpoints" / name for name in ("last.ckpt", "best.ckpt"))
    reached = _reached(last)
    try:
        if reached < max_epochs:
            trainer.fit(module, data, ckpt_path=last if reached else None, weights_only=True)
            reached = trainer.current_epoch
    except SystemExit as stop:
        kept = f"; go on with: python train.py resume='{folder}'" if last.exists() else ""
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


def device_of(settings: Settings) -> str:
    """Where images are made and networks judged.

    Raises:
        AudioidError: there is no such device, or not as many as are asked for.
    """
    wanted, devices = settings.trainer.accelerator, settings.trainer.devices
    has_gpu = torch.cuda.is_available()
    if (wanted == "gpu" and not has_gpu) or (wanted == "mps" and not torch.backends.mps.is_available()):
        raise AudioidError(f"trainer.accelerator: there is no {wanted} that PyTorch can use; leave it at auto")
    device = "cuda" if has_gpu and wanted in ("auto", "gpu") else "mps" if wanted == "mps" else "cpu"
    there = {"cuda": torch.cuda.device_count(), "mps": 1, "cpu": os.cpu_count() or 1}[device]
    if devices > there:
        raise AudioidError(f"trainer.devices: {devices} are asked for, and {there} there; lower it")
    return device


def _trainer(settings: Settings, folder: Path, board: Board, *, has_validation: bool) -> Trainer:
    chosen = settings.trainer
    checkpoints = folder / "checkpoints"
    callbacks: list[Callback] = [KeepLast(checkpoints)]
    if has_validation:
        monitor, mode = BEST_BY[chosen.best_by]
        callbacks.append(KeepBest(checkpoints, monitor, mode))
        if chosen.patience is not None:
            callbacks.insert(0, EarlyStopping(monitor, mode=mode, patience=chosen.patience))
    # Deterministic algorithms are wanted, but not that each new tensor be filled with NaN first: a twentieth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    is_terminal = sys.stdout.isatty()
    if not is_terminal:
        callbacks.append(ProgressLines())
    return Trainer(
        max_epochs=chosen.max_epochs,
        accelerator=chosen.accelerator,
        devices=chosen.devices,
        strategy=chosen.strategy,
        logger=board,
        callbacks=callbacks,
        default_root_dir=folder,
        deterministic=True,
        enable_model_summary=False,
        enable_progress_bar=is_terminal,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        limit_val_batches=None if has_validation else 0,
    )


@torch.inference_mode()
def _log_probabilities(network: nn.Module, batches: DataLoader[Batch], device: str) -> NDArray[np.float64]:
    """The logarithm of each class's probability for each recording, `(recordings, classes)`."""
    found = [network(images.to(device)).double().log_softmax(1).cpu().numpy() for images, _ in batches]
    return np.concatenate(found) if found else np.empty((0, 0))


def _accuracy_and_loss(log_probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy and mean cross-entropy."""
    if not len(targets):
        return float("nan"), float("nan")
    right = log_probabilities.argmax(1) == targets
    return float(right.mean()), float(-log_probabilities[np.arange(len(targets)), targets].mean())


def _described(material: PreparedData) -> str:
    index, parts = material.index, material.split
    text = f"{len(index.table)} recordings of {len(index.classes)} classes: {len(parts.train)} to train on, "
    text += f"{len(parts.val)} to choose the epoch, {len(parts.test)} to judge at the end"
    if not len(parts.val):
        text += " (no validation part: the last epoch is kept, and the test part is only scored once, at the end)"
    if index.skipped:
        text += f"; {len(index.skipped)} files left out, see skipped.csv"
    return text


def _is_done(settings: Settings, folder: Path) -> bool:
    """Whether an earlier run in this folder was to train as long as is asked for now."""
    try:
        earlier = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return bool(earlier["max_epochs"] >= settings.trainer.max_epochs)
    except (OSError, ValueError, KeyError, TypeError):  # none, or damaged: it is written anew
        return False


def _quiet() -> None:
    """Silences what Lightning tells everybody in every run."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")
    warnings.filterwarnings("ignore", "Glyph .* missing from font")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
