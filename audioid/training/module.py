"""The learning rule: a network, its loss, its optimiser and what they log."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, AdamW, lr_scheduler

from audioid.errors import AudioidError


class Classifier(LightningModule):
    """Trains `network`, images `(batch, 1, size, size)` to logits `(batch, classes)`, by cross-entropy.

    `prepare` takes a training batch `(rows, targets)` to images and targets, which may be class numbers or
    probabilities `(batch, classes)`. Curves are logged per epoch: `loss/train`, `accuracy/train` and the same
    for `val`.
    """

    def __init__(
        self,
        network: nn.Module,
        prepare: nn.Module,
        *,
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        seed: int,
    ) -> None:
        super().__init__()
        self.network, self.prepare = network, prepare
        self.optimizer, self.scheduler, self.seed = optimizer, scheduler, seed

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Dropout and augmentation then depend on seed and batch alone: a resumed run repeats them.
        torch.manual_seed(self.seed + 1_000_003 * (self.trainer.fit_loop.total_batch_idx + 1))

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        # Images need all digits, whatever precision the network trains in.
        with torch.autocast(self.device.type, enabled=False):
            images, targets = self.prepare(*batch)
        return self._step("train", images, targets)

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._step("val", *batch)

    def _step(self, part: str, images: Tensor, targets: Tensor) -> Tensor:
        logits = self.network(images)
        loss = functional.cross_entropy(logits, targets)
        wanted = targets if targets.ndim == 1 else targets.argmax(1)
        right = (logits.argmax(1) == wanted).float().mean()
        curves = {f"loss/{part}": loss, f"accuracy/{part}": right}
        self.log_dict(curves, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        # Lightning takes a value called "step" as the position on the horizontal axis.
        epoch = float(self.current_epoch + 1)
        self.log("step", epoch, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        return loss

    def on_train_epoch_end(self) -> None:
        if not torch.isfinite(self.trainer.callback_metrics["loss/train"]):
            raise AudioidError("optimizer.lr: training diverged, its loss is no number; lower it")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        rates = {"lr": self.optimizer["lr"], "weight_decay": self.optimizer["weight_decay"]}
        chosen: torch.optim.Optimizer
        if self.optimizer["name"] == "sgd":
            chosen = SGD(self.network.parameters(), momentum=self.optimizer["momentum"], **rates)
        else:
            chosen = AdamW(self.network.parameters(), **rates)
        match self.scheduler["name"]:
            case "cosine":
                steps = int(self.trainer.estimated_stepping_batches)
                per_epoch = steps / max(1, self.trainer.max_epochs or 1)
                rise = min(steps - 1, round(self.scheduler["warmup_epochs"] * per_epoch))
                cosine = lr_scheduler.LambdaLR(chosen, lambda step: _risen_cosine(step, rise, steps))
                return {"optimizer": chosen, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}
            case "plateau":
                plateau = lr_scheduler.ReduceLROnPlateau(
                    chosen, factor=self.scheduler["factor"], patience=self.scheduler["patience"]
                )
                return {"optimizer": chosen, "lr_scheduler": {"scheduler": plateau, "monitor": "loss/val"}}
        return chosen


def _risen_cosine(step: int, rise: int, steps: int) -> float:
    """The share of the learning rate at a step: a linear rise, then half a cosine down to zero."""
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
