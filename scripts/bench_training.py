"""What Lightning costs: a run's training against the same learning as a bare PyTorch loop, on the built-in corpus.

On the processor. Lightning's side is the whole `trainer.fit` of a run with its default settings: start, epochs,
validation after each one, TensorBoard's curves, progress lines and checkpoints. The bare side reads the same images
from the store, makes the same batches and changes them by the same draws, steps the same optimiser and schedule from
the same initial weights, seeds each step alike, validates after each epoch and keeps the best weights in memory; it
logs nothing and writes nothing. Both must end with the very same weights. The two sides take turns; `ratio` is the
median over these pairs of bare seconds by Lightning's seconds, and `cpu_ratio` the same of processor time, which other
programs disturb less. `share_of_matrix_products` is the rate of multiply-adds in Lightning's side (to learn from an
image takes three times those that name it, one forwards and two backwards) by the rate of square matrix products of
PyTorch on as many threads, measured between the turns. It may be above one: on some processors PyTorch's convolutions
are faster than its matrix products.
"""

import argparse
import contextlib
import io
import json
import math
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch
from pytorch_lightning import Trainer
from tabulate import tabulate
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, lr_scheduler

from audioid.config import compose
from audioid.data.datamodule import AudioDataModule
from audioid.files import replacing
from audioid.models import multiply_adds
from audioid.schema import CosineSettings, Settings
from audioid.training.allocator import give_back_freed_memory
from audioid.training.budget import budget_of
from audioid.training.run import run

NETWORKS = ("cnn", "original")
PAIRS = 3
SQUARE, PRODUCTS = 1024, 20  # rows of a matrix product, and how many are timed


@dataclass
class Clock:
    """Seconds between entering and leaving: on the wall, and of the processor."""

    wall: float = 0.0
    cpu: float = 0.0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() - cpu


def lightning(settings: Settings) -> tuple[Clock, nn.Module, nn.Module, nn.Module, AudioDataModule]:
    """A whole run, of which `trainer.fit` is timed; the network before and after, and what it learnt from and how that
    was changed."""
    clock, fit = Clock(), Trainer.fit
    seen: list[Any] = []

    def timed(trainer: Trainer, module: Any, data: AudioDataModule, **rest: Any) -> None:
        seen.extend((deepcopy(module.network), module.network, module.augment, data))
        with clock():
            fit(trainer, module, data, **rest)

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(Trainer, "fit", timed),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        run(settings, Path(folder), [])
    return clock, *seen


def bare(settings: Settings, network: nn.Module, augment: nn.Module, data: AudioDataModule) -> Clock:
    """Trains the network in place and leaves it with the weights of the best epoch."""
    clock, size, chosen = Clock(), settings.data.batch_size, settings.optimizer
    budget = budget_of(settings.trainer, len(data.split.train), size)
    warmup = cast(CosineSettings, settings.scheduler).warmup
    give_back_freed_memory()  # as a run does when it begins
    with clock():
        images, targets = (torch.from_numpy(rows[data.split.train]) for rows in (data.rows, data.targets))
        unseen, wanted = (torch.from_numpy(rows[data.split.val]) for rows in (data.rows, data.targets))
        optimizer = AdamW(network.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay, fused=True)
        rise = round(warmup * budget.steps)
        schedule = lr_scheduler.LambdaLR(optimizer, lambda step: risen_cosine(step, rise, budget.steps))
        best, weights, step = math.inf, {}, 0
        for epoch in range(budget.epochs):
            network.train()
            order = np.random.default_rng([settings.seed, epoch]).permutation(len(images))
            for batch in torch.from_numpy(order).split(size)[: budget.batches]:
                step += 1
                torch.default_generator.manual_seed(settings.seed + 1_000_003 * step)
                changed, expected = augment(images[batch], targets[batch])
                loss = functional.cross_entropy(network(changed), expected)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            reached = validated(network, unseen, wanted, size)
            if reached < best:
                best, weights = reached, deepcopy(network.state_dict())
        network.load_state_dict(weights)
    return clock


@torch.inference_mode()
def validated(network: nn.Module, images: Tensor, targets: Tensor, size: int) -> float:
    """The mean cross-entropy."""
    network.eval()
    logits = torch.cat([network(batch) for batch in images.split(size)])
    return float(functional.cross_entropy(logits, targets))


def risen_cosine(step: int, rise: int, steps: int) -> float:
    return (step + 1) / (rise + 1) if step < rise else 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


def matrix_product_rate() -> float:
    """Multiply-adds a second, the median over some products."""
    one, other, taken = torch.randn(SQUARE, SQUARE), torch.randn(SQUARE, SQUARE), []
    for _ in range(PRODUCTS):
        begin = time.perf_counter()
        torch.mm(one, other)
        taken.append(time.perf_counter() - begin)
    return SQUARE**3 / median(taken)


def measured(name: str, overrides: list[str], pairs: int) -> dict[str, float]:
    """The figures of one network."""
    settings = compose([f"model={name}", "trainer.accelerator=cpu", *overrides])
    clocks, same, rates = [], [], []
    for _ in range(pairs):
        rates.append(matrix_product_rate())
        fitted, initial, trained, augment, data = lightning(settings)
        clocks.append((bare(settings, initial, augment, data), fitted))
        pairs_of_weights = zip(initial.state_dict().values(), trained.state_dict().values(), strict=True)
        same.append(all(torch.equal(one, other) for one, other in pairs_of_weights))
    budget = budget_of(settings.trainer, len(data.split.train), settings.data.batch_size)
    images = min(len(data.split.train), budget.batches * settings.data.batch_size) * budget.epochs
    each = multiply_adds(trained, data.rows[np.arange(1)].shape[1], settings.image.size)
    products = each * (3 * images + len(data.split.val) * budget.epochs)
    return {
        f"{name}_bare_images_per_second": images / median(alone.wall for alone, _ in clocks),
        f"{name}_lightning_images_per_second": images / median(fitted.wall for _, fitted in clocks),
        f"{name}_ratio": median(alone.wall / fitted.wall for alone, fitted in clocks),
        f"{name}_cpu_ratio": median(alone.cpu / fitted.cpu for alone, fitted in clocks),
        f"{name}_share_of_matrix_products": median(
            products / fitted.wall / rate for (_, fitted), rate in zip(clocks, rates, strict=True)
        ),
        f"{name}_same_weights": int(all(same)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer recordings, epochs and turns")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as store:
        quick = ["data.per_class=10", "trainer.max_epochs=5"] if arguments.quick else []
        for name in NETWORKS:
            figures |= measured(name, [f"store.root={store}", *quick], 1 if arguments.quick else PAIRS)
    print(tabulate([(name, f"{value:.4g}") for name, value in figures.items()], ("figure", "value")))
    if arguments.json:
        with replacing(arguments.json) as file:
            file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
