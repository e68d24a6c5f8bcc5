"""The table of recordings that somebody has written as a CSV."""

import difflib
import logging
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


def read_manifest(file: Path) -> pd.DataFrame:
    """The rows of the CSV, sorted by path, with all of `COLUMNS`: "" or -1 where the CSV says nothing.

    Raises:
        AudioidError: the CSV cannot be read, lacks a column, holds a bad value, or lists one recording twice with
            different values.
    """
    return _checked(file, _known_columns(file))


def _known_columns(file: Path) -> pd.DataFrame:
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
    known = table[[name for name in COLUMNS if name in table]].fillna("")
    return known.apply(lambda column: column.str.strip())


def _checked(file: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table with all its columns, checked, sorted by path."""
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
