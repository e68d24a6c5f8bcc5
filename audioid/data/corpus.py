"""From the configured source of recordings to their index and their groups."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from audioid.data import near_duplicates, synthetic
from audioid.data.index import Index, index_folder, index_manifest
from audioid.files import replacing
from audioid.schema import DataSettings, FolderDataSettings, ManifestDataSettings, SyntheticDataSettings

KIT_PATTERN = r"kit(\d+)_"


def read_corpus(data: DataSettings, cache: Path) -> Index:
    """The index of a folder, of a manifest, or of the built-in corpus, which is written under `cache` once.

    Raises:
        AudioidError: as `index_folder`, `index_manifest` and `write_corpus`.
    """
    headers = cache / "headers"
    if isinstance(data, ManifestDataSettings):
        file = Path(data.file).expanduser()
        return index_manifest(file, group_pattern=data.group_pattern, on_unreadable=data.on_unreadable, cache=headers)
    if isinstance(data, FolderDataSettings):
        root, pattern = Path(data.root).expanduser(), data.group_pattern
    else:
        assert isinstance(data, SyntheticDataSettings)
        root, pattern = _synthetic(data, cache / "synthetic"), KIT_PATTERN
    return index_folder(root, group_pattern=pattern, on_unreadable=data.on_unreadable, cache=headers)


def read_groups(index: Index, source: str, cache: Path) -> NDArray[Any] | None:
    """For each row what must stay on one side of a split, `(rows,)`: the corpus's own groups, if it has any, or
    near-duplicates, which are searched for once and kept under `cache`."""
    if source == "index":
        return index.groups
    content = Path(near_duplicates.__file__).read_bytes() + "\n".join(index.table["checksum"]).encode()
    file = cache / "near_duplicates" / f"{hashlib.sha256(content).hexdigest()[:16]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        with suppress(FileNotFoundError, ValueError):
            kept = np.array(json.loads(file.read_text(encoding="utf-8")), dtype=np.int64)
            if kept.shape == (len(index.table),):
                return kept
        found = near_duplicates.near_duplicate_groups(index)
        with replacing(file) as part:
            part.write_text(json.dumps(found.tolist()), encoding="utf-8")
    return found


def _synthetic(data: SyntheticDataSettings, cache: Path) -> Path:
    """The folder of the built-in corpus with these settings, made by the first process that asks."""
    settings = data.model_dump(exclude={"name", "on_unreadable", "batch_size"})
    content = Path(synthetic.__file__).read_bytes() + json.dumps(settings, sort_keys=True).encode()
    root = cache / hashlib.sha256(content).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_suffix(".lock")):
        if not root.exists():
            synthetic.write_corpus(root, **settings)
    return root
