"""The table of recordings that somebody has written as a CSV."""

import csv
import difflib
import functools
import logging
import os
import posixpath
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from audioid.errors import AudioidError

logger = logging.getLogger(__name__)

# What the index takes from a CSV, or makes up itself for a folder.
COLUMNS = ("path", "label", "group", "split", "fold")
# Stands in the column `fold` for "no fold given".
NO_FOLD = -1
HIGHEST_FOLD = 2**31 - 1


def read_manifest(file: Path) -> pd.DataFrame:
    """The rows of the CSV, sorted by path, with all of `COLUMNS`: "" or -1 where the CSV says nothing.

    Raises:
        AudioidError: the CSV cannot be read, lacks a column, holds a bad value, or lists one recording twice with
            different values.
    """
    return _checked(file, _known_columns(file))


def _known_columns(file: Path) -> pd.DataFrame:
    """The known columns of the CSV as stripped text, indexed by line number."""
    table = _cells(file)
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise AudioidError(f"{file}: column '{repeated[0]}' stands there twice; remove one")
    unused = [name for name in table.columns if name not in COLUMNS]
    for name in unused:
        likely = difflib.get_close_matches(name.lower(), set(COLUMNS) - set(table.columns), cutoff=0.75)
        if likely:
            raise AudioidError(f"{file}: unknown column '{name}'; is '{likely[0]}' meant? Rename or remove it")
    for name in ("path", "label"):
        if name not in table:
            raise AudioidError(f"{file}: no column '{name}'; its first line must name path,label (commas between)")
    if unused:
        logger.warning("%s: columns not used: %s", file, ", ".join(unused))
    return table[[name for name in COLUMNS if name in table]]


def _cells(file: Path) -> pd.DataFrame:
    """All of the CSV as stripped text, indexed by the number of each row's last line; pandas tells no line numbers."""
    rows: dict[int, list[str]] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            for row in reader:
                values = [value.strip() for value in row]
                if any(values):
                    rows[reader.line_num] = values
    except OSError as error:
        raise AudioidError(f"{file}: cannot be opened ({error.strerror}); set data.file") from None
    except UnicodeDecodeError:
        raise AudioidError(f"{file}: is not UTF-8; save it as CSV in UTF-8") from None
    except csv.Error as error:
        line = max(rows, default=0) + 1
        raise AudioidError(f"{file}: line {line}: is not CSV ({error}); close or double its quotation marks") from None
    if not rows:
        raise AudioidError(f"{file}: is empty; write a first line path,label and a line for each recording")
    columns = rows.pop(min(rows))
    width = len(columns)
    for line, values in rows.items():
        if any(values[width:]):
            raise AudioidError(f"{file}: line {line}: more values than columns; put those with a comma in quotes")
    cells = [(values + [""] * width)[:width] for values in rows.values()]
    return pd.DataFrame(cells, index=list(rows), columns=columns, dtype=str)


def _checked(file: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table with all its columns, checked, sorted by path."""
    if table.empty:
        raise AudioidError(f"{file}: lists no recordings; write a line for each")
    table = table.assign(**{name: "" for name in ("group", "split", "fold") if name not in table})
    for name in ("path", "label"):
        _refuse(file, table[name] == "", f"no {name}; fill it in or remove the line")
        _refuse(file, table[name].str.contains("\0", regex=False), f"{name} holds a NUL character; remove it")
    table["path"] = [_relative(path, file.parent) for path in table["path"]]
    table["label"] = table["label"].map(lambda label: unicodedata.normalize("NFC", label))
    table["split"] = table["split"].str.lower()
    _refuse(file, ~table["split"].isin(["train", "val", "test", ""]), "bad split; write train, val, test or nothing")
    fold = pd.to_numeric(table["fold"].replace("", str(NO_FOLD)), errors="coerce")
    bad = (fold % 1 != 0) | ~fold.between(NO_FOLD, HIGHEST_FOLD)
    _refuse(file, bad, f"bad fold; write a whole number from 0 to {HIGHEST_FOLD} or nothing")
    table["fold"] = fold.astype(np.int64)
    table["file"] = _files(table["path"], file.parent)
    table = table.sort_values("path", kind="stable")
    repeated = table.duplicated(["file", *COLUMNS[1:]])
    if repeated.any():
        logger.warning("%s: %d lines say again what another line says", file, repeated.sum())
        table = table[~repeated]
    again = table.sort_index().duplicated("file")
    _refuse(file, again, "the recording stands in an earlier line with other values; keep one")
    return table[list(COLUMNS)].reset_index(drop=True)


def _refuse(file: Path, wrong: pd.Series, problem: str) -> None:
    """Raise for the first line of the CSV that is wrong."""
    if wrong.any():
        raise AudioidError(f"{file}: line {wrong.idxmax()}: {problem}")


def _relative(path: str, root: Path) -> str:
    """A path of the manifest with `/`, relative to the manifest's folder where it lies below it."""
    path = posixpath.normpath(path.replace("\\", "/"))
    if posixpath.isabs(path) and Path(path).is_relative_to(root.absolute()):
        return Path(path).relative_to(root.absolute()).as_posix()
    return path


def _files(paths: pd.Series, root: Path) -> list[str]:
    """The file behind each path: one may be named from the CSV's folder, from the root, and through links."""
    folder = functools.cache(os.path.realpath)  # few folders hold many files
    files = []
    for path in paths:
        head, name = os.path.split(os.path.join(root, path))
        place = os.path.join(folder(head), name)
        files.append(os.path.realpath(place) if os.path.islink(place) else place)
    return files
