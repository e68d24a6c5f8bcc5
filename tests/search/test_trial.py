"""What a trial's training came to."""

import time
from pathlib import Path
from threading import Thread

import optuna
import pytest
from filelock import FileLock
from optuna.pruners import NopPruner, ThresholdPruner
from optuna.trial import TrialState, create_trial

from audioid.config import compose
from audioid.pipeline.device import device_of
from audioid.pipeline.recordings import Stopwatch, prepare_data
from audioid.search.study import write_outcome
from audioid.search.trial import GIVEN_UP, TellEpochs, came_to, run
from audioid.training.run import learn


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
    assert capsys.readouterr().out == ""  # what trains tells of its recordings first


@pytest.mark.parametrize("is_given_up", [True, False])
def test_a_trial_that_is_given_up_is_not_told_as_out_of_patience(
    is_given_up: bool, tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lightning stops both in the same way; that nothing gets better for 3 epochs is told of the other alone."""
    chosen = ["trainer.patience=0.3", "trainer.max_epochs=10", "trainer.best_by=val_accuracy", "optimizer.lr=1e-9"]
    chosen += [
        "trainer.accelerator=cpu",
        "model.width=4",
        "image.size=32",
        "model.pretrained=none",
        "scheduler=constant",
    ]
    settings = compose(["data=folder", f"data.root={tones}", f"store.root={tmp_path}", *chosen])
    pruner = ThresholdPruner(upper=-1.0, n_warmup_steps=2) if is_given_up else NopPruner()
    trial = optuna.create_study(direction="maximize", pruner=pruner).ask()
    prepared = prepare_data(settings, Stopwatch(), device=device_of(settings))
    telling = TellEpochs(trial, "accuracy/val")
    learned = learn(settings, prepared, tmp_path / "run", [], Stopwatch(), [], telling)
    assert learned
    assert learned[2].epochs == (2 if is_given_up else 4)
    assert ("trainer.patience is over" in capsys.readouterr().out) is not is_given_up
