"""The learning rule: a network, its loss, its optimiser and what they log."""

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, AdamW, lr_scheduler
from torchmetrics import MeanMetric

from audioid.classifier import log_probabilities
from audioid.errors import DivergedError
from audioid.training.draws import seed_step

# Of `optimizer.lr`, for weights that have learned before: the gradients of the first steps come through a head that
# knows nothing yet, and would undo much of what is there.
BACKBONE_RATE = 0.25


class ClassifierModule(LightningModule):
    """Trains `network`, images `(batch, channels, size, size)` to logits `(batch, classes)`, by cross-entropy.

    `augment` takes a training batch `(rows, targets)` to images and targets, which may be class numbers or
    probabilities `(batch, classes)`. `class_weights` `(classes,)` are those of the loss to learn by, and
    `val_class_weights` of that to choose by. The part of the network called `backbone`, if any, has learned before, and
    goes on at `BACKBONE_RATE` of the learning rate. Means over each epoch's rows are logged under the epoch's number:
    `loss/train`, `accuracy/train` and the same for `val`.
    """

    class_weights: Tensor | None
    val_class_weights: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        augment: nn.Module,
        *,
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        seed: int,
        backbone: str | None = None,
        class_weights: Tensor | None = None,
        val_class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.register_buffer("val_class_weights", val_class_weights, persistent=False)
        self.network, self.augment, self.backbone = network, augment, backbone
        self.optimizer, self.scheduler, self.seed = optimizer, scheduler, seed
        # Updated row by row, since "disable", which lets a loss that is no number show, disables weights too.
        # Logging each step would let Lightning take the means, at some milliseconds a step.
        self.curves = nn.ModuleDict(
            {f"{curve}/{part}": MeanMetric("disable") for curve in ("loss", "accuracy") for part in ("train", "val")}
        )

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # A resumed run repeats its draws.
        seed_step(self.seed, self.trainer.fit_loop.total_batch_idx, self.device)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        # Images need all digits, whatever precision the network trains in.
        with torch.autocast(self.device.type, enabled=False):
            images, targets = self.augment(*batch)
        logits = self.network(images)
        losses = functional.cross_entropy(logits, targets, weight=self.class_weights, reduction="none")
        expected = targets if targets.ndim == 1 else targets.argmax(1)
        self._update("train", losses.detach(), logits.argmax(1) == expected)
        return losses.mean()

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor]) -> None:
        images, targets, counts = batch
        found = log_probabilities(self.network(images), counts)
        losses = functional.nll_loss(found, targets, weight=self.val_class_weights, reduction="none")
        self._update("val", losses, found.argmax(1) == targets)

    def _update(self, part: str, losses: Tensor, is_right: Tensor) -> None:
        self._curve(f"loss/{part}").update(losses)
        self._curve(f"accuracy/{part}").update(is_right)

    def _curve(self, name: str) -> MeanMetric:
        return cast(MeanMetric, self.curves[name])

    def on_train_epoch_end(self) -> None:
        if not torch.isfinite(self._log_means("train")):
            raise DivergedError

    def on_validation_epoch_end(self) -> None:
        self._log_means("val")

    def _log_means(self, part: str) -> Tensor:
        """Logs this epoch's means, over all devices, and begins the next ones; returns the loss."""
        means = {}
        for name in (f"loss/{part}", f"accuracy/{part}"):
            means[name] = self._curve(name).compute()
            self._curve(name).reset()
        # Lightning takes a value called "step" as the position on the horizontal axis.
        self.log_dict(means | {"step": float(self.current_epoch + 1)}, sync_dist=True)
        return means[f"loss/{part}"]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        rates = {"lr": self.optimizer["lr"], "weight_decay": self.optimizer["weight_decay"]}
        chosen: torch.optim.Optimizer
        if self.optimizer["name"] == "sgd":
            chosen = SGD(self._groups(), momentum=self.optimizer["momentum"], **rates)
        else:
            # One pass over weights and moments, where Lightning lets it: in mixed precision it clips for no fused step.
            chosen = AdamW(self._groups(), fused=not self.trainer.gradient_clip_val, **rates)
        match self.scheduler["name"]:
            case "cosine":
                steps = int(self.trainer.estimated_stepping_batches)
                rise = min(steps - 1, round(self.scheduler["warmup"] * steps))
                cosine = lr_scheduler.LambdaLR(chosen, lambda step: _risen_cosine(step, rise, steps))
                return {"optimizer": chosen, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}
            case "plateau":
                plateau = lr_scheduler.ReduceLROnPlateau(
                    chosen, factor=self.scheduler["factor"], patience=self.scheduler["patience"]
                )
                return {"optimizer": chosen, "lr_scheduler": {"scheduler": plateau, "monitor": "loss/val"}}
        return chosen

    def _groups(self) -> list[dict[str, Any]]:
        """The network's weights by learning rate, those at the full one first, since curves show that of the first."""
        if self.backbone is None:
            return [{"params": list(self.network.parameters())}]
        slow = list(self.network.get_submodule(self.backbone).parameters())
        among = {id(weights) for weights in slow}
        full = [weights for weights in self.network.parameters() if id(weights) not in among]
        return [{"params": full}, {"params": slow, "lr": BACKBONE_RATE * self.optimizer["lr"]}]


def _risen_cosine(step: int, rise: int, steps: int) -> float:
    """The share of the learning rate at a step: a linear rise, then half a cosine down to zero."""
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
