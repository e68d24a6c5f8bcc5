"""The list of all recordings: all that later stages know of the disk."""

import difflib
import hashlib
import logging
import os
import posixpath
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from audioid.data.audio import AUDIO_SUFFIXES, Unreadable, count_frames, open_recording
from audioid.errors import AudioidError

logger = logging.getLogger(__name__)

# Sound formats that libsndfile does not read; told apart from files that are no sound at all.
FOREIGN_SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".wma", ".wv", ".ape", ".amr", ".webm", ".mka"})
COLUMNS = ("path", "label", "group", "split", "fold", "seconds", "sample_rate", "channels", "subtype", "checksum")
MANIFEST_COLUMNS = ("path", "label", "group", "split", "fold")
# Stands in the column `fold` for "no fold given".
NO_FOLD = -1

Skipped = tuple[str, str]


@dataclass(frozen=True)
class Index:
    """Every usable recording below `root`, a row each, sorted by path, and what was left out and why.

    Columns of `table`: `path` (relative to `root`, with `/`), `label`, `group` and `split` ("" where none is
    given), `fold` (-1 where none is given), `seconds`, `sample_rate` in Hz, `channels`, `subtype` as libsndfile
    names it, and `checksum` of the file's content.
    """

    root: Path
    table: pd.DataFrame
    skipped: list[Skipped] = field(default_factory=list)

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
        for column in (*MANIFEST_COLUMNS, "checksum"):
            digest.update("\0".join(self.table[column].astype(str)).encode() + b"\0\0")
        return digest.hexdigest()

    def without(self, unreadable: Sequence[Skipped]) -> "Index":
        """This index less the given `(path, reason)`, which join those skipped: what decoding could not read."""
        left = self.table[~self.table["path"].isin([path for path, _ in unreadable])]
        return replace(self, table=left.reset_index(drop=True), skipped=[*self.skipped, *unreadable])


def index_folder(
    root: Path, *, group_pattern: str | None = None, on_unreadable: str = "skip", cache: Path | None = None
) -> Index:
    """The recordings at any depth below `root`, each labelled with the name of the folder that holds it.

    Hidden files and folders (also the `._` files of macOS) are passed over; links are followed, each folder once.

    Args:
        group_pattern: its group called `group`, or else its first, is the recording's group; searched in the
            relative path.
        on_unreadable: `skip` lists a file that cannot be used in `skipped`, `fail` raises for the first.
        cache: folder where headers are kept and reused while a file's size and time of change stay the same.

    Raises:
        AudioidError: `root` is no folder, holds no usable recordings, or names a label twice in different case.
    """
    if not root.is_dir():
        raise AudioidError(f"{root}: {'is not a folder' if root.exists() else 'does not exist'}; set data.root")
    paths, skipped = _walk(root)
    if not paths:
        hint = f"; {skipped[0][0]} {skipped[0][1]}" if skipped else ""
        raise AudioidError(f"{root}: no recordings in folders named after their labels{hint}")
    table = pd.DataFrame({"path": paths, "group": "", "split": "", "fold": NO_FOLD})
    # The same name may be stored composed or decomposed, as the system that made the folder does it.
    folders = table["path"].str.rsplit("/", n=2).str[-2]
    table["label"] = folders.map({name: unicodedata.normalize("NFC", name) for name in folders.unique()})
    return _index(root, table, skipped, group_pattern, on_unreadable, cache)


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
    table = _read_manifest(file)
    if group_pattern is not None and "group" in table:
        raise AudioidError(f"data.group_pattern: {file} has a column 'group' already; remove one of the two")
    table = _checked_manifest(file, table)
    return _index(file.parent, table, [], group_pattern, on_unreadable, cache)


def _walk(root: Path) -> tuple[list[str], list[Skipped]]:
    """The recordings below `root`, sorted, relative to it; and those that cannot have a label or be read."""
    paths: list[str] = []
    skipped: list[Skipped] = []
    seen: set[tuple[int, int]] = set()
    # Links last, so that a folder goes by its own name, not by that of a link to it.
    folders, links = deque([""]), deque[str]()
    while folders or links:
        folder = (folders or links).popleft()
        try:
            status = os.stat(root / folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            skipped.append((folder, f"cannot be opened ({error.strerror})"))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = posixpath.join(folder, entry.name)
            suffix = posixpath.splitext(entry.name)[1].lower()
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif not _encodable(path):
                skipped.append((os.fsencode(path).decode(errors="backslashreplace"), "has a name that is not UTF-8"))
            elif suffix in FOREIGN_SUFFIXES:
                skipped.append((path, f"is {suffix[1:]}, which libsndfile cannot read; convert it to wav or flac"))
            elif suffix in AUDIO_SUFFIXES and not folder:
                skipped.append((path, "lies in no folder named after its label; move it into one"))
            elif suffix in AUDIO_SUFFIXES:
                paths.append(path)
    return sorted(paths), skipped


def _encodable(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_manifest(file: Path) -> pd.DataFrame:
    """The known columns of the CSV as stripped text."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            table = pd.read_csv(text, dtype=str, keep_default_na=False, index_col=False)
    except OSError as error:
        raise AudioidError(f"{file}: cannot be opened ({error.strerror}); set data.file") from None
    except UnicodeDecodeError:
        raise AudioidError(f"{file}: is not UTF-8; save it as CSV in UTF-8") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise AudioidError(f"{file}: is not a CSV ({str(error).strip()})") from None
    table.columns = table.columns.str.strip()
    unused = [name for name in table.columns if name not in MANIFEST_COLUMNS]
    for name in unused:
        likely = difflib.get_close_matches(name.lower(), set(MANIFEST_COLUMNS) - set(table.columns), cutoff=0.75)
        if likely:
            raise AudioidError(f"{file}: unknown column '{name}'; is '{likely[0]}' meant? Rename or remove it")
    for name in ("path", "label"):
        if name not in table:
            raise AudioidError(f"{file}: no column '{name}'; its first line must name path,label (commas between)")
    if unused:
        logger.warning("%s: columns not used: %s", file, ", ".join(unused))
    known = table[[name for name in MANIFEST_COLUMNS if name in table]].fillna("")
    return known.apply(lambda column: column.str.strip())


def _checked_manifest(file: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The manifest with all its columns, checked, sorted by path."""
    if table.empty:
        raise AudioidError(f"{file}: lists no recordings")
    table = table.assign(**{name: "" for name in ("group", "split", "fold") if name not in table})
    for name in ("path", "label"):
        _refuse(file, table[name] == "", f"no {name}; fill it in or remove the line")
    table["path"] = [_relative(path, file.parent) for path in table["path"]]
    table["label"] = table["label"].map(lambda label: unicodedata.normalize("NFC", label))
    table["split"] = table["split"].str.lower()
    _refuse(file, ~table["split"].isin(["train", "val", "test", ""]), "split must be train, val, test or nothing")
    fold = pd.to_numeric(table["fold"].replace("", str(NO_FOLD)), errors="coerce")
    _refuse(file, fold.isna() | (fold % 1 != 0) | (fold < NO_FOLD), "fold must be a whole number from 0 or nothing")
    table["fold"] = fold.astype(np.int64)
    repeated = int(table.duplicated().sum())
    if repeated:
        logger.warning("%s: %d lines say again what another line says", file, repeated)
        table = table.drop_duplicates()
    _refuse(file, table.duplicated("path"), "the recording stands in an earlier line with other values; keep one")
    return table.sort_values("path", ignore_index=True)


def _refuse(file: Path, wrong: pd.Series, problem: str) -> None:
    """Raise for the first line of the CSV that is wrong."""
    if wrong.any():
        raise AudioidError(f"{file}: line {int(wrong.to_numpy().argmax()) + 2}: {problem}")


def _relative(path: str, root: Path) -> str:
    """A path of the manifest with `/`, relative to the manifest's folder where it lies below it."""
    path = posixpath.normpath(path.replace("\\", "/"))
    if posixpath.isabs(path) and Path(path).is_relative_to(root.absolute()):
        return Path(path).relative_to(root.absolute()).as_posix()
    return path


def _index(
    root: Path,
    table: pd.DataFrame,
    skipped: list[Skipped],
    group_pattern: str | None,
    on_unreadable: str,
    cache: Path | None,
) -> Index:
    """The index of the recordings in `table`: groups from their paths, headers from the files or the cache."""
    _refuse_case_twins(root, table["label"].unique())
    if group_pattern is not None:
        table["group"] = _matched_groups(table["path"], group_pattern)
    headers = _headers(root, table["path"], cache)
    table = pd.concat([table, headers], axis=1)
    broken = table["reason"] != ""
    skipped = [*skipped, *zip(table.loc[broken, "path"], table.loc[broken, "reason"], strict=True)]
    if skipped and on_unreadable == "fail":
        path, reason = skipped[0]
        raise AudioidError(f"{root / path}: {reason}; data.on_unreadable=skip goes on without it")
    if broken.all():
        path, reason = skipped[-1]
        raise AudioidError(f"{root}: none of {len(table)} recordings can be used; {path} {reason}")
    return Index(root, table.loc[~broken, list(COLUMNS)].reset_index(drop=True), skipped)


def _refuse_case_twins(root: Path, labels: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        twin = seen.setdefault(" ".join(label.casefold().split()), label)
        if twin != label:
            raise AudioidError(f"{root}: labels '{twin}' and '{label}' differ in case or spaces alone; make them one")


def _matched_groups(paths: pd.Series, pattern: str) -> list[str]:
    try:
        search = re.compile(pattern)
    except re.error as error:
        raise AudioidError(f"data.group_pattern: '{pattern}' is no regular expression ({error})") from None
    if not search.groups:
        raise AudioidError(f"data.group_pattern: '{pattern}' captures nothing; put ( ) around what names the group")
    capture: str | int = "group" if "group" in search.groupindex else 1
    groups = [match[capture] or "" if (match := search.search(path)) else "" for path in paths]
    unmatched = [path for path, group in zip(paths, groups, strict=True) if not group]
    if len(unmatched) == len(groups):
        raise AudioidError(f"data.group_pattern: '{pattern}' matches none of the paths, such as {unmatched[0]}")
    if unmatched:
        logger.warning(
            "data.group_pattern does not match %d of %d paths, such as %s; each is a group of its own",
            len(unmatched),
            len(groups),
            unmatched[0],
        )
    return groups


class _Header(NamedTuple):
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    subtype: str = ""
    checksum: str = ""
    reason: str = ""


def _read_header(path: Path) -> _Header:
    try:
        with open_recording(path) as file, path.open("rb") as content:
            checksum = hashlib.file_digest(content, _new_checksum).hexdigest()
            seconds = count_frames(file) / file.samplerate
            return _Header(seconds, file.samplerate, file.channels, file.subtype, checksum)
    except Unreadable as error:
        return _Header(reason=error.reason)


def _new_checksum() -> Any:
    return hashlib.blake2b(digest_size=16)


# Path, size and time of change find a header again.
_KEY = ["path", "size", "mtime_ns"]


def _headers(root: Path, paths: pd.Series, cache: Path | None) -> pd.DataFrame:
    """A `_Header` per path; read in parallel unless the cache knows the file as it is."""
    wanted = pd.DataFrame([_status(root / path) for path in paths], columns=_KEY[1:]).assign(path=paths.to_numpy())
    file = cache and cache / f"{_cache_name(root)}.csv"
    known = _read_cache(file) if file else _no_headers()
    table = wanted.merge(known, on=_KEY, how="left")
    new = table["reason"].isna().to_numpy()
    if new.any():
        with ThreadPoolExecutor() as pool:
            read = pool.map(_read_header, [root / path for path in table.loc[new, "path"]])
            fresh = pd.DataFrame(read, columns=list(_Header._fields), index=table.index[new])
        table = pd.concat([table.loc[~new], fresh.join(table.loc[new, _KEY])]).sort_index()
    if file and (new.any() or len(known) != len(table)):
        _write(file, lambda to: table.to_csv(to, index=False))
    return table[list(_Header._fields)]


def _status(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns; -1 for a file that is missing."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _cache_name(root: Path) -> str:
    # Another libsndfile may read files that this one cannot.
    key = f"{root.resolve()}\0{soundfile.__libsndfile_version__}\0{_Header._fields}"
    return hashlib.blake2b(os.fsencode(key), digest_size=8).hexdigest()


def _no_headers() -> pd.DataFrame:
    return pd.DataFrame(columns=[*_KEY, *_Header._fields]).astype(_CACHE_TYPES)


_CACHE_TYPES: dict[str, type] = dict.fromkeys([*_KEY, *_Header._fields], str) | {
    "size": int,
    "mtime_ns": int,
    "seconds": float,
    "sample_rate": int,
    "channels": int,
}


def _read_cache(file: Path) -> pd.DataFrame:
    """The headers kept in `file`; none where there is no such file or it is damaged."""
    try:
        table = pd.read_csv(file, dtype=_CACHE_TYPES, keep_default_na=False, float_precision="round_trip")
        return table[list(_CACHE_TYPES)].drop_duplicates(_KEY)
    except (OSError, ValueError, KeyError):
        return _no_headers()


def _write(file: Path, write: Callable[[Path], None]) -> None:
    """Write to a temporary name, then rename, so that no half file is ever seen."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    write(temporary)
    os.replace(temporary, file)
