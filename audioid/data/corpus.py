"""From the configured source of recordings to their index."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from audioid.data import synthetic
from audioid.data.index import Index, index_folder, index_manifest
from audioid.schema import Data, FolderData, ManifestData, SyntheticData

KIT_PATTERN = r"kit(\d+)_"


def read_corpus(data: Data, cache: Path) -> Index:
    """The index of a folder, of a manifest, or of the built-in corpus, which is written under `cache` once.

    Raises:
        AudioidError: as `index_folder`, `index_manifest` and `write_corpus`.
    """
    headers = cache / "headers"
    if isinstance(data, ManifestData):
        file = Path(data.file).expanduser()
        return index_manifest(file, group_pattern=data.group_pattern, on_unreadable=data.on_unreadable, cache=headers)
    if isinstance(data, FolderData):
        root, pattern = Path(data.root).expanduser(), data.group_pattern
    else:
        assert isinstance(data, SyntheticData)
        root, pattern = _synthetic(data, cache / "synthetic"), KIT_PATTERN
    return index_folder(root, group_pattern=pattern, on_unreadable=data.on_unreadable, cache=headers)


def _synthetic(data: SyntheticData, cache: Path) -> Path:
    """The folder of the built-in corpus with these settings, made by the first process that asks."""
    settings = {key: value for key, value in asdict(data).items() if key not in ("name", "on_unreadable", "batch_size")}
    content = Path(synthetic.__file__).read_bytes() + json.dumps(settings, sort_keys=True).encode()
    root = cache / hashlib.sha256(content).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_suffix(".lock")):
        if not root.exists():
            synthetic.write_corpus(root, **settings)
    return root
