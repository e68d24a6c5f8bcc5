"""The trials of a search, in one file that its processes share: none is lost or done twice, whoever is killed."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.pool import NullPool

from audioid.comparison.records import TRIAL
from audioid.comparison.searches import SEARCH, numbered
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.schema import MOST_TRIALS, BestBy
from audioid.search.space import Space, texts_of

FOLDER, FILE = "search", "trials.sqlite3"  # of a sweep's folder, and therein
TRIALS = "trials"  # of a sweep's folder: holds those of the trials
ASKED = "asked"  # of a study's attributes
PATIENCE = 60.0  # seconds to wait for another process to have written

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Taken:
    """A trial that is this process's to run, as long as it holds the lock.

    `drawn` are the values that it tries, by key, `texts` the same as overrides.
    """

    arm: str
    number: int
    drawn: Mapping[str, Any]
    texts: list[str]
    folder: Path
    lock: FileLock


class Search:
    """The trials of each arm in a sweep's folder: so many as are asked for, judged by `trainer.best_by`.

    Raises:
        AudioidError: it was begun with other settings, has more trials than are asked for, or has ended with fewer,
            and its best are judged.
    """

    def __init__(
        self, sweep: Path, spaces: Mapping[str, Space], *, asked: Sequence[str], trials: int, seed: int, best_by: BestBy
    ) -> None:
        self.sweep, self.spaces, self.trials, self.seed, self.best_by = sweep, spaces, trials, seed, best_by
        (sweep / FOLDER).mkdir(parents=True, exist_ok=True)
        with self.locked("take"):
            self.storage = _storage(sweep)
            self.studies = {
                arm: optuna.create_study(
                    storage=self.storage,
                    study_name=arm,
                    direction="minimize" if best_by == "val_loss" else "maximize",
                    load_if_exists=True,
                )
                for arm in spaces
            }
            for study in self.studies.values():
                self._check(study, list(asked))
        begun = [len(self.of(arm)) for arm in spaces]
        if max(begun) > trials:  # of which one arm may have one more than another
            raise AudioidError(f"tune.trials: {max(begun)} of an arm have begun in {sweep}; say as many, or more")
        if (sweep / SEARCH).exists() and min(begun) < trials:
            raise AudioidError(f"tune.trials: the search in {sweep} has ended with {min(begun)}; start another sweep")

    def _check(self, study: optuna.Study, asked: list[str]) -> None:
        """Holds the trials of a study to the same settings but for what they try."""
        known = study.user_attrs.get(ASKED)
        if known is None:
            study.set_user_attr(ASKED, asked)
        elif other := sorted({*known} ^ {*asked}):
            key = other[0].partition("=")[0]
            begun = next((text for text in known if text.startswith(f"{key}=")), f"no {key}")
            raise AudioidError(f"{key}: the search in {self.sweep} has {begun}; say the same, or start another sweep")

    def locked(self, name: str) -> FileLock:
        """A lock that one process holds at a time."""
        return FileLock(self.sweep / FOLDER / f"{name}.lock")

    def of(self, arm: str) -> list[FrozenTrial]:
        """The trials of an arm so far, by number."""
        return self.studies[arm].get_trials(deepcopy=False)

    def take(self) -> Taken | None:
        """A trial to run: one whose process died, else a new one of the arm that has the fewest. None if there is none.

        Raises:
            AudioidError: the file holds the trials of another space.
        """
        with self.locked("take"):
            for arm in self.spaces:
                for trial in self.of(arm):
                    if trial.state == TrialState.RUNNING and (taken := self._hold(arm, trial.number)):
                        return taken
            arm = min(self.spaces, key=lambda arm: len(self.of(arm)))
            number = len(self.of(arm))
            if number >= self.trials:
                return None
            self.studies[arm].ask()
            return self._hold(arm, number)

    def _hold(self, arm: str, number: int) -> Taken | None:
        """The trial, unless another process runs it."""
        folder = self.sweep / TRIALS / f"{arm} {numbered(number)}"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "trial.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        # A seed for each trial: a search that is gone on with tries what an unbroken one would have tried.
        self.studies[arm].sampler = TPESampler(seed=MOST_TRIALS * self.seed + number)
        trial = Trial(self.studies[arm], _id(self.storage, arm, number))
        try:
            for key, distribution in self.spaces[arm].items():
                _suggest(trial, key, distribution)
        except ValueError as error:
            raise AudioidError(f"{self.sweep}: its search has another space ({error}); start another sweep") from error
        texts = texts_of(trial.params, self.spaces[arm])
        if not (folder / TRIAL).exists():
            write_outcome(folder, {"arm": arm, "number": number})
        return Taken(arm, number, trial.params, texts, folder, lock)

    def tell(self, taken: Taken) -> FrozenTrial:
        """Writes down what came of a trial, and lets go of it; returns it.

        Raises:
            AudioidError: it failed; it stays to be taken up again.
        """
        outcome = read_outcome(taken.folder)
        if "state" not in outcome:
            file = taken.folder / "error.txt"
            line = file.read_text(encoding="utf-8").partition("\n")[0] if file.exists() else "its process died"
            raise AudioidError(f"{taken.folder.name}: {line} (the search stopped; mend it, and go on)")
        state = TrialState.COMPLETE if outcome["state"] == "complete" else TrialState.PRUNED
        value = outcome["value"] if state == TrialState.COMPLETE else None
        with self.locked("take"):  # or another would find it running, and with nobody who runs it
            told = self.studies[taken.arm].tell(taken.number, value, state)
            taken.lock.release()
        return told

    def is_over(self) -> bool:
        """Whether all trials have ended, those of other processes too."""
        return all(
            len(found) >= self.trials and all(trial.state.is_finished() for trial in found)
            for found in map(self.of, self.spaces)
        )

    def best(self, arm: str) -> FrozenTrial:
        """The trial of an arm that validation puts first; AudioidError where none came to its end."""
        try:
            return self.studies[arm].best_trial
        except ValueError as error:
            raise AudioidError(f"optimizer.lr: each trial of {arm} diverged; search among smaller ones") from error


def _storage(sweep: Path) -> RDBStorage:
    # By a function, since a path may hold signs that mean something in an address.
    connect = partial(sqlite3.connect, sweep / FOLDER / FILE, timeout=PATIENCE)
    return RDBStorage("sqlite://", engine_kwargs={"creator": connect, "poolclass": NullPool})


def _id(storage: RDBStorage, arm: str, number: int) -> int:
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(arm), number)


def _suggest(trial: Trial, key: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(key, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        step, log = distribution.step, distribution.log
        return trial.suggest_int(key, distribution.low, distribution.high, step=step, log=log)
    return trial.suggest_categorical(key, distribution.choices)  # type: ignore[attr-defined]


def trial_in(folder: Path, pruner: BasePruner) -> Trial:
    """The trial that a run's folder is for, to tell of its epochs and to ask whether to go on.

    Raises:
        AudioidError: there is no such trial.
    """
    outcome, sweep = read_outcome(folder), folder.parents[1]
    strange = AudioidError(f"{folder}: is no trial of a search in {sweep}; go on with that search, or train anew")
    if not (sweep / FOLDER / FILE).is_file():  # which would be made
        raise strange
    storage = _storage(sweep)
    try:
        study = optuna.load_study(study_name=outcome["arm"], storage=storage, sampler=RandomSampler(), pruner=pruner)
        return Trial(study, _id(storage, outcome["arm"], outcome["number"]))
    except KeyError as error:
        raise strange from error


def read_outcome(folder: Path) -> dict[str, Any]:
    """`arm` and `number` of the trial in a run's folder, and once it has ended `state`, `value` and `epochs`.

    Raises:
        AudioidError: the file is damaged.
    """
    try:
        found = json.loads((folder / TRIAL).read_text(encoding="utf-8"))
        if not isinstance(found["arm"], str) or not isinstance(found["number"], int):
            raise TypeError("arm or number")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AudioidError(f"{folder / TRIAL}: is damaged; remove it to try these settings again") from error
    return dict(found)


def write_outcome(folder: Path, outcome: Mapping[str, Any]) -> None:
    """As `read_outcome` reads it."""
    with replacing(folder / TRIAL) as part:
        part.write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
