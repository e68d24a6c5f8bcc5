"""The learning rule against closed forms."""

import math
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader

from audioid.training.module import Classifier


class Pair(nn.Module):
    """A training batch without augmentation."""

    def forward(self, rows: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return rows, targets


def loader(batches: list[tuple[torch.Tensor, torch.Tensor]]) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def classifier(optimizer: dict[str, Any], scheduler: dict[str, Any]) -> Classifier:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    return Classifier(network, Pair(), optimizer=optimizer, scheduler=scheduler, seed=0)


def fitted(module: Classifier, epochs: int, batches_per_step: int = 1, precision: Any = "32-true") -> list[float]:
    """The learning rate at each batch of a fit of `epochs` epochs of five batches."""
    rates: list[float] = []
    step = module.training_step

    def noted(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        rates.append(module.trainer.optimizers[0].param_groups[0]["lr"])
        return step(batch)

    module.training_step = noted  # type: ignore[method-assign]
    batches = [(torch.randn(3, 1, 2, 2), torch.tensor([0, 1, 1]))] * 5
    trainer = Trainer(
        max_epochs=epochs,
        accumulate_grad_batches=batches_per_step,
        precision=precision,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader(batches), loader(batches[:1]))
    return rates


def test_cosine_rises_then_falls_to_nearly_zero() -> None:
    optimizer = {"name": "adamw", "lr": 0.1, "weight_decay": 0.0}
    rates = fitted(classifier(optimizer, {"name": "cosine", "warmup_epochs": 1}), epochs=5)
    rise = [0.1 * (step + 1) / 6 for step in range(5)]
    fall = [0.05 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert rates == pytest.approx(rise + fall)


def test_cosine_counts_the_steps_of_the_optimizer_where_one_takes_several_batches() -> None:
    optimizer = {"name": "adamw", "lr": 0.1, "weight_decay": 0.0}
    rates = fitted(classifier(optimizer, {"name": "cosine", "warmup_epochs": 0}), epochs=4, batches_per_step=5)
    by_epoch = [0.05 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]
    assert rates == pytest.approx([rate for rate in by_epoch for _ in range(5)])


def test_mixed_precision_is_of_the_network_and_not_of_the_images() -> None:
    module = classifier({"name": "adamw", "lr": 0.1, "weight_decay": 0.0}, {"name": "constant"})
    of_images: set[torch.dtype] = set()
    of_logits: set[torch.dtype] = set()

    class Multiplied(Pair):
        def forward(self, rows: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            of_images.add((rows @ rows).dtype)
            return rows, targets

    module.prepare = Multiplied()
    module.network.register_forward_hook(lambda network, images, logits: of_logits.add(logits.dtype))
    fitted(module, epochs=1, precision="bf16-mixed")
    assert of_images == {torch.float32}
    assert of_logits == {torch.bfloat16}


def test_every_batch_of_a_step_has_chance_of_its_own() -> None:
    module = classifier({"name": "adamw", "lr": 0.1, "weight_decay": 0.0}, {"name": "constant"})
    drawn: list[float] = []

    class Noted(Pair):
        def forward(self, rows: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            drawn.append(float(torch.rand(())))
            return rows, targets

    module.prepare = Noted()
    fitted(module, epochs=2, batches_per_step=5)
    assert len(set(drawn)) == len(drawn) == 10


def test_plateau_lowers_the_rate_when_the_loss_stands_still() -> None:
    optimizer = {"name": "sgd", "lr": 1e-6, "momentum": 0.0, "weight_decay": 0.0}
    rates = fitted(classifier(optimizer, {"name": "plateau", "factor": 0.5, "patience": 0}), epochs=4)
    assert rates[0] == 1e-6
    assert rates[-1] < 1e-6


def test_a_step_of_sgd_is_the_gradient_of_the_cross_entropy() -> None:
    optimizer = {"name": "sgd", "lr": 0.5, "momentum": 0.0, "weight_decay": 0.0}
    module = classifier(optimizer, {"name": "constant"})
    linear = module.network[1]  # type: ignore[index]
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    batch = (torch.ones(1, 1, 2, 2), torch.tensor([1]))
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(module, loader([batch]))
    # Both classes start at one half, so the gradient of the logits is (0.5, -0.5).
    torch.testing.assert_close(linear.bias.data, torch.tensor([-0.25, 0.25]))
    torch.testing.assert_close(linear.weight.data, torch.tensor([[-0.25] * 4, [0.25] * 4]))


def test_accuracy_of_mixed_targets_counts_the_larger_part(monkeypatch: pytest.MonkeyPatch) -> None:
    module = classifier({"name": "adamw", "lr": 0.1, "weight_decay": 0.0}, {"name": "constant"})
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(module, "log_dict", lambda values, **_: logged.update(values))
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    module.network = nn.Flatten()
    module._trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    images = torch.tensor([[2.0, 1.0], [0.0, 3.0]])[:, None, None]
    module.training_step((images, torch.tensor([[0.6, 0.4], [0.7, 0.3]])))
    assert logged["accuracy/train"] == 0.5
