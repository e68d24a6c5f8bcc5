import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

WriteRun = Callable[..., Path]
CLASSES = ["high", "low"]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes the record of a run to `tmp_path/runs/NAME`, as training leaves it.

    `rightly` says of each test recording whether it was named rightly; it sets the accuracy, and writes the
    predictions of recordings `paths`, which belong to `groups`. `overrides` are its command line.
    """

    def write(
        transform: str,
        seed: int,
        accuracy: float | None = None,
        *,
        rightly: Sequence[bool] | None = None,
        paths: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        settings: dict[str, Any] | None = None,
        overrides: Sequence[str] | None = None,
        **metrics: Any,
    ) -> Path:
        config = {"seed": seed, "transform": {"name": transform}, "model": {"name": "cnn", "width": 32}}
        config |= {"data": {"root": f"/somewhere/{seed}"}, **(settings or {})}
        if rightly is not None:
            accuracy = sum(rightly) / len(rightly)
            metrics["n_test"] = len(rightly)
        record: dict[str, Any] = {"transform": transform, "seed": seed, "split_seed": 0, "fold": 0, "classes": CLASSES}
        record |= {"n_train": 300, "n_val": 100, "n_test": 100, "val_accuracy": accuracy, "val_loss": 0.5}
        record |= {"train_accuracy": 0.99, "test_accuracy": accuracy, "test_macro_f1": accuracy, "test_loss": 0.5}
        record |= {"seconds": {"fit": 2.0, "total": 3.0}, "index_digest": "abc", "commit": "1" * 40, **metrics}
        name = json.dumps([config, record], default=str)
        folder = tmp_path / "runs" / f"{transform} seed={seed} {abs(hash(name)) % 10**9}"
        (folder / ".hydra").mkdir(parents=True, exist_ok=True)
        (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
        if overrides is not None:
            (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(list(overrides)))
        (folder / "metrics.json").write_text(json.dumps(record))
        if rightly is not None:
            write_predictions(folder, rightly, paths, groups)
        return folder

    return write


def write_predictions(
    folder: Path, rightly: Sequence[bool], paths: Sequence[str] | None, groups: Sequence[str] | None
) -> None:
    labels = [CLASSES[number % 2] for number in range(len(rightly))]
    predicted = [label if right else CLASSES[label == "high"] for label, right in zip(labels, rightly, strict=True)]
    table = pd.DataFrame(
        {
            "path": paths or [f"{number:04}.wav" for number in range(len(rightly))],
            "label": labels,
            "predicted": predicted,
            "group": groups or [""] * len(rightly),
            "high": [0.9 if name == "high" else 0.1 for name in predicted],
            "low": [0.9 if name == "low" else 0.1 for name in predicted],
        }
    )
    table.to_csv(folder / "predictions.csv", index=False)
