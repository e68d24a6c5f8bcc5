"""What is told of a lock that another process holds."""

import errno
import multiprocessing
import os
import subprocess
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from audioid import locks
from audioid.config import compose
from audioid.locks import held
from audioid.pipeline.recordings import Stopwatch, load_waveforms
from tests.conftest import Command, write_tones


def hold(file: Path, has_it: Event, seconds: float) -> None:
    with held(file, "tests"):
        has_it.set()
        time.sleep(seconds)


@pytest.mark.parametrize(("name", "work"), [("index.lock", "reads a corpus"), ("free.lock", None)])
def test_who_waits_for_the_index_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, work: str | None
) -> None:
    root, store = write_tones(tmp_path / "tones", per_class=2), tmp_path / "store"
    store.mkdir()
    monkeypatch.setattr(locks, "SAY_AFTER", 0.1)
    context = multiprocessing.get_context("spawn")
    has_it = context.Event()
    process = context.Process(target=hold, args=(store / name, has_it, 1.0))
    process.start()
    assert has_it.wait(60)
    recordings = load_waveforms(
        compose(["data=folder", f"data.root={root}", f"store.root={store}"]), Stopwatch(), device="cpu"
    )
    process.join()
    assert len(recordings.index.table) == 4
    told = [line for line in caplog.messages if "Waiting" in line]
    assert told == ([f"Waiting for another process, which {work} and holds {store / name}"] if work else [])


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES])
def test_a_store_that_may_only_be_read_is_read_without_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    root, store = write_tones(tmp_path / "tones", per_class=2), tmp_path / "store"
    settings = compose(["data=folder", f"data.root={root}", f"store.root={store}"])
    filled = load_waveforms(settings, Stopwatch(), device="cpu")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(reason, "may not be written")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(OSError, match="may not be written"):  # the lock alone, which is another user's
        load_waveforms(settings, Stopwatch(), device="cpu")
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = load_waveforms(settings, Stopwatch(), device="cpu")
    numbers = np.arange(len(filled.stored))
    np.testing.assert_array_equal(found.stored[numbers], filled.stored[numbers])


def test_a_lock_that_fails_otherwise_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", fail)
    with pytest.raises(OSError, match="No locks"), held(tmp_path / "a.lock", "tests"):
        pass


def test_a_whole_run_from_a_store_that_may_only_be_read(tmp_path: Path, tones: Path, command: Command) -> None:
    store, mount = tmp_path / "store", tmp_path / "mount"
    chosen = ["data=folder", f"data.root={tones}", "trainer.max_epochs=1", "model.width=4", "image.size=32"]
    assert command(*chosen, f"store.root={store}", "hydra.run.dir=filling") == 0
    mount.mkdir()
    if subprocess.run(["mount", "--bind", store, mount], capture_output=True).returncode:
        pytest.skip("mounting a folder needs root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", mount], check=True)
        assert command(*chosen, f"store.root={mount}", "hydra.run.dir=reading") == 0
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
    filling, reading = (Path(run, "predictions.csv").read_bytes() for run in ("filling", "reading"))
    assert filling == reading
