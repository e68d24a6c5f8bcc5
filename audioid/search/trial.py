"""One trial: a run that ends with its training, and is judged by the validation part alone."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.pruners import MedianPruner
from optuna.trial import FrozenTrial, Trial
from pytorch_lightning import Callback, LightningModule, Trainer

from audioid.errors import AudioidError, DivergedError
from audioid.pipeline.device import device_of
from audioid.pipeline.recordings import Stopwatch, prepare_data
from audioid.schema import Settings
from audioid.search.study import read_outcome, trial_in, write_outcome
from audioid.training.allocator import keep_freed_memory
from audioid.training.budget import budget_of
from audioid.training.determinism import keep_order_of_products
from audioid.training.fit import BEST_BY
from audioid.training.loggers import opened
from audioid.training.run import learn, quiet

# The same for each arm: a trial is judged against the median of its own arm's that came to their end, once there are
# so many of those, and once so much of its budget is over, since what learns slowly at first may end well.
PRUNES_AFTER, PRUNES_FROM = 5, 1 / 3
GIVEN_UP = "given_up"  # of a trial's attributes


class TellEpochs(Callback):
    """Tells the search what each epoch came to, and stops a trial that it gives up."""

    def __init__(self, trial: Trial, monitor: str) -> None:
        self.trial, self.monitor = trial, monitor
        self.told = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch, value = trainer.current_epoch + 1, float(trainer.callback_metrics[self.monitor])
        if not math.isfinite(value):  # the module ends what diverged
            return
        if epoch not in self.told:  # a trial that is taken up again comes by epochs that were told
            self.trial.report(value, epoch)
        if epoch < (trainer.max_epochs or 0) and self.trial.should_prune():
            self.trial.set_user_attr(GIVEN_UP, True)
            trainer.should_stop = True


def run(settings: Settings, folder: Path, overrides: Sequence[str]) -> None:
    """Trains the network of one trial, and writes what came of it into `trial.json`; goes on from a checkpoint there.

    A launcher's process may outlive the search that it ran the trial for: its end is waited for.

    Raises:
        AudioidError: the recordings or the settings do not allow it.
        SystemExit: it was stopped; what was reached is kept.
    """
    with FileLock(folder / "run.lock"):
        outcome = read_outcome(folder)
        if "state" not in outcome:
            write_outcome(folder, outcome | _run(settings, folder, overrides))


def _run(settings: Settings, folder: Path, overrides: Sequence[str]) -> dict[str, Any]:
    quiet()
    keep_freed_memory()
    keep_order_of_products()
    watch = Stopwatch()
    monitor, best_is = BEST_BY[settings.trainer.best_by]
    with opened(settings.logger, folder) as loggers:
        prepared = prepare_data(settings, watch, device=device_of(settings))
        if not len(prepared.split.val):
            raise AudioidError("split: a search needs a validation part to choose by, and there is none")
        epochs = budget_of(settings.trainer, len(prepared.split.train), settings.data.batch_size).epochs
        pruner = MedianPruner(n_startup_trials=PRUNES_AFTER, n_warmup_steps=math.ceil(PRUNES_FROM * epochs))
        trial = trial_in(folder, pruner)
        try:
            learned = learn(settings, prepared, folder, overrides, watch, loggers, TellEpochs(trial, monitor))
        except DivergedError as error:
            print(f"  {error}")
            learned = None
    ended = trial.study.get_trials(deepcopy=False)[trial.number]
    return came_to(ended, best_is, has_diverged=learned is None)


def came_to(trial: FrozenTrial, best_is: str, *, has_diverged: bool) -> dict[str, Any]:
    """`state`, `value` and `epochs` of a trial; one that validation could never judge has diverged too."""
    values = trial.intermediate_values
    value = (min if best_is == "min" else max)(values.values()) if values else None
    is_lost = has_diverged or value is None
    state = "diverged" if is_lost else "pruned" if trial.user_attrs.get(GIVEN_UP) else "complete"
    return {"state": state, "value": value, "epochs": len(values)}
