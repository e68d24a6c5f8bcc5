"""What a run tells its loggers beside its curves: its choices, its scores, its errors, its sounds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger

from audioid.pipeline.recordings import PreparedData
from audioid.schema import flat
from audioid.training import figures
from audioid.training.evaluate import Evaluation
from audioid.training.loggers import TensorBoard, log_figure, log_sound
from audioid.transforms.image import TimeFrequencyTransform

MOST_EXAMPLES = 40


class Reporter(Callback):
    """Hands over the hyperparameters as the fit starts: all `settings`, to TensorBoard only those that were `chosen`.

    TensorBoard's table has a column for each, the other loggers' pages can search.
    """

    def __init__(self, settings: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
        self.settings, self.chosen = flat(settings), chosen

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers:
            logger.log_hyperparams(dict(self.chosen if isinstance(logger, TensorBoard) else self.settings))


def log_evaluation(
    loggers: Sequence[Logger],
    prepared: PreparedData,
    evaluation: Evaluation,
    transform: TimeFrequencyTransform,
    epoch: int,
    sample_rate: int,
) -> None:
    """The scores of the weights that were kept, such as `test/accuracy`, the confusion matrix `(label, predicted)` of
    the test part, the accuracy of each class, and an example of each: its image and its sound."""
    scores = {"test/macro_f1": evaluation.test_macro_f1}
    for part in (part for part in ("test", "val") if part in evaluation.accuracy):
        scores |= {f"{part}/accuracy": evaluation.accuracy[part], f"{part}/loss": evaluation.loss[part]}
    index, train = prepared.index, prepared.split.train
    rows = train[np.unique(index.targets[train], return_index=True)[1]][:MOST_EXAMPLES]  # of each class, by path
    names = [index.classes[target] for target in index.targets[rows]]
    axes = transform.times.numpy(), transform.row_values.numpy(), transform.row_label
    plots = {
        "test/confusion": figures.confusion(evaluation.confusion, index.classes),
        "test/accuracy per class": figures.class_accuracy(evaluation.confusion, index.classes),
        "examples": figures.examples(prepared.images[rows], names, *axes, transform.channel_names),
    }
    waves = prepared.waveforms[rows]
    waves = waves / np.abs(waves).max(axis=1, keepdims=True).clip(min=1e-9)
    for logger in loggers:
        logger.log_metrics(scores, epoch)
        for name, figure in plots.items():
            log_figure(logger, name, figure, 0 if name == "examples" else epoch)
        for name, wave in zip(names, waves, strict=True):
            log_sound(logger, f"examples/{name}", wave, sample_rate)
