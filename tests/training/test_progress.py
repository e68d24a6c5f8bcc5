"""The line on a whole sweep: what it counts in the folders, and how it judges the time that is left."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from audioid.training.budget import Asked
from audioid.training.progress import State, progress_line, sweep_progress

SINCE = 1_000_000.0


@pytest.mark.parametrize(
    ("counts", "ended", "elapsed", "line"),
    [
        ({"to go": 20}, 0, 0.0, "sweep: 0 of 20 done, 20 to go"),
        # 8 runs took 120 s, so the other 12 take 180.
        ({"done": 7, "failed": 1, "to go": 12}, 8, 120.0,
         "sweep: 7 of 20 done, 1 failed, 12 to go, about 3 min left"),
        # Two at a time: a run took 10 s of the sweep's time, whatever it took by itself.
        ({"done": 4, "running": 2, "to go": 2}, 4, 40.0,
         "sweep: 4 of 8 done, 2 running, 2 to go, about 40 s left"),
        # After a resume, of 10 done ones only 2 are of this session.
        ({"done": 10, "to go": 10}, 2, 60.0, "sweep: 10 of 20 done, 10 to go, about 5 min left"),
        ({"done": 10, "to go": 10}, 0, 5.0, "sweep: 10 of 20 done, 10 to go"),
        ({"done": 1, "to go": 99}, 1, 3600.0, "sweep: 1 of 100 done, 99 to go, about 99 h left"),
        ({"done": 19, "failed": 1}, 20, 9.0, "sweep: 19 of 20 done, 1 failed"),
    ],
)  # fmt: skip
def test_the_line(counts: Mapping[State, int], ended: int, elapsed: float, line: str) -> None:
    assert progress_line(counts, ended, elapsed) == line


THREE = Asked("auto", 3)


def leave(folder: Path, when: float, *, epochs: int | None = None, error: bool = False) -> Path:
    """What a run leaves: a folder, and its figures or its error, all written at `when`."""
    folder.mkdir()
    if epochs is not None:
        (folder / "metrics.json").write_text(json.dumps({"max_epochs": epochs}))
    if error:
        (folder / "error.txt").write_text("optimizer.lr: training diverged")
    for path in (*folder.iterdir(), folder):
        os.utime(path, (when, when))
    return folder


def test_runs_are_counted_by_what_lies_in_their_folders(tmp_path: Path) -> None:
    before, after = SINCE - 60, SINCE + 10
    runs = {
        leave(tmp_path / "done before", before, epochs=3): THREE,
        leave(tmp_path / "done", after, epochs=3): THREE,
        leave(tmp_path / "failed", after, error=True): THREE,
        leave(tmp_path / "running", after): THREE,
        leave(tmp_path / "stopped before", before): THREE,
        leave(tmp_path / "failed before", before, error=True): THREE,
        leave(tmp_path / "to train for longer", before, epochs=2): THREE,
        leave(tmp_path / "written in half", before): THREE,
        tmp_path / "not begun": THREE,
    }
    (tmp_path / "written in half" / "metrics.json").write_text("{")
    os.utime(tmp_path / "written in half", (before, before))
    leave(tmp_path / "of another sweep", after, epochs=3)
    # Two ended in the 20 s of this session, so the 6 others take 60.
    line = "sweep: 2 of 9 done, 1 failed, 1 running, 5 to go, about 60 s left"
    assert sweep_progress(runs, SINCE, SINCE + 20) == line
