"""Records of runs with predictions, as training leaves them, from made-up probabilities."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from sklearn.metrics import f1_score

Values = NDArray[np.float64]


def made_run(
    root: Path,
    transform: str,
    *,
    paths: Sequence[str],
    labels: NDArray[np.int64],
    probabilities: Values,
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
    seed: int = 0,
    fold: int = 0,
    settings: Mapping[str, Any] | None = None,
    curves: Sequence[tuple[float, float, float, float]] = (),
    **metrics: Any,
) -> Path:
    """Writes one run below `root`; `settings` go into its configuration, `metrics` over what is found here.

    `probabilities` `(recordings, classes)`; `curves` are (train accuracy, validation accuracy, train loss, validation
    loss) by epoch.
    """
    folder = root / f"run {len(list(root.glob('*'))):04d}" if root.exists() else root / "run 0000"
    (folder / ".hydra").mkdir(parents=True)
    config = {"seed": seed, "transform": {"name": transform}, "model": {"name": "cnn", "width": 32}, **(settings or {})}
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
    probabilities = np.round(probabilities, 6)
    predicted = probabilities.argmax(axis=1)
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "predicted", "group", *classes])
        for place, path in enumerate(paths):
            group = groups[place] if groups else ""
            row = [path, classes[labels[place]], classes[predicted[place]], group, *probabilities[place]]
            writer.writerow(row)
    if curves:
        with (folder / "curves.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"])
            for epoch, (train, val, train_loss, val_loss) in enumerate(curves, 1):
                table.writerow([epoch, train_loss, train, val_loss, val, 0.01])
    accuracy = float((predicted == labels).mean())
    record = {
        "transform": transform, "seed": seed, "split_seed": 0, "fold": fold, "classes": list(classes),
        "n_train": 4 * len(labels), "n_val": len(labels), "n_test": len(labels),
        "train_accuracy": 0.99, "val_accuracy": accuracy, "test_accuracy": accuracy,
        "test_macro_f1": float(f1_score(labels, predicted, average="macro")),
        "test_loss": float(-np.log(np.maximum(probabilities, 5e-7))[np.arange(len(labels)), labels].mean()),
        "seconds": {"fit": 2.0, "total": 3.0}, "transform_ms_per_clip": 1.0, "parameters": 1000,
        "multiply_adds": 10000, "index_digest": "abc", "commit": None, **metrics,
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(record))
    return folder


def softmax(logits: Values) -> Values:
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Values = likely / likely.sum(axis=1, keepdims=True)
    return found


def made_sweep(
    root: Path,
    rng: np.random.Generator,
    *,
    skill: Mapping[str, float],
    classes: Sequence[str] = ("a", "b", "c"),
    n: int = 150,
    folds: int = 5,
    seeds: int = 2,
    **more: Any,
) -> None:
    """Runs of every arm over all folds and seeds; an arm's `skill` is what its logits add to the right class."""
    labels = np.arange(n) % len(classes)
    paths = np.array([f"{classes[label]}/{place}.wav" for place, label in enumerate(labels.tolist())])
    for fold in range(folds):
        # Classes come in turn, so that each fold has of all of them.
        here = np.flatnonzero(np.arange(n) // len(classes) % folds == fold)
        for seed in range(seeds):
            for transform, amount in skill.items():
                logits = rng.normal(size=(len(here), len(classes)))
                logits[np.arange(len(here)), labels[here]] += amount
                made_run(
                    root, transform, paths=paths[here].tolist(), labels=labels[here], probabilities=softmax(logits),
                    classes=classes, seed=seed, fold=fold, **more,
                )  # fmt: skip
