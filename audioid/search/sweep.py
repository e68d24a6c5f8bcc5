"""The course of a search: trials until there are enough, in whichever process has time, and the best of each arm."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from optuna.trial import FrozenTrial, TrialState

from audioid.search.report import write_trials
from audioid.search.space import Plan, texts_of
from audioid.search.study import TRIALS, Search, Taken

Launch = Callable[[list[tuple[str, ...]]], object]
POLL = 1.0  # seconds between looks at whether other processes have ended their trials


def run_trials(search: Search, plan: Plan, launch: Launch, *, at_once: int) -> None:
    """Runs trials, `at_once` of them together, until all of the search have ended, here or in other processes.

    Raises:
        AudioidError: a trial failed; what the others came to is kept.
    """
    if not search.is_over():
        keys = dict.fromkeys(key for space in search.spaces.values() for key in space)
        print(
            f"search: {search.trials} trials of {' and of '.join(search.spaces)}, by {search.best_by}, of "
            f"{', '.join(keys)}; then {len(plan.judging)} runs that judge the best of each",
            flush=True,
        )
    while not search.is_over():
        with ExitStack() as held:
            taken = list[Taken]()
            while len(taken) < at_once and (one := search.take()):
                held.callback(one.lock.release, force=True)  # whatever happens, so that it can be taken up again
                taken.append(one)
            if not taken:
                time.sleep(POLL)
                continue
            launch([(*plan.trial(one.arm, one.texts), _place(one)) for one in taken])
            failed = list[Exception]()
            for one in taken:
                try:
                    print(_told(search, one.arm, search.tell(one)), flush=True)
                    write_trials(search)
                except Exception as error:  # the others have ended well
                    failed.append(error)
            if failed:
                raise failed[0]


def _place(taken: Taken) -> str:
    return f"hydra.sweep.subdir='{TRIALS}/{taken.folder.name}'"


def _told(search: Search, arm: str, trial: FrozenTrial) -> str:
    """A line such as `search: fft, 7 of 30 trials, val_loss 0.4312; best 0.3978 (trial 3)`."""
    found = search.of(arm)
    ended = sum(each.state.is_finished() for each in found)
    came_to = "given up" if trial.state == TrialState.PRUNED else f"{search.best_by} {trial.value:.4g}"
    best = ""
    if any(each.state == TrialState.COMPLETE for each in found):
        first = search.best(arm)
        best = f"; best {first.value:.4g} (trial {first.number})"
    return f"search: {arm}, {ended} of {search.trials} trials, {came_to}{best}"


def judging(search: Search, plan: Plan) -> list[tuple[str, ...]]:
    """The overrides of the runs that judge each arm's best settings."""
    return plan.judges({arm: texts_of(search.best(arm).params, space) for arm, space in plan.spaces.items()})
