"""The learning rule of several runs at once: the sum of their losses, so that each learns as if it were alone."""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioid.classifier import log_probabilities
from audioid.models import Network
from audioid.training.augment import Augment
from audioid.training.draws import Draws
from audioid.training.module import ClassifierModule
from audioid.training.parallel.network import StackedNetwork


class ParallelModule(ClassifierModule):
    """Trains the networks of `modules`, which differ in the seed alone, on `(rows, targets)` `(batch, runs, ...)`.

    Once training has begun, their weights are parts of this one's. `means` has for each curve the values of the last
    epoch, `(runs,)`; what is logged is the mean over runs.
    """

    def __init__(self, modules: Sequence[ClassifierModule]) -> None:
        first, draws = modules[0], Draws()
        networks = [cast(Network, module.network.get_submodule("1")) for module in modules]
        stacked = StackedNetwork(networks, draws)
        super().__init__(
            nn.Sequential(first.network.get_submodule("0"), stacked),
            first.augment,
            optimizer=first.optimizer,
            scheduler=first.scheduler,
            seed=first.seed,
            backbone=first.backbone,
            class_weights=first.class_weights,
            val_class_weights=first.val_class_weights,
        )
        self.draws, self.seeds = draws, [module.seed for module in modules]
        self.lend = partial(stacked.lend, networks)  # not as modules, whose weights would count twice
        self.sums, self.means = dict[str, tuple[Tensor, int]](), dict[str, Tensor]()

    def on_train_start(self) -> None:
        self.lend()  # here, where all of it is on its device

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.draws.begin_step(self.seeds, self.trainer.fit_loop.total_batch_idx, self.device)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        with torch.autocast(self.device.type, enabled=False):
            images, targets = self._augmented(*batch)
        logits = self.network(images)
        every, flat = logits.flatten(0, 1), targets.flatten(0, 1)
        losses = functional.cross_entropy(every, flat, weight=self.class_weights, reduction="none")
        losses = losses.unflatten(0, logits.shape[:2])
        expected = targets if targets.ndim == 2 else targets.argmax(2)
        self._add("train", losses.detach(), logits.argmax(2) == expected)
        return losses.mean(0).sum()

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor]) -> None:
        images, targets, counts = batch
        runs = len(self.seeds)
        logits = self.network(images[:, None].expand(-1, runs, *images.shape[1:]))
        found = log_probabilities(logits.transpose(0, 1).flatten(0, 1), counts.repeat(runs))
        wanted = targets.repeat(runs)
        losses = functional.nll_loss(found, wanted, weight=self.val_class_weights, reduction="none")
        self._add("val", *(values.unflatten(0, (runs, -1)).T for values in (losses, found.argmax(1) == wanted)))

    def _augmented(self, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.augment, Augment):
            return self.augment.of_runs(rows, targets, self.draws)
        changed = []  # by code of other packages
        for run in range(len(self.seeds)):
            with self.draws.of(run):
                changed.append(self.augment(rows[:, run], targets[:, run]))
        images, wanted = zip(*changed, strict=True)
        return torch.stack(images, 1), torch.stack(wanted, 1)

    def _add(self, part: str, losses: Tensor, is_right: Tensor) -> None:
        """Both are `(recordings, runs)`."""
        for name, values in (("loss", losses), ("accuracy", is_right.float())):
            total, count = self.sums.get(f"{name}/{part}", (0, 0))
            self.sums[f"{name}/{part}"] = total + values.sum(0), count + len(values)

    def on_train_epoch_end(self) -> None:
        self._log_means("train")  # a run that diverged does not end the others

    def _log_means(self, part: str) -> Tensor:
        for name in (f"loss/{part}", f"accuracy/{part}"):
            total, count = self.sums.pop(name)
            self.means[name] = (total / count).cpu()
            self.log(name, self.means[name].mean())
        return self.means[f"loss/{part}"]

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """As `torch.nn.utils.clip_grad_norm_`, by the norm of each run's own gradients."""
        if gradient_clip_val is None:
            return
        grads = [
            weights.grad.unflatten(0, (len(self.seeds), -1))
            for weights in self.parameters()
            if weights.grad is not None
        ]
        norms = torch.stack([torch.linalg.vector_norm(grad.flatten(1), dim=1) for grad in grads]).norm(dim=0)
        scale = (gradient_clip_val / (norms + 1e-6)).clamp(max=1)
        for grad in grads:
            grad.mul_(scale.view(-1, *[1] * (grad.ndim - 1)))
