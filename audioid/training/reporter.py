"""What a run tells its loggers beside its curves: its choices, its scores, its errors, its sounds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger

from audioid.pipeline.recordings import PreparedData
from audioid.schema import Settings, flat
from audioid.training import figures
from audioid.training.evaluate import Evaluation
from audioid.training.loggers import TensorBoard, log_figure, log_sound
from audioid.training.once import is_written_here
from audioid.transforms.image import TimeFrequencyTransform

MOST_EXAMPLES = 40
# TensorBoard sorts groups of tags by name and opens the first: dozens of these shall come after the curves.
CONFUSION = "within classes/confusion"


class Reporter(Callback):
    """Hands over the hyperparameters as the fit starts: all `settings`, to TensorBoard only those that were `chosen`.

    TensorBoard's table has a column for each, the other loggers' pages can search.
    """

    def __init__(self, settings: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
        self.settings, self.chosen = flat(settings), chosen

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers:
            logger.log_hyperparams(dict(self.chosen if isinstance(logger, TensorBoard) else self.settings))


def log_evaluation(loggers: Sequence[Logger], evaluation: Evaluation, classes: Sequence[str], epoch: int) -> None:
    """The scores of the weights that were kept, such as `test/accuracy`, the confusion matrix `(label, predicted)` of
    the test part with the accuracy of each class."""
    scores = {"test/macro_f1": evaluation.test_macro_f1}
    for part in (part for part in ("test", "val") if part in evaluation.accuracy):
        scores |= {f"{part}/accuracy": evaluation.accuracy[part], f"{part}/loss": evaluation.loss[part]}
    figure = figures.confusion(evaluation.confusion, classes)
    for logger in loggers:
        logger.log_metrics(scores, epoch)
        log_figure(logger, CONFUSION, figure, epoch)


def log_examples(
    loggers: Sequence[Logger],
    prepared: PreparedData,
    transform: TimeFrequencyTransform,
    settings: Settings,
    folder: Path,
) -> None:
    """The first recording of each class, by path, as an image and as a sound; of the runs of a sweep one writes it."""
    index = prepared.index
    recordings = np.unique(index.targets, return_index=True)[1][:MOST_EXAMPLES]
    names, rows = [index.classes[target] for target in index.targets[recordings]], prepared.clips.first[recordings]
    sounds = {"recordings": index.digest, "audio": settings.audio.model_dump()}
    images = sounds | {"transform": settings.transform.model_dump(), "image": settings.image.model_dump()}
    if is_written_here(folder, images):
        axes = transform.times.numpy(), transform.row_values.numpy(), transform.row_label
        figure = figures.examples(prepared.images[rows], names, *axes, transform.channel_names)
        for logger in loggers:
            log_figure(logger, "examples", figure, 0)
    if is_written_here(folder, sounds):
        waves = prepared.waveforms[rows]
        waves = waves / np.abs(waves).max(axis=1, keepdims=True).clip(min=1e-9)
        for logger in loggers:
            for name, wave in zip(names, waves, strict=True):
                log_sound(logger, f"examples/{name}", wave, settings.audio.sample_rate)
