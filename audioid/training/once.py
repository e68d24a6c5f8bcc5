"""What several runs of a sweep would write alike is written by one of them."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def is_written_here(folder: Path, content: Mapping[str, Any]) -> bool:
    """Whether the run in `folder` is to write what follows from `content` alone: the first run that asks.

    It stays the one when it is stopped and goes on. A run outside a sweep always is.
    """
    sweep = folder.parent
    if not (sweep / "multirun.yaml").exists():
        return True
    mark = sweep / f".{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]}.once"
    with suppress(FileExistsError), mark.open("x", encoding="utf-8") as file:
        file.write(folder.name)
    return mark.read_text(encoding="utf-8") == folder.name
