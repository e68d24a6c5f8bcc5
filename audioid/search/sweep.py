"""The course of a search: trials until there are enough, in whichever process has time, and the best of each arm."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from optuna.trial import TrialState

from audioid.comparison.searches import numbered
from audioid.comparison.words import short
from audioid.search.report import write_trials
from audioid.search.space import Plan, texts_of
from audioid.search.study import TRIALS, Search, Taken, read_outcome

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
            for one in taken:
                print(_begins(one), flush=True)
            launch([(*plan.trial(one.arm, one.texts), _place(one)) for one in taken])
            failed = list[Exception]()
            for one in taken:
                try:
                    search.tell(one)
                    print(_ended(search, one), flush=True)
                    write_trials(search)
                except Exception as error:  # the others have ended well
                    failed.append(error)
            if failed:
                raise failed[0]


def _place(taken: Taken) -> str:
    return f"hydra.sweep.subdir='{TRIALS}/{taken.folder.name}'"


def _begins(taken: Taken) -> str:
    """A line such as `search: trial 007 of fft: lr=0.00123 width=24`; of a key the last word, where that tells it."""
    words = Counter(key.rpartition(".")[2] for key in taken.drawn)
    names = {key: last if words[last := key.rpartition(".")[2]] == 1 else key for key in taken.drawn}
    drawn = " ".join(f"{names[key]}={short(value)}" for key, value in taken.drawn.items())
    return f"search: trial {numbered(taken.number)} of {taken.arm}{f': {drawn}' if drawn else ''}"


def _ended(search: Search, taken: Taken) -> str:
    """A line such as `search: fft, 8 of 30 trials; trial 007: val_loss 0.4312; best 0.3978 (trial 003)`."""
    found, outcome = search.of(taken.arm), read_outcome(taken.folder)
    ended = sum(each.state.is_finished() for each in found)
    came_to = "" if outcome["value"] is None else f"{search.best_by} {outcome['value']:.4g}"
    if outcome["state"] != "complete":
        became = "given up" if outcome["state"] == "pruned" else "diverged"
        came_to = f"{became} after {outcome['epochs']} epochs{f', {came_to}' if came_to else ''}"
    best = ""
    if any(each.state == TrialState.COMPLETE for each in found):
        first = search.best(taken.arm)
        best = f"; best {first.value:.4g} (trial {numbered(first.number)})"
    return f"search: {taken.arm}, {ended} of {search.trials} trials; trial {numbered(taken.number)}: {came_to}{best}"


def judging(search: Search, plan: Plan) -> list[tuple[str, ...]]:
    """The overrides of the runs that judge each arm's best settings."""
    return plan.judges({arm: texts_of(search.best(arm).params, space) for arm, space in plan.spaces.items()})
