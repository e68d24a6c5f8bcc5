"""What is kept of a training: the best epoch's weights, and the state to go on from."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from audioid.training.callbacks import Curves, KeepBest, KeepLast, Patience
from audioid.training.module import ClassifierModule


class Unchanged(nn.Module):
    """A training batch without augmentation."""

    def forward(self, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return rows, targets


class Recorder(Callback):
    """Each epoch's weights with the value that judges it."""

    def __init__(self, monitor: str) -> None:
        self.monitor, self.epochs = monitor, list[tuple[float, Tensor]]()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value = float(trainer.callback_metrics[self.monitor])
        self.epochs.append((value, pl_module.state_dict()["network.1.weight"].clone()))


def fit(folder: Path, monitor: str, mode: str, resume: Path | None = None, **limits: Any) -> Recorder:
    """Steps so large that the last epoch is not the best."""
    torch.manual_seed(0)
    network, recorder = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), Recorder(monitor)
    optimizer = {"name": "sgd", "lr": 30.0, "momentum": 0.0, "weight_decay": 0.0}
    module = ClassifierModule(network, Unchanged(), optimizer=optimizer, scheduler={"name": "constant"}, seed=0)
    parts = [(torch.randn(rows, 1, 2, 2), torch.randint(3, (rows,))) for rows in (8, 32)]
    trainer = Trainer(
        **limits,
        accelerator="cpu",
        logger=False,
        callbacks=[recorder, KeepBest(folder, monitor, mode), Curves(folder), KeepLast(folder)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    train = DataLoader(TensorDataset(*parts[0]), batch_size=4)
    val = DataLoader(TensorDataset(*parts[1], torch.ones(32, dtype=torch.int64)), batch_size=4)
    trainer.fit(module, train, val, ckpt_path=resume, weights_only=True)
    return recorder


def kept(folder: Path) -> Tensor:
    found: Tensor = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]["network.1.weight"]
    return found


@pytest.mark.parametrize(("monitor", "mode"), [("loss/val", "min"), ("accuracy/val", "max")])
def test_the_first_of_the_best_epochs_is_kept(monitor: str, mode: str, tmp_path: Path) -> None:
    epochs = fit(tmp_path, monitor, mode, max_epochs=12).epochs
    values = [value for value, _ in epochs]
    best = values.index({"min": min, "max": max}[mode](values))
    assert best < 11
    torch.testing.assert_close(kept(tmp_path), epochs[best][1], rtol=0, atol=0)


def test_all_devices_write_the_state_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waited for another to start comes to its moment earlier; they would wait for each other for ever."""

    def start(self: KeepLast, trainer: Trainer, pl_module: LightningModule) -> None:
        self.written -= 3600 * trainer.global_rank

    monkeypatch.setattr(KeepLast, "on_train_start", start)
    strategy = DDPStrategy(start_method="fork", timeout=timedelta(seconds=20))
    fit(tmp_path, "loss/val", "min", max_epochs=3, devices=2, strategy=strategy)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 2


def test_training_that_goes_on_keeps_what_an_unbroken_one_keeps(tmp_path: Path) -> None:
    epochs = fit(tmp_path / "whole", "loss/val", "min", max_epochs=12).epochs
    values = [value for value, _ in epochs]
    stop = values.index(min(values)) + 2  # the best epoch is past
    fit(tmp_path / "stopped", "loss/val", "min", max_epochs=stop)
    fit(tmp_path / "stopped", "loss/val", "min", tmp_path / "stopped" / "last.ckpt", max_epochs=12)
    torch.testing.assert_close(kept(tmp_path / "stopped"), kept(tmp_path / "whole"), rtol=0, atol=0)


def test_both_are_written_at_the_end_of_steps_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = fit(tmp_path, "loss/val", "min", max_epochs=-1, max_steps=8).epochs
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 8
    best = min(epochs, key=lambda epoch: epoch[0])[1]
    torch.testing.assert_close(kept(tmp_path), best, rtol=0, atol=0)


def test_curves_of_a_training_that_goes_on_are_those_of_an_unbroken_one(tmp_path: Path) -> None:
    epochs = fit(tmp_path / "whole", "loss/val", "min", max_epochs=6).epochs
    whole = pd.read_csv(tmp_path / "whole" / "curves.csv")
    assert list(whole.columns) == ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"]
    assert whole["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert whole["val_loss"].tolist() == pytest.approx([value for value, _ in epochs], rel=1e-5)
    assert (whole["lr"] == 30.0).all()
    fit(tmp_path / "stopped", "loss/val", "min", max_epochs=2)
    fit(tmp_path / "stopped", "loss/val", "min", tmp_path / "stopped" / "last.ckpt", max_epochs=6)
    kept_in = [(tmp_path / run / "curves.csv").read_bytes() for run in ("whole", "stopped")]
    assert kept_in[0] == kept_in[1]


@pytest.mark.parametrize("begins_anew", [False, True])
def test_patience_goes_on_within_a_budget_and_begins_anew_with_another(begins_anew: bool) -> None:
    earlier = EarlyStopping("loss/val", mode="min", patience=3)
    earlier.wait_count, earlier.best_score = 2, torch.tensor(0.5)
    found = Patience("loss/val", "min", 20 if begins_anew else 3, begins_anew=begins_anew)
    assert found.state_key == earlier.state_key  # of checkpoints from before
    found.load_state_dict(earlier.state_dict())
    changed = {"patience": 20, "wait_count": 0} if begins_anew else {}
    assert found.state_dict() == earlier.state_dict() | changed
