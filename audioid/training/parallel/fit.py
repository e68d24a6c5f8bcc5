"""The training of several runs at once: from classifiers with initial weights to those of the epochs to keep."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger

from audioid.classifier import AudioClassifier
from audioid.errors import AudioidError
from audioid.pipeline.recordings import PreparedData
from audioid.rules import refuse_needs_of_validation
from audioid.schema import Settings
from audioid.training.budget import Budget
from audioid.training.callbacks import Course, Curves
from audioid.training.determinism import deterministic
from audioid.training.fit import Fitted, Progress, augmentation, choosing, learning, load_kept, trainer_of
from audioid.training.parallel.callbacks import EachRun, RunInParallel
from audioid.training.parallel.data import ParallelDataModule
from audioid.training.parallel.module import ParallelModule


@dataclass(frozen=True)
class Learner:
    """What one of the runs has of its own; `settings` differ in the seed alone."""

    classifier: AudioClassifier
    settings: Settings
    folder: Path
    loggers: list[Logger]
    reporter: Callback


def fit(
    learners: Sequence[Learner], prepared: PreparedData, *, budget: Budget, progress: Progress
) -> list[Fitted | AudioidError] | None:
    """Trains all classifiers and gives each the weights of its epoch to keep; what became of each.

    None after `fast_dev_run`. `progress` says what they begin with.

    Raises:
        AudioidError: the settings do not go with the sizes of the parts.
        SystemExit: it was stopped.
    """
    first = learners[0].settings
    if not len(prepared.split.val):
        refuse_needs_of_validation(first)
    has_validation, records = len(prepared.split.val) > 0, not first.trainer.fast_dev_run
    augment = augmentation(learners[0].classifier, prepared, first)
    runs = []
    for each in learners:
        callbacks = [each.reporter, Course([budget.epochs], progress.pretrained, runs=len(learners))]
        callbacks += choosing(each.settings, budget, progress, each.folder, has_validation=has_validation)
        callbacks += [Curves(each.folder)] if records else []
        module = learning(each.classifier, augment, each.settings, prepared, progress)
        runs.append(RunInParallel(module, each.folder, each.loggers, callbacks))
    print(f"  {budget.told}, {len(runs)} seeds at once", flush=True)
    trainer = trainer_of(
        first, budget, learners[0].folder, [], [EachRun(runs, saves=records)], has_validation=has_validation
    )
    data = ParallelDataModule(
        prepared.images,
        prepared.waveforms if augment.of_sound else prepared.images,
        prepared.index.targets,
        prepared.clips,
        prepared.split,
        digest=prepared.index.digest,
        batch_size=first.data.batch_size,
        seeds=[each.settings.seed for each in learners],
    )
    try:
        with deterministic():
            trainer.fit(ParallelModule([run.module for run in runs]), data)
    except SystemExit as stop:
        print(f"Stopped in epoch {trainer.current_epoch + 1}; these seeds begin again", file=sys.stderr)
        raise SystemExit(130 if stop.code == 1 else stop.code) from None  # as of one run
    if not records:
        print("  fast_dev_run: a batch of training and of validation went well; nothing was recorded", flush=True)
        return None
    for run in runs:
        if run.error is None:
            load_kept(run.module, run.folder)
    return [run.error or Fitted(budget, run.epochs, [], progress.pretrained) for run in runs]
