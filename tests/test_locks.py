"""What is told of a lock that another process holds."""

import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from audioid import locks
from audioid.config import compose
from audioid.locks import held
from audioid.pipeline.recordings import Stopwatch, load_waveforms
from tests.conftest import write_tones


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
