import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes the record of a run to `tmp_path/runs/NAME`, as training leaves it."""

    def write(
        transform: str, seed: int, accuracy: float | None, *, settings: dict[str, Any] | None = None, **metrics: Any
    ) -> Path:
        config = {"seed": seed, "transform": {"name": transform}, "model": {"name": "cnn", "width": 32}}
        config |= {"data": {"root": f"/somewhere/{seed}"}, **(settings or {})}
        split = metrics.get("split_seed", 0)
        width = config["model"]["width"]  # type: ignore[index]
        folder = tmp_path / "runs" / f"{transform} width={width} split={split} seed={seed}"
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
        record = {"transform": transform, "seed": seed, "split_seed": 0, "fold": 0, "n_test": 100}
        record |= {"train_accuracy": 0.99, "test_accuracy": accuracy, "seconds": {"fit": 2.0, "total": 3.0}}
        record |= {"index_digest": "abc", "commit": "1" * 40, **metrics}
        (folder / "metrics.json").write_text(json.dumps(record))
        return folder

    return write
