import errno
import io
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from audioid.data import entry as entry_module
from audioid.data import store as store_module
from audioid.data import threads
from audioid.data.store import Compute, Row, Stage, Store, StoredRows, shard_of
from audioid.errors import AudioidError

STAGE = Stage("squares", version="1", settings={"power": 2}, shape=(3, 5))
CHECKSUMS = [sha256(bytes([number])).hexdigest() for number in range(40)]
BAD = CHECKSUMS[7]


def expected(checksum: str) -> Row:
    seed = int(checksum[:8], 16)
    return np.random.default_rng(seed).standard_normal(STAGE.shape, dtype=np.float32)


def computing(checksums: list[str], log: list[str]) -> Compute:
    """StoredRows that depend on the checksum alone, and a record of which were computed."""

    def compute(numbers: np.ndarray) -> Iterator[Row | str]:
        for number in numbers:
            log.append(checksums[number])
            yield "broken header" if checksums[number] == BAD else expected(checksums[number])

    return compute


def ask(root: Path, checksums: list[str] = CHECKSUMS, stage: Stage = STAGE) -> tuple[StoredRows, list[str]]:
    """The rows, and the checksums for which something had to be computed."""
    log: list[str] = []
    rows = Store(root, max_bytes=10**9).rows(stage, checksums, computing(checksums, log), shards=4)
    return rows, log


def assert_right(rows: StoredRows, checksums: list[str] = CHECKSUMS) -> None:
    assert len(rows) == len(checksums)
    everything = rows[np.arange(len(rows))]
    assert everything.dtype == np.float32
    for checksum, row in zip(checksums, everything, strict=True):
        if checksum == BAD:
            assert np.isnan(row).all()
        else:
            np.testing.assert_array_equal(row, expected(checksum))
    assert rows.failed == ({BAD: "broken header"} if BAD in checksums else {})


def entries(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob("*/*/entry.json"))


def test_computes_once_and_reads_back(tmp_path: Path) -> None:
    rows, log = ask(tmp_path)
    assert_right(rows)
    assert sorted(log) == sorted(CHECKSUMS)
    again, log = ask(tmp_path)
    assert_right(again)
    assert log == []


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_shows_how_far_the_making_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(threads, "TELL_AFTER", 0)
    ask(tmp_path)
    assert (f"{STAGE.name}:" in screen.getvalue()) == is_terminal


def test_leaves_only_whole_entries(tmp_path: Path) -> None:
    ask(tmp_path)
    assert len(entries(tmp_path)) == 4
    left = {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert left == {"rows.npy", "entry.json"}
    stored = np.load(entries(tmp_path)[0] / "rows.npy", allow_pickle=False)
    assert stored.shape[1:] == STAGE.shape


@settings(deadline=None)  # files are written
@given(order=st.lists(st.integers(0, 39), max_size=60))
def test_rows_come_in_the_order_asked_for(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    root = tmp_path_factory.mktemp("store")
    checksums = [CHECKSUMS[number] for number in order]  # any order, recordings more than once, none at all
    rows, log = ask(root, checksums)
    assert_right(rows, checksums)
    assert sorted(log) == sorted(set(checksums))
    assert rows[np.array([], dtype=int)].shape == (0, *STAGE.shape)


def test_a_new_file_makes_one_shard_anew(tmp_path: Path) -> None:
    ask(tmp_path, CHECKSUMS[:-1])
    rows, log = ask(tmp_path)
    assert_right(rows)
    assert sorted(log) == sorted(c for c in CHECKSUMS if shard_of(c, 4) == shard_of(CHECKSUMS[-1], 4))


@pytest.mark.parametrize(
    "other",
    [
        Stage("cubes", "1", {"power": 2}, (3, 5)),
        Stage("squares", "2", {"power": 2}, (3, 5)),
        Stage("squares", "1", {"power": 3}, (3, 5)),
    ],
)
def test_other_stage_version_or_settings_are_other_entries(tmp_path: Path, other: Stage) -> None:
    ask(tmp_path)
    _, log = ask(tmp_path, stage=other)
    assert len(log) == len(CHECKSUMS)


def test_some_rows_alone(tmp_path: Path) -> None:
    some = ask(tmp_path)[0].only(np.array([5, 3]))
    assert_right(some, [CHECKSUMS[5], CHECKSUMS[3]])
    fill(tmp_path, "other", limit=100)
    assert len(entries(tmp_path)) == 5  # still in use


def test_rows_may_be_sent_to_another_process(tmp_path: Path) -> None:
    rows, _ = ask(tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        received = pool.apply(StoredRows.__getitem__, (rows, np.array([3, 1])))
    np.testing.assert_array_equal(received, rows[np.array([3, 1])])


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    path.write_bytes(content)


def replace_magic(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\x02" + path.read_bytes()[7:])


def other_type(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"<f4", b"<i4"))


def other_json(path: Path) -> None:
    path.write_text("[1, 2]")


DAMAGES = [
    *(("rows.npy", damage) for damage in (truncate, empty, lengthen, flip_a_bit, os.remove, replace_magic, other_type)),
    *(("entry.json", damage) for damage in (truncate, empty, flip_a_bit, os.remove, other_json)),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_damage_is_noticed_and_the_entry_made_anew(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    ask(tmp_path)
    damaged = entries(tmp_path)[2]
    members = json.loads((damaged / "entry.json").read_text())["contents"]["checksums"]
    damage(damaged / name)
    rows, log = ask(tmp_path)
    assert_right(rows)
    assert log == members
    assert ask(tmp_path)[1] == []


def test_rows_of_large_entries_are_checked_as_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_module, "CHECK_AT_OPENING", 0)
    ask(tmp_path)
    damaged = entries(tmp_path)[0]
    members = json.loads((damaged / "entry.json").read_text())["contents"]["checksums"]
    flip_a_bit(damaged / "rows.npy")
    rows, log = ask(tmp_path)
    assert log == []
    with pytest.raises(AudioidError, match=r"damaged \(row \d+\); start again"):
        rows[np.arange(len(rows))]
    del rows
    rows, log = ask(tmp_path)
    assert log == members
    assert_right(rows)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit])
def test_damage_to_an_entry_that_was_read_before_is_noticed(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    rows, _ = ask(tmp_path)
    assert_right(rows)
    damage(entries(tmp_path)[0] / "rows.npy")
    with pytest.raises(AudioidError, match=r"damaged \(row \d+\); start again"):
        rows[np.arange(len(rows))]


def test_a_disk_that_fails_while_rows_are_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = ask(tmp_path)

    def fails(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(entry_module.Entry, "_read_at", fails)
    with pytest.raises(AudioidError, match=r"squares.\w+: cannot be read \(.+\); check its disk"):
        rows[np.arange(3)]
    assert len(entries(tmp_path)) == 4  # what is on the disk may be whole


def test_every_flipped_bit_of_the_header_is_noticed(tmp_path: Path) -> None:
    ask(tmp_path, CHECKSUMS[:1])
    (folder,) = entries(tmp_path)
    whole = (folder / "rows.npy").read_bytes()
    for bit in range(8 * (len(whole) - 4 * 15)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (folder / "rows.npy").write_bytes(damaged)
        with pytest.raises(entry_module.UnusableError, match="damaged"):
            entry_module.Entry(folder)


def test_an_entry_removed_under_its_reader_stays_readable(tmp_path: Path) -> None:
    rows, _ = ask(tmp_path)
    sent = pickle.dumps(rows)
    subprocess.run(["rm", "-r", tmp_path], check=True)
    assert_right(rows)
    with pytest.raises(AudioidError, match="not there; start again"):
        pickle.loads(sent)[np.array([0])]


def test_failing_computation_leaves_nothing(tmp_path: Path) -> None:
    def compute(numbers: np.ndarray) -> Iterator[Row]:
        yield expected(CHECKSUMS[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path, max_bytes=10**9).rows(STAGE, CHECKSUMS, compute, shards=1)
    assert [path.suffix for path in tmp_path.glob("squares/*")] == [".lock"]
    assert_right(ask(tmp_path)[0])


def test_a_row_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(2,\), not \(3, 5\)"):
        Store(tmp_path, max_bytes=10**9).rows(STAGE, CHECKSUMS[:1], lambda _: [np.zeros(2, np.float32)], shards=1)


# Size limit


def fill(root: Path, name: str, *, limit: int) -> StoredRows:
    stage = Stage(name, "1", {}, (1000,))  # 4 kB and a little
    return Store(root, max_bytes=limit).rows(stage, CHECKSUMS[:1], lambda _: [np.zeros(1000, np.float32)], shards=1)


def names(root: Path) -> list[str]:
    return [path.parent.name for path in entries(root)]


def test_evicts_what_was_used_the_longest_time_ago(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        fill(tmp_path, name, limit=10**9)
        time.sleep(0.02)
    fill(tmp_path, "a", limit=10**9)  # used again
    fill(tmp_path, "d", limit=15_000)
    assert names(tmp_path) == ["a", "c", "d"]


def test_removes_nothing_but_its_own_entries(tmp_path: Path) -> None:
    """Whatever the folder is that it was told to use."""
    theirs = [tmp_path / "photos" / "2024.part" / "a.jpg", tmp_path / "arrays" / "mine" / "rows.npy"]
    for file in theirs:
        file.parent.mkdir(parents=True)
        file.write_bytes(b"theirs")
    Store(tmp_path, max_bytes=1).rows(STAGE, CHECKSUMS, computing(CHECKSUMS, []), shards=4)
    assert [file.read_bytes() for file in theirs] == [b"theirs"] * 2


def test_never_evicts_what_is_in_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_use = fill(tmp_path, "a", limit=10**9)
    fill(tmp_path, "b", limit=9_000)
    fill(tmp_path, "c", limit=9_000)
    assert names(tmp_path) == ["a", "c"]
    assert not caplog.records
    fill(tmp_path, "d", limit=100)
    assert names(tmp_path) == ["a", "d"]
    assert "in use" in caplog.text
    del in_use
    fill(tmp_path, "e", limit=100)
    assert names(tmp_path) == ["e"]


def read_until_killed(root: Path, ready: Path) -> None:
    rows = fill(root, "a", limit=10**9)
    ready.touch()
    time.sleep(60)
    del rows


def test_a_reader_elsewhere_keeps_its_entry_until_it_is_killed(tmp_path: Path) -> None:
    root = tmp_path / "store"
    reader = multiprocessing.get_context("fork").Process(target=read_until_killed, args=(root, tmp_path / "ready"))
    reader.start()
    wait_for(tmp_path, "ready")
    fill(root, "b", limit=100)
    assert names(root) == ["a", "b"]
    reader.kill()
    reader.join()
    fill(root, "c", limit=100)
    assert names(root) == ["c"]
    assert len(list(root.glob("a/*.lock"))) == 1  # the reader's own lock is cleared away


def test_readers_leave_no_locks(tmp_path: Path) -> None:
    rows = fill(tmp_path, "a", limit=10**9)
    again = fill(tmp_path, "a", limit=10**9)
    assert len(list(tmp_path.glob("a/*.lock"))) == 3  # the maker's, and one for each reader
    del rows, again
    assert len(list(tmp_path.glob("a/*.lock"))) == 1


def test_what_a_fork_lets_go_stays_in_use(tmp_path: Path) -> None:
    held = [fill(tmp_path, "a", limit=10**9)]
    fork = multiprocessing.get_context("fork").Process(target=held.clear)
    fork.start()
    fork.join()
    fill(tmp_path, "b", limit=100)
    assert names(tmp_path) == ["a", "b"]


def test_a_reader_that_comes_while_an_entry_is_evicted_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a", limit=10**9)
    (folder,) = entries(tmp_path)
    readers: list[entry_module.Entry] = []
    rename = os.rename

    def rename_later(old: Path, new: Path) -> None:
        if not readers:
            readers.append(entry_module.Entry(folder))
        rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename_later)
        assert not entry_module.evict(folder)
    assert entries(tmp_path) == [folder]
    readers.clear()
    assert entry_module.evict(folder)
    assert entries(tmp_path) == []


def test_what_cannot_be_removed_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where a file that is open somewhere can be neither renamed nor removed."""
    fill(tmp_path, "a", limit=10**9)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    monkeypatch.setattr(os, "rename", refuse)
    fill(tmp_path, "b", limit=100)
    assert names(tmp_path) == ["a", "b"]
    assert len(fill(tmp_path, "a", limit=100)) == 1


def test_clears_away_what_a_killed_maker_left(tmp_path: Path) -> None:
    abandoned, alive = tmp_path / f"old/{'1' * 32}.part", tmp_path / f"old/{'2' * 32}.part"
    for part in (abandoned, alive):
        part.mkdir(parents=True)
        (part / "rows.npy").write_bytes(b"x" * 1000)
    with FileLock(alive.with_suffix(".lock")):
        ask(tmp_path)
    assert not abandoned.exists()
    assert alive.exists()


# Several processes


def ask_slowly(root: Path, log: Path, delay: float) -> None:
    def compute(numbers: np.ndarray) -> Iterator[Row | str]:
        with open(log, "a") as file:
            file.writelines(f"{CHECKSUMS[number]}\n" for number in numbers)
        for result in computing(CHECKSUMS, [])(numbers):
            time.sleep(delay)
            yield result

    assert_right(Store(root, max_bytes=10**9).rows(STAGE, CHECKSUMS, compute, shards=2))


def start(root: Path, log: Path, delay: float) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=ask_slowly, args=(root, log, delay))
    process.start()
    return process


def wait_for(path: Path, pattern: str) -> None:
    deadline = time.monotonic() + 20
    while not list(path.glob(pattern)):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_processes_that_ask_at_once_compute_once(tmp_path: Path) -> None:
    processes = [start(tmp_path / "store", tmp_path / "log", 0.002) for _ in range(4)]
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted((tmp_path / "log").read_text().split()) == sorted(CHECKSUMS)


def test_survives_makers_killed_at_random_moments(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for _ in range(10):
        process = start(tmp_path / "store", tmp_path / "log", 0.002)
        time.sleep(generator.uniform(0, 0.1))
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    rows, _ = ask(tmp_path / "store")
    assert_right(rows)


def ask_for_many(root: Path, seed: int) -> None:
    """Asks for changing recordings of changing stages while entries are made and evicted all around."""
    generator = np.random.default_rng(seed)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        checksums = CHECKSUMS[: generator.integers(1, 41)]
        stage = Stage(f"stage-{generator.integers(4)}", "1", {}, STAGE.shape)
        store = Store(root, max_bytes=int(generator.choice([2_000, 10_000, 10**9])))
        assert_right(store.rows(stage, checksums, computing(checksums, []), shards=4), checksums)


def test_entries_made_and_evicted_at_once(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=ask_for_many, args=(tmp_path, seed)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4


def test_says_who_waits_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "SAY_WHO_WAITS", 0.05)
    process = start(tmp_path / "store", tmp_path / "log", 0.02)
    wait_for(tmp_path, "store/squares/*.part/maker")
    ask_slowly(tmp_path / "store", tmp_path / "log", 0)
    process.join()
    assert f"Waiting for process {process.pid} on" in caplog.text


def test_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SAY_WHO_WAITS", 0.05)
    monkeypatch.setattr(store_module, "STALLED", 0.3)
    process = start(tmp_path / "store", tmp_path / "log", 0.02)
    wait_for(tmp_path, "store/squares/*.part/rows.npy")
    assert process.pid
    os.kill(process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(AudioidError, match=f"process {process.pid} on .* has stopped"):
            ask_slowly(tmp_path / "store", tmp_path / "log", 0)
    finally:
        process.kill()
        process.join()


def test_waits_for_a_maker_that_has_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SAY_WHO_WAITS", 0.01)
    monkeypatch.setattr(store_module, "STALLED", 0.1)
    (tmp_path / "squares").mkdir()
    with (
        FileLock(tmp_path / "squares" / f"{STAGE.key(CHECKSUMS[:1])}.lock"),
        pytest.raises(AudioidError, match="another process has stopped"),
    ):
        ask(tmp_path, CHECKSUMS[:1])


# Disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk(small_disk: Path) -> None:
    stage = Stage("big", "1", {}, (1000,))

    def compute(numbers: np.ndarray) -> Iterator[Row]:
        return (np.zeros(1000, np.float32) for _ in numbers)

    with pytest.raises(AudioidError, match="disk is full; free some space"):
        Store(small_disk, max_bytes=10**9).rows(stage, CHECKSUMS, compute, shards=4)
    assert not list(small_disk.rglob("*.part"))
    assert len(Store(small_disk, max_bytes=10**9).rows(stage, CHECKSUMS[:4], compute, shards=1)) == 4


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "store").write_text("a file")  # root may write everywhere
    else:
        (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(AudioidError, match=r"store: .*set store.root to a folder elsewhere"):
        ask(tmp_path / "store")


def test_read_only_disk(small_disk: Path) -> None:
    ask(small_disk, CHECKSUMS[:8])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    rows, log = ask(small_disk, CHECKSUMS[:8])
    assert log == []
    assert_right(rows, CHECKSUMS[:8])
    with pytest.raises(AudioidError, match=r"[Rr]ead-only file system; make it writable"):
        ask(small_disk)


def test_nothing_is_promised_of_a_damaged_entry_that_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the store is shared to be read alone."""
    rows, _ = ask(tmp_path)
    flip_a_bit(entries(tmp_path)[0] / "rows.npy")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(AudioidError, match=r"is damaged \(row \d+\); it cannot be removed from here: .* store.root"):
        rows[np.arange(len(rows))]
