"""What each recording's header says, and a checksum of its content; kept while the file stays as it is."""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BufferedReader
from pathlib import Path

import numpy as np
import pandas as pd

from audioid.data.audio import Unreadable, count_frames, open_recording
from audioid.files import replacing

# Path, size in bytes and time of change find a header again.
KEY_TYPES: dict[str, type] = {"path": str, "size": np.int64, "mtime_ns": np.int64}
HEADER_TYPES: dict[str, type] = {
    "frames": np.int64,
    "sample_rate": np.int64,
    "channels": np.int64,
    "subtype": str,
    "checksum": str,
}
KEY, HEADER = list(KEY_TYPES), list(HEADER_TYPES)


def read_headers(root: Path, paths: pd.Series, cache: Path | None) -> pd.DataFrame:
    """For each path, relative to `root`: `frames`, `sample_rate`, `channels`, `subtype`, `checksum`, `reason`.

    `reason` is empty, or says why the file is unreadable, which is found out anew each time. Files whose path,
    size and time of change stand in `cache` are not opened; `cache` is brought up to date.
    """
    table = pd.DataFrame([_status(root, path) for path in paths], columns=KEY[1:]).assign(path=paths.to_numpy())
    known = read_cache(cache) if cache else _no_headers()
    table = table.merge(known, on=KEY, how="left").assign(reason="")
    new = np.flatnonzero(table["checksum"].isna())
    if new.size:
        with ThreadPoolExecutor() as pool:
            headers = list(pool.map(_read_header, [root / path for path in paths.iloc[new]]))
        fresh = table.loc[new, KEY].join(pd.DataFrame(headers, columns=[*HEADER, "reason"], index=new))
        table = pd.concat([table.drop(index=table.index[new]), fresh]).sort_index()
    table = table.astype(HEADER_TYPES)
    keep = table.loc[table["reason"] == "", KEY + HEADER].reset_index(drop=True)
    if cache and not keep[KEY].equals(known[KEY]):
        write_cache(cache, keep)
    return table[[*HEADER, "reason"]]


def _status(root: Path, path: str) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds; -1 for a file that is missing."""
    try:
        status = os.stat(os.path.join(root, path))
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _read_header(path: Path) -> tuple[int, int, int, str, str, str]:
    try:
        with open_recording(path) as file, path.open("rb") as content:
            return count_frames(file), file.samplerate, file.channels, file.subtype, checksum_of(content), ""
    except Unreadable as error:
        return 0, 0, 0, "", "", error.reason


def write_cache(cache: Path, table: pd.DataFrame) -> None:
    """A CSV after a line with its own checksum."""
    content = table.to_csv(index=False).encode()
    with replacing(cache) as part:
        part.write_bytes(_checksum(content) + b"\n" + content)


def read_cache(cache: Path) -> pd.DataFrame:
    """The headers kept in `cache`; none where there is no such file, or it is damaged."""
    if not cache.is_file():
        return _no_headers()
    checksum, _, content = cache.read_bytes().partition(b"\n")
    if _checksum(content) != checksum:
        return _no_headers()
    return pd.read_csv(io.BytesIO(content), dtype=KEY_TYPES | HEADER_TYPES, keep_default_na=False)


def checksum_of(content: BufferedReader) -> str:
    """By which recordings of the same content are known."""
    return hashlib.file_digest(content, partial(hashlib.blake2b, digest_size=16)).hexdigest()


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()


def _no_headers() -> pd.DataFrame:
    return pd.DataFrame(columns=KEY + HEADER).astype(KEY_TYPES | HEADER_TYPES)
