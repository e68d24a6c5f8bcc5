"""The learning rule against closed forms."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from audioid.training.module import BACKBONE_RATE, ClassifierModule


class Pair(nn.Module):
    """A training batch without augmentation."""

    def forward(self, rows: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return rows, targets


def loader(batches: Sequence[tuple[torch.Tensor, ...]]) -> DataLoader[tuple[torch.Tensor, ...]]:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def classifier(optimizer: dict[str, Any], scheduler: dict[str, Any]) -> ClassifierModule:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    return ClassifierModule(network, Pair(), optimizer=optimizer, scheduler=scheduler, seed=0)


def fitted(module: ClassifierModule, epochs: int, batches_per_step: int = 1, precision: Any = "32-true") -> list[float]:
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
    one_clip_each = torch.ones(3, dtype=torch.int64)
    trainer.fit(module, loader(batches), loader([(*batches[0], one_clip_each)]))
    return rates


def test_cosine_rises_then_falls_to_nearly_zero() -> None:
    optimizer = {"name": "adamw", "lr": 0.1, "weight_decay": 0.0}
    rates = fitted(classifier(optimizer, {"name": "cosine", "warmup": 0.2}), epochs=5)
    rise = [0.1 * (step + 1) / 6 for step in range(5)]
    fall = [0.05 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    assert rates == pytest.approx(rise + fall)


def test_cosine_counts_the_steps_of_the_optimizer_where_one_takes_several_batches() -> None:
    optimizer = {"name": "adamw", "lr": 0.1, "weight_decay": 0.0}
    rates = fitted(classifier(optimizer, {"name": "cosine", "warmup": 0.0}), epochs=4, batches_per_step=5)
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

    module.augment = Multiplied()
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

    module.augment = Noted()
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


def means_of_a_fit(targets: torch.Tensor, **trainer: Any) -> tuple[dict[str, float], torch.Tensor]:
    """What an epoch of steps that change nothing logs, in batches of 2 of 5 rows to learn from and 3 to validate;
    and the logits of the 8 rows."""
    torch.manual_seed(0)
    module = classifier({"name": "sgd", "lr": 0.0, "momentum": 0.0, "weight_decay": 0.0}, {"name": "constant"})
    images = torch.randn(8, 1, 2, 2)
    train = DataLoader(TensorDataset(images[:5], targets[:5]), batch_size=2)
    certain = targets[5:] if targets.ndim == 1 else targets[5:].argmax(1)  # mixed are only those to train on
    val = DataLoader(TensorDataset(images[5:], certain, torch.ones(3, dtype=torch.int64)), batch_size=2)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    fit = Trainer(max_epochs=1, accelerator="cpu", num_sanity_val_steps=0, **(quiet | trainer))
    fit.fit(module, train, val)
    return {name: float(value) for name, value in fit.callback_metrics.items()}, module.network(images).detach()


def expected_means(logits: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    right = (logits.argmax(1) == targets).float()
    return {
        "loss/train": float(functional.cross_entropy(logits[:5], targets[:5])),
        "accuracy/train": float(right[:5].mean()),
        "loss/val": float(functional.cross_entropy(logits[5:], targets[5:])),
        "accuracy/val": float(right[5:].mean()),
        "step": 1.0,
    }


def test_curves_are_means_over_rows_and_not_over_batches() -> None:
    targets = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    means, logits = means_of_a_fit(targets)
    assert means == pytest.approx(expected_means(logits, targets), rel=1e-5)


def test_curves_are_means_over_the_rows_of_all_devices() -> None:
    targets = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    means, logits = means_of_a_fit(targets, devices=2, strategy="ddp_fork")
    # Three rows go to two processes in turn, and the first one again to make them even.
    dealt = torch.tensor([5, 6, 7, 5])
    logits, targets = logits[dealt], targets[dealt]
    assert means["loss/val"] == pytest.approx(float(functional.cross_entropy(logits, targets)))
    assert means["accuracy/val"] == pytest.approx(float((logits.argmax(1) == targets).float().mean()))


def test_accuracy_of_mixed_targets_counts_the_larger_part() -> None:
    targets = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    mixed = torch.where(functional.one_hot(targets) == 1, 0.7, 0.3)
    means, logits = means_of_a_fit(mixed)
    assert means["accuracy/train"] == pytest.approx(expected_means(logits, targets)["accuracy/train"])
    smooth = -(mixed[:5] * logits[:5].log_softmax(1)).sum(1).mean()
    assert means["loss/train"] == pytest.approx(float(smooth), rel=1e-5)


class TwoParts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), nn.Linear(3, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(images))
        return logits


@pytest.mark.parametrize(
    "scheduler",
    [{"name": "constant"}, {"name": "cosine", "warmup": 0.2}, {"name": "plateau", "factor": 0.5, "patience": 0}],
)
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_what_has_learned_before_goes_on_at_its_share_of_the_rate_all_along(
    name: str, scheduler: dict[str, Any]
) -> None:
    network = nn.Sequential(nn.Identity(), TwoParts())
    optimizer = {"name": name, "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    module = ClassifierModule(network, Pair(), optimizer=optimizer, scheduler=scheduler, seed=0, backbone="1.features")
    plain = ClassifierModule(network, Pair(), optimizer=optimizer, scheduler=scheduler, seed=0)
    rates: list[tuple[float, float]] = []
    step = module.training_step

    def noted(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        full, slow = module.trainer.optimizers[0].param_groups
        rates.append((full["lr"], slow["lr"]))
        assert [id(each) for each in full["params"]] == [id(each) for each in network[1].head.parameters()]  # type: ignore[union-attr]
        assert {id(each) for each in [*full["params"], *slow["params"]]} == {id(each) for each in network.parameters()}
        return step(batch)

    module.training_step = noted  # type: ignore[method-assign]
    full_rates = fitted(module, epochs=4)
    assert [full for full, _ in rates] == full_rates
    assert [slow for _, slow in rates] == pytest.approx([BACKBONE_RATE * full for full in full_rates])
    if scheduler["name"] != "plateau":  # whose course depends on what is learned
        assert fitted(plain, epochs=4) == pytest.approx(full_rates)


def test_a_step_of_what_has_learned_before_is_its_share_of_the_gradient() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Identity(), TwoParts())
    before = {name: weights.detach().clone() for name, weights in network.named_parameters()}
    images, targets = torch.randn(3, 1, 2, 2), torch.tensor([0, 1, 1])
    functional.cross_entropy(network(images), targets).backward()
    gradients = {name: weights.grad.clone() for name, weights in network.named_parameters() if weights.grad is not None}
    network.zero_grad()
    optimizer = {"name": "sgd", "lr": 0.5, "momentum": 0.0, "weight_decay": 0.0}
    module = ClassifierModule(
        network, Pair(), optimizer=optimizer, scheduler={"name": "constant"}, seed=0, backbone="1.features"
    )
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(module, loader([(images, targets)]))
    for name, weights in network.named_parameters():
        rate = 0.125 if "features" in name else 0.5
        torch.testing.assert_close(weights.detach(), before[name] - rate * gradients[name])
