"""What watches a training: plain progress lines, its curves, and the state to resume from."""

import math
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping
from torch import Tensor
from tqdm import tqdm

from audioid.files import replacing
from audioid.training.progress import duration

FIRST_AFTER = 10.0  # seconds, which are soon trained again


class ProgressLines(Checkpoint):
    """A line for each tenth of the epochs, for logs and pipes where a moving bar would be noise.

    No checkpoint, but Lightning calls only those once the module has logged the epoch.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.since, self.first = time.monotonic(), trainer.current_epoch + 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        if not trainer.is_global_zero:
            return
        if epoch in (1, epochs) or epoch * 10 // epochs > (epoch - 1) * 10 // epochs:
            curves = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
            values = "  ".join(f"{name} {value:.3f}" for name, value in curves.items())
            left = (time.monotonic() - self.since) / (epoch - self.first + 1) * (epochs - epoch)
            told = f"  {duration(left)} left" if epoch < epochs else ""
            print(f"  epoch {epoch:>3}/{epochs}  {values}{told}", flush=True)


class ProgressBar(Checkpoint):
    """One bar over the whole training, with the time that is left and what the last epoch gave, for terminals.

    No checkpoint, for the reason of `ProgressLines`.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches, epochs = int(trainer.num_training_batches), trainer.max_epochs or 1
        done = trainer.current_epoch * batches
        self.bar = tqdm(
            total=epochs * batches, initial=done, unit=" batches", leave=False, disable=not trainer.is_global_zero
        )

    def on_train_batch_end(self, *_: Any) -> None:
        self.bar.update()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        curves = {name: f"{float(value):.3f}" for name, value in trainer.callback_metrics.items() if "/" in name}
        self.bar.set_postfix({"epoch": f"{trainer.current_epoch + 1}/{trainer.max_epochs}"} | curves, refresh=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.bar.close()


class Course(Callback):
    """Writes into each checkpoint which `max_epochs` the run has had, the first first, whether it ended early, which
    weights it began with, and what its epochs took, `seconds` of which lie behind it.

    Of `runs` at once each has its share of the time.
    """

    def __init__(
        self, max_epochs: list[int], pretrained: dict[str, str] | None, *, seconds: float = 0.0, runs: int = 1
    ) -> None:
        self.max_epochs, self.pretrained, self.seconds, self.runs = max_epochs, pretrained, seconds, runs
        self.since = time.monotonic()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        ended_early = trainer.should_stop
        checkpoint["course"] = {
            "max_epochs": self.max_epochs,
            "ended_early": ended_early,
            "pretrained": self.pretrained,
            "seconds": self.seconds + (time.monotonic() - self.since) / self.runs,
        }


class Curves(Checkpoint):
    """Keeps what each epoch gave, and writes it to `curves.csv` with each of Lightning's checkpoints.

    `lr` is the learning rate that an epoch begins with. Rows of a run that was stopped go with its checkpoint, so that
    it ends with those of an unbroken one. No checkpoint itself, for the reason of `ProgressLines`.
    """

    COLUMNS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr")

    def __init__(self, folder: Path) -> None:
        self.path, self.rows, self.lr = folder / "curves.csv", list[list[float | None]](), 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.lr = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        means = trainer.callback_metrics
        names = (f"{curve}/{part}" for part in ("train", "val") for curve in ("loss", "accuracy"))
        values = [float(means[name]) if name in means else None for name in names]
        self.rows.append([trainer.current_epoch + 1, *values, self.lr])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.is_global_zero:
            with replacing(self.path) as part:
                table = pd.DataFrame(self.rows, columns=self.COLUMNS)
                table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")

    def state_dict(self) -> dict[str, list[list[float | None]]]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, list[list[float | None]]]) -> None:
        self.rows = state_dict["rows"]


class KeepBest(Checkpoint):
    """Keeps the weights of the best epoch, in memory until Lightning writes the whole state; then in `best.ckpt`.

    `monitor` names the value that judges an epoch, `mode` says whether `min` or `max` is the best.
    """

    def __init__(self, folder: Path, monitor: str, mode: str) -> None:
        self.path, self.monitor = folder / "best.ckpt", monitor
        self.sign = {"min": 1, "max": -1}[mode]
        self.least, self.epoch, self.weights = math.inf, 0, dict[str, Tensor]()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value = self.sign * float(trainer.callback_metrics[self.monitor])
        if value < self.least:
            self.least, self.epoch = value, trainer.current_epoch
            self.weights = {
                name: weights.detach().to("cpu", copy=True) for name, weights in pl_module.state_dict().items()
            }

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.weights and trainer.is_global_zero:
            with replacing(self.path) as part:
                torch.save({"state_dict": self.weights, "epoch": self.epoch}, part)
        self.weights = {}

    def state_dict(self) -> dict[str, float]:
        return {"least": self.least}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.least = state_dict["least"]


class Patience(EarlyStopping):
    """Stops after `patience` epochs that are not better. The best stays that of all epochs when a run goes on; where it
    `begins_anew`, with another budget, the epochs before are not counted."""

    def __init__(self, monitor: str, mode: str, patience: int, *, begins_anew: bool) -> None:
        super().__init__(monitor, mode=mode, patience=patience)
        self.begins_anew = begins_anew

    @property
    def state_key(self) -> str:
        return super().state_key.replace(type(self).__qualname__, EarlyStopping.__qualname__)  # as in older checkpoints

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        waited = 0 if self.begins_anew else state_dict["wait_count"]
        super().load_state_dict(state_dict | {"patience": self.patience, "wait_count": waited})


class KeepLast(Checkpoint):
    """Writes `last.ckpt` at the end of epochs, not in the first seconds, and for a hundredth of the time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "last.ckpt"
        self.written, self.cost = time.monotonic(), FIRST_AFTER / 100

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        started = time.monotonic()
        is_over = trainer.current_epoch + 1 == trainer.max_epochs or trainer.global_step == trainer.max_steps
        is_due = is_over or trainer.should_stop or started - self.written >= 100 * self.cost
        # All devices write together, and each has a clock of its own.
        if trainer.strategy.reduce_boolean_decision(is_due, all=False):
            part = self.path.with_suffix(".part")
            trainer.save_checkpoint(part)
            if trainer.is_global_zero:
                part.replace(self.path)
            self.written = time.monotonic()
            self.cost = self.written - started
