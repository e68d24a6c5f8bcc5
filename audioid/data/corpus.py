"""From the configured source of recordings to their index, their groups and their parts."""

import hashlib
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray

from audioid.code_version import sources_version
from audioid.data import audio, near_duplicates, resemblance, synthetic
from audioid.data.entry import STORE_ELSEWHERE, disk_errors
from audioid.data.grouping import joined
from audioid.data.index import Index, index_folder, index_manifest
from audioid.data.learning_curve import at_most
from audioid.data.split import PART_NAMES, SplitIndices, equal_across_parts, numbered, part_numbers, split
from audioid.errors import AudioidError
from audioid.files import replacing, where_allowed
from audioid.locks import held
from audioid.schema import (
    DataSettings,
    FolderDataSettings,
    GeneratedDataSettings,
    ManifestDataSettings,
    SplitSettings,
    SyntheticDataSettings,
)

logger = logging.getLogger(__name__)

KIT_PATTERN = r"kit(\d+)_"
NUMBERS = (f"numpy {np.__version__}", f"scipy {scipy.__version__}")
PAIRS_SHOWN = 3
SEARCHED = 1000  # recordings, whose near-duplicates are found in some ten seconds


def read_corpus(data: DataSettings, cache: Path) -> Index:
    """The index of a folder, of a manifest, or of the built-in corpus, which is written under `cache` once.

    Raises:
        AudioidError: as `index_folder`, `index_manifest` and `write_corpus`; `cache` cannot be made; the sounds
            are in no files.
    """
    if isinstance(data, GeneratedDataSettings):
        raise AudioidError("data=generated: its sounds are in no files; choose data=folder, manifest or synthetic")
    with disk_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    headers, root = cache / "headers", corpus_root(data, cache)
    if isinstance(data, ManifestDataSettings):
        file = Path(data.file).expanduser()
        return index_manifest(file, group_pattern=data.group_pattern, on_unreadable=data.on_unreadable, cache=headers)
    pattern = data.group_pattern if isinstance(data, FolderDataSettings) else KIT_PATTERN
    if isinstance(data, SyntheticDataSettings):
        _make_synthetic(data, root)
    return index_folder(root, group_pattern=pattern, on_unreadable=data.on_unreadable, cache=headers)


def split_corpus(index: Index, settings: SplitSettings, cache: Path) -> SplitIndices:
    """As `parts_of`, with a warning of each recording that is in two of them byte for byte, and of a group too large.

    Raises:
        AudioidError: as `parts_of`.
    """
    found, groups = _parted(index, settings, cache)
    keeps_together = settings.name in ("grouped", "kfold")
    if groups is not None and keeps_together and (sentence := large_group(index, groups, settings)):
        logger.warning(sentence)
    if pairs := equal_across_parts(found, index.table["checksum"]):
        named = [
            f"{path} ({PART_NAMES[part]})" for path, part in zip(index.table["path"], part_numbers(found), strict=True)
        ]
        shown = [f"{named[one]} = {named[two]}" for one, two in pairs[:PAIRS_SHOWN]]
        more = f" and {len(pairs) - PAIRS_SHOWN} more" if len(pairs) > PAIRS_SHOWN else ""
        logger.warning(
            "split=%s: the same bytes are in two parts, so the figures flatter: %s%s; keep one of each",
            settings.name,
            ", ".join(shown),
            more,
        )
    return _with_fewer(found, groups, index, settings)


def large_group(index: Index, groups: NDArray[Any], settings: SplitSettings) -> str | None:
    """A sentence on the largest of the `groups` `(rows,)` where it has more recordings than any part shall have."""
    numbers = numbered(groups)
    sizes = np.bincount(numbers)
    of_largest = index.table.iloc[np.flatnonzero(numbers == sizes.argmax())]
    train_fraction = 1 - settings.test_fraction - settings.val_fraction
    drawn = max(train_fraction, settings.val_fraction, settings.test_fraction)
    share = 1 / settings.folds if settings.name == "kfold" else drawn
    if len(of_largest) < share * len(groups) + 1:
        return None
    names, path = of_largest["group"].unique(), of_largest["path"].iloc[0]
    who = f"group '{names[0]}'" if len(names) == 1 and names[0] else f"the group that holds {path}"
    outcome = "parts are uneven" if len(sizes) > 1 else "nothing can be parted"
    remedy = " or lower split.folds" if settings.name == "kfold" else ""
    return (
        f"split={settings.name}: {who} has {len(of_largest):,} of {len(groups):,} recordings, more than any part "
        f"should have ({share * len(groups):,.0f}), so {outcome}; "
        f"look whether all of them belong together, and have smaller groups{remedy}"
    )


def parts_of(index: Index, settings: SplitSettings, cache: Path) -> SplitIndices:
    """The parts of the index, with `train_per_class` as `at_most` says.

    Raises:
        AudioidError: as `split`; near-duplicates shall be kept together where official parts leave none to be drawn.
    """
    return _with_fewer(*_parted(index, settings, cache), index, settings)


def _parted(index: Index, settings: SplitSettings, cache: Path) -> tuple[SplitIndices, NDArray[Any] | None]:
    """All rows of the index in parts, and the groups that were kept together."""
    official, folds = index.table["split"], index.table["fold"]
    no_draw = settings.val_fraction == 0 or "val" in set(official) or ((official == "") & (folds >= 0)).all()
    if settings.name == "given" and settings.group == "near_duplicates" and no_draw:
        raise AudioidError("split.group: does nothing where every part is given; leave it out, or set split=grouped")
    groups = read_groups(index, settings.group, cache)
    found = split(
        index.targets,
        classes=index.classes,
        groups=groups,
        checksums=index.table["checksum"],
        official_split=official,
        official_fold=folds,
        name=settings.name,
        test_fraction=settings.test_fraction,
        val_fraction=settings.val_fraction,
        folds=settings.folds,
        fold=settings.fold,
        seed=settings.seed,
    )
    return found, groups


def _with_fewer(
    found: SplitIndices, groups: NDArray[Any] | None, index: Index, settings: SplitSettings
) -> SplitIndices:
    if settings.train_per_class is None:
        return found
    return at_most(found, index.targets, settings.train_per_class, seed=settings.seed, groups=groups)


def read_groups(index: Index, source: str, cache: Path) -> NDArray[Any] | None:
    """For each row what must stay on one side of a split, `(rows,)`: the corpus's own groups, if it has any.

    With `near_duplicates` as `source` groups are joined that share a sound, also as a near-duplicate; those are
    searched for once and kept under `cache`.
    """
    if source == "index":
        return index.groups
    near = _near_duplicates(index, cache)
    return near if index.groups is None else joined(np.unique(index.groups, return_inverse=True)[1], near)


def known_near_duplicates(index: Index, cache: Path) -> NDArray[np.int64] | None:
    """For each row the number of its group of near-duplicates, `(rows,)`, where they are kept or soon found.

    None for a corpus of more than `SEARCHED` recordings in which nobody has asked for them yet, or without files.
    """
    if not index.has_files:
        return None
    if len(index.table) > SEARCHED and not _near_duplicates_file(index, cache).exists():
        return None
    return _near_duplicates(index, cache)


def _near_duplicates_file(index: Index, cache: Path) -> Path:
    libraries = [*audio.DECODERS, *NUMBERS, f"scikit-learn {sklearn.__version__}"]
    version = sources_version([audio, near_duplicates, resemblance], libraries)
    content = "\n".join([version, *index.table["checksum"]]).encode()
    return cache / "near_duplicates" / f"{hashlib.sha256(content).hexdigest()[:16]}.json"


def _near_duplicates(index: Index, cache: Path) -> NDArray[np.int64]:
    file = _near_duplicates_file(index, cache)
    with where_allowed(), disk_errors(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    with held(file.with_suffix(".lock"), "searches for near-duplicates"):
        with suppress(FileNotFoundError, ValueError):
            kept = np.array(json.loads(file.read_text(encoding="utf-8")), dtype=np.int64)
            if kept.shape == (len(index.table),):
                return kept
        found = near_duplicates.near_duplicate_groups(index)
        with where_allowed(), replacing(file, STORE_ELSEWHERE) as part:
            part.write_text(json.dumps(found.tolist()), encoding="utf-8")
    return found


def corpus_root(data: DataSettings, cache: Path) -> Path:
    """What the index's paths are relative to, whether it is there or not; nothing is read, and nothing made."""
    if isinstance(data, ManifestDataSettings):
        return Path(data.file).expanduser().parent
    if isinstance(data, FolderDataSettings):
        return Path(data.root).expanduser()
    assert isinstance(data, SyntheticDataSettings)
    version = sources_version([synthetic], [audio.DECODERS[0], *NUMBERS])
    content = (version + json.dumps(_recipe(data), sort_keys=True)).encode()
    return cache / "synthetic" / hashlib.sha256(content).hexdigest()[:16]


def _recipe(data: SyntheticDataSettings) -> dict[str, Any]:
    return data.model_dump(exclude={"name", "unknown", "on_unreadable", "batch_size"})


def _make_synthetic(data: SyntheticDataSettings, root: Path) -> None:
    """Writes the built-in corpus with these settings, in the first process that asks."""
    with disk_errors(root.parent):
        root.parent.mkdir(parents=True, exist_ok=True)
    with held(root.with_suffix(".lock"), "writes the built-in corpus"):
        if not root.exists():
            synthetic.write_corpus(root, **_recipe(data))
