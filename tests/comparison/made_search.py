"""The record of a search, as `audioid.search` leaves it."""

import json
from pathlib import Path
from typing import Any


def search_of(*arms: str, trials: int = 30) -> dict[str, Any]:
    """Of each arm ten trials less came to their end than there were; the loss goes down."""
    history = [
        {"state": "pruned" if number % 3 == 2 else "complete", "value": 1.0 - number / 100} for number in range(trials)
    ]
    pruned = sum(each["state"] == "pruned" for each in history)
    found = {
        "trials": trials,
        "complete": trials - pruned,
        "pruned": pruned,
        "best": {"trial": trials - 3, "val_loss": 0.12345, "settings": {"optimizer.lr": 0.0034567, "model.depth": 4}},
        "importances": {"optimizer.lr": 0.41, "model.depth": 0.59},
        "history": history,
    }
    return {"judged_by": "val_loss", "transforms": {arm: json.loads(json.dumps(found)) for arm in arms}}


def write_search(sweep: Path, record: object) -> None:
    """Into the sweep's folder; text and bytes as they are."""
    folder = sweep / "search"
    folder.mkdir(exist_ok=True)
    text = record if isinstance(record, str) else json.dumps(record)
    (folder / "search.json").write_text(text)
