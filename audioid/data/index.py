"""The list of all recordings: all that later stages know of the disk."""

import functools
import hashlib
import logging
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audioid.data import manifest
from audioid.data.headers import read_headers
from audioid.data.walk import Skipped, walk
from audioid.errors import AudioidError

logger = logging.getLogger(__name__)

COLUMNS = (*manifest.COLUMNS, "seconds", "sample_rate", "channels", "subtype", "checksum")
UNEVEN = 5.0
DIGESTED = 100_000  # rows at a time: the text of millions would need as much memory as the table
LOOSE = "lies in no folder named after its label; move it into one"


def are_uneven(counts: pd.Series) -> bool:
    """Whether classes of so many recordings are so uneven that accuracy says little of the small ones."""
    return bool(counts.max() >= UNEVEN * counts.min())


@dataclass(frozen=True)
class Index:
    """Every usable recording below `root`, a row each, sorted by path, and what was left out and why.

    Columns of `table`: `path` (relative to `root`, with `/`), `label`, `group` and `split` ("" where none is
    given), `fold` (-1 where none is given), `seconds`, `sample_rate` in Hz, `channels`, `subtype` as libsndfile
    names it, and `checksum` of the file's content. `labels` has the label of each path in `skipped`, where it has one.
    Without `has_files` paths are names of sounds that are made, not read.
    """

    root: Path
    table: pd.DataFrame
    skipped: list[Skipped] = field(default_factory=list)
    labels: Mapping[str, str] = field(default_factory=dict)
    has_files: bool = True

    @cached_property
    def classes(self) -> list[str]:
        """The labels, sorted."""
        return sorted(self.table["label"].unique())

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """For each row the position of its label in `classes`, `(rows,)`."""
        return pd.Categorical(self.table["label"], categories=self.classes).codes.astype(np.int64)

    @cached_property
    def groups(self) -> NDArray[np.object_] | None:
        """For each row its group, `(rows,)`; a row without one is a group of its own. None if no row has one."""
        group = self.table["group"]
        if (group == "").all():
            return None
        return group.where(group != "", "\0" + self.table["path"]).to_numpy(object)

    @cached_property
    def digest(self) -> str:
        """Names the content: equal for the same recordings, labels, groups and parts, wherever `root` lies."""
        digest = hashlib.blake2b(digest_size=16)
        for column in (*manifest.COLUMNS, "checksum"):
            for start in range(0, len(self.table), DIGESTED):
                values = self.table[column].iloc[start : start + DIGESTED].astype(str).to_numpy(object)
                digest.update("\0".join(values).encode() + b"\0")
            digest.update(b"\0")
        return digest.hexdigest()

    def without(self, unreadable: Sequence[Skipped]) -> "Index":
        """This index less the given `(path, reason)`, which join those skipped: what decoding could not read."""
        is_lost = self.table["path"].isin([path for path, _ in unreadable])
        left, labels = self.table[~is_lost].reset_index(drop=True), {**self.labels, **_labels(self.table[is_lost])}
        return replace(self, table=left, skipped=[*self.skipped, *unreadable], labels=labels)

    def refuse_lost_labels(self) -> None:
        """Raise AudioidError for the first label all of whose recordings were skipped: it could not be learned."""
        lost = [skip for skip in self.skipped if self.labels.get(skip[0], "") not in {"", *self.classes}]
        if lost:
            path, reason = lost[0]
            label = self.labels[path]
            count = sum(self.labels[other] == label for other, _ in lost)
            raise AudioidError(
                f"label '{label}': none of its {count} recordings can be read (first: {path}: {reason}); "
                "mend them, or remove the label"
            )


def index_folder(
    root: Path, *, group_pattern: str | None = None, on_unreadable: str = "skip", cache: Path | None = None
) -> Index:
    """The recordings below `root`, as `walk` finds them, each labelled with the name of the folder that holds it.

    Args:
        group_pattern: its group called `group`, or else its first, is the recording's group; searched in the
            relative path.
        on_unreadable: `skip` lists a file that cannot be used in `skipped`, `fail` raises for the first.
        cache: folder where headers are kept and reused while a file's size and times of change stay the same.

    Raises:
        AudioidError: `root` is no folder, holds no usable recordings, or names a label twice in different case.
    """
    if not root.is_dir():
        raise AudioidError(f"{root}: {'is not a folder' if root.exists() else 'does not exist'}; set data.root")
    paths, skipped = [], list[Skipped]()
    for path, reason in walk(root):
        if reason or "/" not in path:
            skipped.append((path, reason or LOOSE))
        else:
            paths.append(path)
    if not paths:
        hint = f" ({skipped[0][0]} {skipped[0][1]})" if skipped else ""
        raise AudioidError(f"{root}: holds no recordings{hint}; put them in folders named after their labels")
    paths.sort()
    table = _labelled(paths).assign(group="", split="", fold=manifest.NO_FOLD)
    labels = _labels(_labelled([path for path, _ in skipped]))
    del paths  # of millions of recordings they need more memory than the table
    return _index(root, root, table, skipped, labels, group_pattern, on_unreadable, cache)


def _labelled(paths: list[str]) -> pd.DataFrame:
    """`path` and `label`: the name of the folder that holds it, "" for one that lies in `root` itself."""
    folder_label = functools.cache(_folder_label)  # few folders hold many files
    return pd.DataFrame({"path": paths, "label": [folder_label(path.rpartition("/")[0]) for path in paths]})


def _folder_label(folder: str) -> str:
    # The same name may be stored composed or decomposed, as the system that made the folder does it.
    return unicodedata.normalize("NFC", posixpath.basename(folder))


def _labels(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["path"], table["label"], strict=True))


def index_manifest(
    file: Path, *, group_pattern: str | None = None, on_unreadable: str = "skip", cache: Path | None = None
) -> Index:
    """The recordings that a CSV lists in the columns `path,label` and, if wanted, `group`, `split` and `fold`.

    Paths are relative to the CSV's own folder, or absolute. `split` is `train`, `val` or `test`; `fold` a whole
    number. Other columns are not used. The arguments are those of `index_folder`.

    Raises:
        AudioidError: the CSV cannot be read, lacks a column, holds a bad value, lists one recording with two
            labels, names a label twice in different case, or none of its recordings can be used.
    """
    table = manifest.read_manifest(file)
    if group_pattern is not None and (table["group"] != "").any():
        raise AudioidError(f"data.group_pattern: {file} has a column 'group' already; remove one of the two")
    return _index(file, file.parent, table, [], {}, group_pattern, on_unreadable, cache)


def _index(
    source: Path,
    root: Path,
    table: pd.DataFrame,
    skipped: list[Skipped],
    labels: dict[str, str],
    group_pattern: str | None,
    on_unreadable: str,
    cache: Path | None,
) -> Index:
    """The index of the recordings in `table`: groups from their paths, headers from the files or the cache.

    `labels` are those of the paths in `skipped`.
    """
    _refuse_case_twins(source, table["label"].unique())
    if group_pattern is not None:
        table["group"] = _matched_groups(table["path"], group_pattern)
    name = hashlib.blake2b(os.fsencode(source.resolve()), digest_size=8).hexdigest()
    headers = read_headers(root, table["path"], cache and cache / f"{name}.arrow")
    table = pd.concat([table, headers], axis=1)
    del headers
    table["seconds"] = table["frames"] / table["sample_rate"]
    broken = table["reason"] != ""
    skipped = [*skipped, *zip(table.loc[broken, "path"], table.loc[broken, "reason"], strict=True)]
    if skipped and on_unreadable == "fail":
        path, reason = skipped[0]
        raise AudioidError(f"{root / path}: {reason}; data.on_unreadable=skip goes on without it")
    if broken.all():
        path, reason = skipped[-1]
        raise AudioidError(f"{source}: none of {len(table)} recordings can be used (last: {path} {reason}); mend them")
    labels = labels | _labels(table[broken])
    # Column by column: millions of rows shall not be there twice.
    usable = ~broken if broken.any() else slice(None)
    return Index(root, pd.DataFrame({name: table.pop(name).array[usable] for name in COLUMNS}), skipped, labels)


def _refuse_case_twins(source: Path, labels: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        twin = seen.setdefault(" ".join(label.casefold().split()), label)
        if twin != label:
            raise AudioidError(f"{source}: labels '{twin}' and '{label}' differ in case or spaces alone; make them one")


def _matched_groups(paths: pd.Series, pattern: str) -> list[str]:
    try:
        search = re.compile(pattern)
    except re.error as error:
        raise AudioidError(f"data.group_pattern: '{pattern}' is no regular expression ({error}); mend it") from None
    if not search.groups:
        raise AudioidError(f"data.group_pattern: '{pattern}' captures nothing; put ( ) around what names the group")
    capture: str | int = "group" if "group" in search.groupindex else 1
    groups = [match[capture] or "" if (match := search.search(path)) else "" for path in paths]
    unmatched = [path for path, group in zip(paths, groups, strict=True) if not group]
    if len(unmatched) == len(groups):
        raise AudioidError(f"data.group_pattern: '{pattern}' matches no path, such as {unmatched[0]}; mend it")
    if unmatched:
        logger.warning(
            "data.group_pattern does not match %d of %d paths, such as %s; each is a group of its own",
            len(unmatched),
            len(groups),
            unmatched[0],
        )
    return groups
