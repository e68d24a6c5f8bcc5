"""What a trial's training came to."""

import pytest
from optuna.trial import TrialState, create_trial

from audioid.search.trial import GIVEN_UP, came_to


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
