"""What each recording's header says, and a checksum of its content; kept while the file stays as it is."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tqdm import tqdm

from audioid.data.audio import Unreadable, count_frames, open_recording
from audioid.files import replacing

# Path, size in bytes and time of change find a header again.
STATUS = pa.schema([("size", pa.int64()), ("mtime_ns", pa.int64())])
HEADER = pa.schema(
    [
        ("frames", pa.int64()),
        ("sample_rate", pa.int64()),
        ("channels", pa.int64()),
        ("subtype", pa.large_string()),
        ("checksum", pa.large_string()),
    ]
)
KEPT = pa.schema([("path", pa.large_string()), *STATUS, *HEADER])
FRESH = HEADER.append(pa.field("reason", pa.large_string()))

# Files are handed out to threads, and progress is told, in so many shares, none of fewer than so many files.
SHARES, LEAST = 1000, 16
WRITTEN = 2**16  # rows that are written at a time


def read_headers(root: Path, paths: pd.Series, cache: Path | None) -> pd.DataFrame:
    """For each path, relative to `root`: `frames`, `sample_rate`, `channels`, `subtype`, `checksum`, `reason`.

    `reason` is empty, or says why the file is unreadable, which is found out anew each time. Files whose path,
    size and time of change stand in `cache` are not opened; `cache` is brought up to date.
    """
    names = pa.array(paths, pa.large_string())
    files = _of_each(_status, root, names, STATUS).add_column(0, "path", names)
    known = read_cache(cache) if cache else KEPT.empty_table()
    rows, n_known = _known_rows(files, known), len(known)
    new = np.flatnonzero(rows < 0)
    rows[new] = n_known + np.arange(new.size)
    fresh = _of_each(_read_header, root, names.take(new), FRESH)
    headers = pa.concat_tables([known.select(HEADER.names), fresh], promote_options="default")
    del known, fresh  # of millions of files each needs a gigabyte
    headers = headers.take(rows)
    reason = pc.fill_null(headers["reason"], "")
    headers = headers.drop_columns("reason")
    is_kept = pc.equal(reason, "")
    if cache and not np.array_equal(rows[is_kept.to_numpy()], np.arange(n_known)):
        table = pa.table([*files.columns, *headers.columns], schema=KEPT).append_column("is_kept", is_kept)
        batches = table.to_batches(max_chunksize=WRITTEN)  # all at once would need as much memory again
        write_cache(cache, (batch.filter(batch["is_kept"]).drop_columns("is_kept") for batch in batches))
    return headers.append_column("reason", reason).to_pandas()


def _known_rows(files: pa.Table, known: pa.Table) -> NDArray[np.int64]:
    """For each file its row in `known`, `(files,)`; -1 for one that is new or has changed."""
    rows = pc.index_in(files["path"], value_set=known["path"])
    kept = known.select(STATUS.names).take(rows)
    is_same = pc.and_(*(pc.equal(kept[name], files[name]) for name in STATUS.names))
    return pc.fill_null(pc.if_else(is_same, rows, -1), -1).to_numpy().astype(np.int64)


def _of_each(read: Callable[[str], tuple[Any, ...]], root: Path, paths: pa.Array, schema: pa.Schema) -> pa.Table:
    """What `read` says of each file, by all threads; on stderr how far it is, where that takes long."""
    step = max(LEAST, len(paths) // SHARES)
    shares = [paths[start : start + step] for start in range(0, len(paths), step)]
    seconds = 0.5 if sys.stderr.isatty() else 30.0
    bar = tqdm(total=len(paths), desc="indexing", unit=" recordings", delay=seconds, mininterval=seconds, leave=False)

    def table_of(share: pa.Array) -> pa.Table:
        rows = [read(os.path.join(root, path)) for path in share.to_pylist()]
        return pa.table(dict(zip(schema.names, zip(*rows, strict=True), strict=True)), schema=schema)

    tables = [schema.empty_table()]
    with bar, ThreadPoolExecutor() as pool:
        for table in pool.map(table_of, shares):
            tables.append(table)
            bar.update(len(table))
    return pa.concat_tables(tables)


def _status(path: str) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds; -1 for a file that is missing."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _read_header(path: str) -> tuple[int, int, int, str, str, str]:
    try:
        with open_recording(Path(path)) as file, open(path, "rb") as content:
            return count_frames(file), file.samplerate, file.channels, file.subtype, checksum_of(content), ""
    except Unreadable as error:
        return 0, 0, 0, "", "", error.reason


def write_cache(cache: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Arrow's file format, after a line with the checksum of the rest."""
    stream = pa.BufferOutputStream()
    with pa.ipc.new_file(stream, KEPT, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for batch in batches:
            writer.write_batch(batch)
    content = stream.getvalue()
    with replacing(cache) as part, part.open("wb") as file:
        file.write(_checksum(content) + b"\n")
        file.write(content)


def read_cache(cache: Path) -> pa.Table:
    """The headers kept in `cache`, as `KEPT`; none where there is no such file, or it is damaged."""
    if not cache.is_file():
        return KEPT.empty_table()
    with cache.open("rb") as file:
        checksum, content = file.readline().rstrip(b"\n"), pa.py_buffer(file.read())
    return pa.ipc.open_file(content).read_all() if _checksum(content) == checksum else KEPT.empty_table()


def checksum_of(content: BufferedReader) -> str:
    """By which recordings of the same content are known."""
    return hashlib.file_digest(content, partial(hashlib.blake2b, digest_size=16)).hexdigest()


def _checksum(content: pa.Buffer) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()
