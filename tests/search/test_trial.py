"""What a trial's training came to."""

import time
from pathlib import Path
from threading import Thread

import pytest
from filelock import FileLock
from optuna.trial import TrialState, create_trial

from audioid.config import compose
from audioid.search.study import write_outcome
from audioid.search.trial import GIVEN_UP, came_to, run


@pytest.mark.parametrize(
    ("values", "attributes", "has_diverged", "state"),
    [
        ({1: 0.7, 2: 0.5, 3: 0.6}, {}, False, "complete"),
        ({1: 0.7, 2: 0.5}, {GIVEN_UP: True}, False, "pruned"),
        ({1: 0.7, 2: 0.5}, {}, True, "diverged"),
        ({}, {}, True, "diverged"),
        ({}, {}, False, "diverged"),  # as where the loss is a number in training alone
    ],
)
def test_a_trial_is_worth_its_best_epoch_if_there_is_one(
    values: dict[int, float], attributes: dict[str, bool], has_diverged: bool, state: str
) -> None:
    trial = create_trial(state=TrialState.RUNNING, intermediate_values=values, user_attrs=attributes)
    found = came_to(trial, "min", has_diverged=has_diverged)
    assert found == {"state": state, "value": 0.5 if values else None, "epochs": len(values)}


def test_a_trial_that_another_process_still_runs_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a search by joblib was killed, and its processes were not."""
    write_outcome(tmp_path, {"arm": "fft", "number": 0})
    with FileLock(tmp_path / "run.lock"):
        waiting = Thread(target=run, args=(compose(["data=synthetic"]), tmp_path, []))
        waiting.start()
        time.sleep(0.5)
        assert waiting.is_alive()
        write_outcome(tmp_path, {"arm": "fft", "number": 0, "state": "complete", "value": 0.5, "epochs": 2})
    waiting.join(timeout=10)
    assert not waiting.is_alive()
    assert capsys.readouterr().out == ""  # a run says its name first
