"""`trainer.class_weights=balanced`: every class counts alike, whatever it has."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from audioid.training.fit import balanced
from audioid.training.module import ClassifierModule
from tests.conftest import Command

TARGETS = np.array([0] * 12 + [1] * 3 + [2] * 5)


def module(weights: torch.Tensor | None) -> ClassifierModule:
    return ClassifierModule(nn.Identity(), nn.Identity(), optimizer={}, scheduler={}, seed=0, class_weights=weights)


@pytest.mark.parametrize("part", ["train", "val"])
def test_weights_are_those_of_scikit_learn(part: str) -> None:
    rows = {"train": np.arange(20), "val": np.arange(20, 50)}[part]  # each has weights of its own
    prepared: Any = SimpleNamespace(
        index=SimpleNamespace(targets=np.concatenate([TARGETS, [0] * 9, [1] * 20, [2]]), classes=list("abc"))
    )
    found = balanced(prepared, rows)
    targets = prepared.index.targets[rows]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))
    assert found[targets].mean() == pytest.approx(1)
    prepared.index.classes = list("abcd")  # a class of which the part has none
    torch.testing.assert_close(balanced(prepared, rows)[:3], found)
    assert balanced(prepared, rows).isfinite().all()
    assert balanced(prepared, rows[:0]).isfinite().all()  # no such part


@pytest.mark.parametrize("seeds", ["0", "0,1"])
def test_uneven_classes_to_train_on_do_not_weigh_even_ones_to_choose_by(
    seeds: str, tones: Path, command: Command
) -> None:
    """There the mean over classes is that over recordings, which is what `metrics.json` has."""
    high, low = (sorted((tones / label).glob("*.wav")) for label in ("high", "low"))
    parts = {"train": [*high[:2], *low[:6]], "val": [*high[2:7], *low[6:11]], "test": [high[7], low[11]]}
    listed = [(path, path.parent.name, part) for part, members in parts.items() for path in members]
    pd.DataFrame(listed, columns=["path", "label", "split"]).to_csv("list.csv", index=False)
    chosen = ["data=manifest", "data.file=list.csv", "split=given", "model.width=4", "image.size=32", "augment=none"]
    chosen += ["trainer.max_epochs=1", "optimizer.lr=0.01", "trainer.accelerator=cpu", f"seed={seeds}", "-m"]
    parallel = f"trainer.parallel_seeds={len(seeds.split(','))}"
    assert command(*chosen, parallel, "trainer.class_weights=balanced", "hydra.sweep.dir=sweep") == 0
    runs = [file.parent for file in Path("sweep").glob("*/metrics.json")]
    assert len(runs) == len(seeds.split(","))
    for run in runs:
        found = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        assert (found["n_train"], found["n_val"]) == (8, 10)
        assert pd.read_csv(run / "curves.csv")["val_loss"].item() == pytest.approx(found["val_loss"], rel=1e-4)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_step_learns_by_each_class_at_its_weight(mixed: bool) -> None:
    """Each term of the cross-entropy has its class's weight, also of mixtures."""
    generator = torch.Generator().manual_seed(0)
    logits, weights = torch.randn(8, 3, generator=generator), torch.tensor([0.5, 2.0, 1.0])
    shares = torch.rand(8, 3, generator=generator).softmax(1)
    if not mixed:
        shares = functional.one_hot(shares.argmax(1), 3).float()
    expected = -(weights * shares * logits.log_softmax(1)).sum(1).mean()
    learning = module(weights)
    learning.augment = Given()
    torch.testing.assert_close(learning.training_step((logits, shares if mixed else shares.argmax(1))), expected)
    assert "class_weights" not in learning.state_dict()  # checkpoints are those of any run


class Given(nn.Module):
    def forward(self, rows: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return rows, targets


@pytest.mark.parametrize("seeds", ["0", "0,1"])
def test_a_rare_class_is_named_as_soon_as_the_others(seeds: str, tones: Path, command: Command) -> None:
    """Two classes that cannot be told apart, one nine times as large: chance alone says which is named."""
    files = sorted(tones.rglob("*.wav"))
    rng = np.random.default_rng(0)
    rows = [(path, "rare" if number % 10 == 0 else "common") for number, path in enumerate(files * 5)]
    for number, (path, label) in enumerate(rows):
        copy = Path("mixed", label, f"{number}.wav")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes() + rng.bytes(8))  # no two files are equal
    chosen = ["data=folder", "data.root=mixed", "model.width=4", "image.size=32", "trainer.max_epochs=30"]
    chosen += ["augment=none", "optimizer.lr=0.01", "model.pretrained=none", "trainer.accelerator=cpu"]
    chosen += [f"seed={seeds}", "-m"]
    parallel = f"trainer.parallel_seeds={len(seeds.split(','))}"
    named = dict[str, float]()
    for weights in ("none", "balanced"):
        assert command(*chosen, parallel, f"trainer.class_weights={weights}", f"hydra.sweep.dir={weights}") == 0
        tables = [pd.read_csv(file) for file in Path(weights).glob("*/predictions.csv")]
        assert len(tables) == len(seeds.split(","))
        named[weights] = float(np.mean([table["rare"].mean() for table in tables]))
        for file in Path(weights).glob("*/metrics.json"):
            assert json.loads(file.read_text())["parallel_seeds"] == len(seeds.split(","))
    assert named["none"] == pytest.approx(0.1, abs=0.08)
    assert named["balanced"] == pytest.approx(0.5, abs=0.15)
