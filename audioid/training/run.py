"""One run: prepare, build, fit, evaluate, record; each is of use alone too."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger

from audioid.classifier import AudioClassifier
from audioid.data.corpus import known_near_duplicates
from audioid.model_description import EVERYTHING
from audioid.naming import hyperparameters
from audioid.pipeline.device import device_of
from audioid.pipeline.recordings import PreparedData, Stopwatch, prepare_data
from audioid.schema import AugmentSettings, Settings
from audioid.training.allocator import keep_freed_memory
from audioid.training.augment_rules import told
from audioid.training.begin import begun
from audioid.training.budget import budget_of
from audioid.training.build import build
from audioid.training.cost import cost
from audioid.training.determinism import keep_order_of_products
from audioid.training.evaluate import Evaluation, calibrated, evaluate
from audioid.training.everything import learn_everything
from audioid.training.fit import Fitted, fit, read_progress
from audioid.training.loggers import go_on, opened
from audioid.training.memory import MemoryMeter
from audioid.training.pitch import with_frequency_shift
from audioid.training.record import metrics_of, record, write_json, write_predictions, write_skipped
from audioid.training.reporter import Reporter, log_evaluation, log_examples
from audioid.training.run_folder import claim
from audioid.training.sureness import find_unknown, judged_sureness, refuse_known


def run(settings: Settings, folder: Path, overrides: Sequence[str]) -> None:
    """Trains and judges one network and leaves its record in `folder`; goes on from a checkpoint found there.

    `overrides` are what was chosen on the command line, by which this run is told from others.

    Raises:
        AudioidError: the recordings or the settings do not allow it.
        SystemExit: it was stopped; what was reached is kept.
    """
    quiet()
    keep_freed_memory()
    keep_order_of_products()
    watch, memory = Stopwatch(), MemoryMeter()
    with opened(settings.logger, folder) as loggers, memory, watch("total"):
        device = device_of(settings)
        unknown = find_unknown(settings.data)
        prepared = prepare_data(settings, watch, device=device)
        refuse_known(unknown, prepared.index)
        learned = learn(settings, prepared, folder, overrides, watch, loggers)
        if learned is None:
            return
        settings, classifier, fitted = learned
        with watch("test"):
            evaluation = evaluate(classifier, prepared, batch_size=settings.data.batch_size, device=device)
            judged = judged_sureness(classifier, prepared, settings, evaluation, unknown, device=device)
            if judged:
                evaluation = calibrated(evaluation, prepared, float(judged.sureness.temperature))
        with watch("record"):
            figures = cost(classifier, prepared, settings.audio)
            record(folder, settings, prepared, classifier, evaluation, judged)
            log_evaluation(loggers, evaluation, prepared.index.classes, fitted.epochs)
            log_examples(loggers, prepared, classifier.transform, settings, folder)
    if settings.fit == "everything":
        learn_everything(prepared, settings, folder, judged, unknown, device=device)
    # The first run of a corpus looks for them: no cost of its own.
    near = known_near_duplicates(prepared.index, Path(settings.store.root).expanduser())
    write_predictions(folder / "predictions.csv", prepared, evaluation.log_probabilities["test"], near)
    # The last file: a run without it is not done.
    metrics = metrics_of(settings, prepared, fitted, evaluation, judged, near)
    # With the epochs from before it was stopped.
    seconds = watch.seconds | {key: round(watch.seconds[key] + fitted.seconds_before, 3) for key in ("fit", "total")}
    times = {"parallel_seeds": 1, "seconds": seconds, "peak_memory_mib": memory.peak_mib}
    write_json(folder / "metrics.json", metrics | figures | times)
    if judged:
        print(f"  {judged.told}")
    tell_if_nothing_was_learned(prepared, evaluation)
    if settings.fit == "everything":
        print(f"  for use: {folder / EVERYTHING / 'model'}; expect of it what is said of the network judged here")
    print(f"  test accuracy {metrics['test_accuracy']:.3f}, {seconds['total']:.0f} s, in {folder}", flush=True)


def learn(
    asked: Settings,
    prepared: PreparedData,
    folder: Path,
    overrides: Sequence[str],
    watch: Stopwatch,
    loggers: list[Logger],
    *watching: Callback,
) -> tuple[Settings, AudioClassifier, Fitted] | None:
    """Builds and trains a network, with the weights of the epoch to keep; no test recording has a part in it.

    The settings are those `asked` for, with numbers for what was to be found out. `overrides` are as in `run`, None
    and what is raised as in `fit`.
    """
    settings = with_frequency_shift(prepared.settings, prepared)
    write_skipped(folder / "skipped.csv", prepared.index.skipped)
    tell_beginning(prepared, asked, settings)
    classifier = build(settings, prepared)
    budget = budget_of(settings.trainer, len(prepared.split.train), settings.data.batch_size)
    progress = read_progress(folder, budget, prepared)
    if not progress.epochs:
        progress = begun([classifier], settings)
    for logger in loggers:
        go_on(logger, progress.epochs)
    claim(folder, asked, overrides)
    values = asked.model_dump()
    reporter = Reporter(values, hyperparameters(values, overrides))
    with watch("fit"):
        fitted = fit(
            classifier,
            prepared,
            settings,
            folder,
            budget=budget,
            progress=progress,
            loggers=loggers,
            watching=[reporter, *watching],
        )
    return None if fitted is None else (settings, classifier, fitted)


def tell_beginning(prepared: PreparedData, asked: Settings, settings: Settings) -> None:
    """Prints what there is to learn from, how it is changed, and what came of what was `asked` to be `auto`."""
    index, parts = prepared.index, prepared.split
    text = f"{len(index.table)} recordings of {len(index.classes)} classes: {len(parts.train)} to train on, "
    text += f"{len(parts.val)} to choose the epoch, {len(parts.test)} to judge at the end"
    if not len(parts.val):
        text += " (no validation part: the last epoch is kept, and the test part is only scored once, at the end)"
    if index.skipped:
        text += f"; {len(index.skipped)} files left out, see skipped.csv"
    print(f"  {text}", flush=True)
    if asked.audio.seconds == "auto":
        print(f"  clips of {settings.audio.seconds:g} s, as nine of ten recordings to train on sound", flush=True)
    if settings.audio.windows != 1:
        counts = prepared.clips.counts
        print(f"  {counts.sum():,} clips of these recordings, at most {counts.max()} of one", flush=True)
    if settings.trainer.class_weights == "balanced":
        print("  each class counts as much as any other in the loss, however many recordings it has", flush=True)
    if isinstance(settings.augment, AugmentSettings):  # those of other packages have other keys
        print(f"  {told(settings.augment.model_dump())}{_why(asked, settings)}", flush=True)


def tell_if_nothing_was_learned(prepared: PreparedData, evaluation: Evaluation) -> None:
    """Prints so where the training part itself is named no better than by one name for all, label by label: with
    balanced classes a network that has learned much may be right less often than the commonest label."""
    targets = prepared.index.targets[prepared.split.train]
    right = evaluation.log_probabilities["train"].argmax(axis=1) == targets
    labels = np.bincount(targets)
    by_label = np.bincount(targets, right)[labels > 0] / labels[labels > 0]
    if by_label.mean() <= 1 / len(by_label) + 1e-9:
        print(
            f"  nothing was learned: of a label's recordings to train on {by_label.mean():.1%} are rightly named on "
            "average, as by one name for all; try a lower optimizer.lr, or more steps (trainer.max_steps)"
        )


def _why(asked: Settings, found: Settings) -> str:
    """Why there is no shift of rows, where that was left to the recordings."""
    if getattr(asked.augment, "frequency_shift", None) != "auto" or found.augment.model_dump()["frequency_shift"]:
        return ""
    return "; not higher or lower (frequency_shift 0), since shifted recordings look like those of other labels"


def quiet() -> None:
    """Silences what Lightning tells everybody in every run."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*`srun` command is available.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated.*")
    warnings.filterwarnings("ignore", "Glyph .* missing from font")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
