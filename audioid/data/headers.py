"""What each recording's header says, and a checksum of its content; kept while the file stays as it is."""

import hashlib
import os
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from functools import partial, reduce
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
from audioid.data.entry import STORE_ELSEWHERE
from audioid.data.processes import on_all_cores
from audioid.files import replacing, where_allowed

# Path, size in bytes and times of change find a header again. Programs that tag or level sounds may put `mtime` back;
# `ctime` tells that they were there (but on Windows, where it is the time of creation).
STATUS = pa.schema([("size", pa.int64()), ("mtime_ns", pa.int64()), ("ctime_ns", pa.int64())])
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

# From so many files on it pays to start processes.
MANY = 200_000
# Files are handed out, and progress is told, in so many shares, none of fewer than so many files.
SHARES, LEAST = 1000, 16
# Rows at a time.
LOOKED_UP, WRITTEN = 2**20, 2**16


def read_headers(root: Path, paths: pd.Series, cache: Path | None) -> pd.DataFrame:
    """For each path, relative to `root`: `frames`, `sample_rate`, `channels`, `subtype`, `checksum`, `reason`.

    `reason` is empty, or says why the file is unreadable, which is found out anew each time. Files whose path,
    size and times of change stand in `cache` are not opened; `cache` is brought up to date.
    """
    names = pa.array(paths, pa.large_string())
    files = _of_each(_status, root, names, STATUS).add_column(0, "path", names).combine_chunks()
    kept = read_cache(cache)
    # Of ten million files keys and headers need a gigabyte each, so they are not there at once.
    rows, n_known = _known_rows(files, columns_of(kept, files.column_names))
    new = np.flatnonzero(rows < 0)
    rows[new] = n_known + np.arange(new.size)
    fresh = _of_each(_read_header, root, names.take(new), FRESH)
    headers = pa.concat_tables([columns_of(kept, HEADER.names), fresh], promote_options="default")
    del kept, fresh
    if not np.array_equal(rows, np.arange(len(headers))):  # else they would be there twice for a while
        headers = headers.take(rows)
    reason = pc.fill_null(headers["reason"], "")
    headers = headers.drop_columns("reason")
    is_kept = pc.equal(reason, "")
    if cache and not np.array_equal(rows[is_kept.to_numpy()], np.arange(n_known)):
        table = pa.table([*files.columns, *headers.columns], schema=KEPT).append_column("is_kept", is_kept)
        batches = table.to_batches(max_chunksize=WRITTEN)  # all at once would need as much memory again
        with where_allowed():
            write_cache(cache, (batch.filter(batch["is_kept"]).drop_columns("is_kept") for batch in batches))
    headers = headers.append_column("reason", reason)
    # Column by column: millions of rows shall not be there twice.
    return headers.to_pandas(split_blocks=True, self_destruct=True)


def _known_rows(files: pa.Table, known: pa.Table) -> tuple[NDArray[np.int64], int]:
    """For each file its row in `known`, `(files,)`, -1 for one that is new or has changed; and how many are known.

    Both are sorted by path, so that some files are looked up at a time, among those known that may be the same.
    """
    paths, found = known["path"], [np.empty(0, np.int64)]
    for some in files.to_batches(max_chunksize=LOOKED_UP):
        first = bisect_left(paths, str(some["path"][0]), key=str)
        end = bisect_right(paths, str(some["path"][-1]), key=str)
        rows = pc.add(pc.index_in(some["path"], value_set=paths[first:end]), first)
        kept = known.select(STATUS.names).take(rows)
        is_same = reduce(pc.and_, (pc.equal(kept[name], some[name]) for name in STATUS.names))
        found.append(pc.fill_null(pc.if_else(is_same, rows, -1), -1).to_numpy().astype(np.int64))
    return np.concatenate(found), len(known)


def _of_each(read: Callable[[str], tuple[Any, ...]], root: Path, paths: pa.Array, schema: pa.Schema) -> pa.Table:
    """What `read` says of each file, by all cores; on stderr how far it is, where that takes long."""
    step = max(LEAST, len(paths) // SHARES)
    shares = (paths[start : start + step].to_pylist() for start in range(0, len(paths), step))
    seconds = 0.5 if sys.stderr.isatty() else 30.0
    bar = tqdm(total=len(paths), desc="indexing", unit=" recordings", delay=seconds, mininterval=seconds, leave=False)
    tables = [schema.empty_table()]
    with bar:
        for table in on_all_cores(partial(_table_of, read, str(root), schema), shares, processes=len(paths) >= MANY):
            tables.append(table)
            bar.update(len(table))
    return pa.concat_tables(tables)


def _table_of(read: Callable[[str], tuple[Any, ...]], root: str, schema: pa.Schema, paths: list[str]) -> pa.Table:
    rows = [read(os.path.join(root, path)) for path in paths]
    return pa.table(dict(zip(schema.names, zip(*rows, strict=True), strict=True)), schema=schema)


def _status(path: str) -> tuple[int, int, int]:
    """Size in bytes and times of change in nanoseconds; -1 for a file that is missing."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1, -1
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_header(path: str) -> tuple[int, int, int, str, str, str]:
    try:
        with open_recording(Path(path)) as file, open(path, "rb") as content:
            return count_frames(file), file.samplerate, file.channels, file.subtype, checksum_of(content), ""
    except Unreadable as error:
        return 0, 0, 0, "", "", error.reason


def write_cache(cache: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Rows as `KEPT` in Arrow's file format, after a line with the checksum of the rest."""
    content = _arrow_file(batches)
    with replacing(cache, STORE_ELSEWHERE) as part, part.open("wb") as file:
        file.write(_checksum(content) + b"\n")
        file.write(content)


def read_cache(cache: Path | None) -> pa.Buffer:
    """The Arrow file kept in `cache`; one of no rows where there is none, or it is damaged or of another version."""
    if cache and cache.is_file():
        with cache.open("rb") as file:
            checksum, content = file.readline().rstrip(b"\n"), pa.py_buffer(file.read())
        if _checksum(content) == checksum and pa.ipc.open_file(content).schema.equals(KEPT):
            return content
    return _arrow_file([])


def columns_of(content: pa.Buffer, names: list[str]) -> pa.Table:
    """What an Arrow file of rows as `KEPT` holds in the given columns."""
    fields = [KEPT.get_field_index(name) for name in names]
    return pa.ipc.open_file(content, options=pa.ipc.IpcReadOptions(included_fields=fields)).read_all()


def _arrow_file(batches: Iterable[pa.RecordBatch]) -> pa.Buffer:
    stream = pa.BufferOutputStream()
    with pa.ipc.new_file(stream, KEPT, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return stream.getvalue()


def checksum_of(content: BufferedReader) -> str:
    """By which recordings of the same content are known."""
    return hashlib.file_digest(content, partial(hashlib.blake2b, digest_size=16)).hexdigest()


def _checksum(content: pa.Buffer) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()
