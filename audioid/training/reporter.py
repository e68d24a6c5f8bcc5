"""What a run tells its loggers beside its curves: its choices, its scores, its errors, its sounds."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn

from audioid.naming import flat
from audioid.pipeline.recordings import PreparedData
from audioid.training import figures
from audioid.training.loggers import TensorBoard, log_figure, log_sound

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


def log_scores(
    loggers: Sequence[Logger],
    scores: Mapping[str, float],
    counts: NDArray[np.int64],
    classes: Sequence[str],
    epoch: int,
) -> None:
    """The scores of the weights that were kept, such as `test/accuracy`, the confusion matrix `(label, predicted)` of
    the test part and the accuracy of each class."""
    plots = {
        "test/confusion": figures.confusion(counts, classes),
        "test/accuracy per class": figures.class_accuracy(counts, classes),
    }
    for logger in loggers:
        logger.log_metrics(dict(scores), epoch)
        for name, figure in plots.items():
            log_figure(logger, name, figure, epoch)


def log_examples(
    loggers: Sequence[Logger], material: PreparedData, rows: NDArray[np.int64], transform: nn.Module, sample_rate: int
) -> None:
    """The images and the sounds of the recordings in these rows of `material`."""
    rows = rows[:MOST_EXAMPLES]
    names = [material.index.classes[target] for target in material.index.targets[rows]]
    row_values = transform.row_values if hasattr(transform, "row_values") else transform.frequencies
    figure = figures.examples(
        material.images[rows],
        names,
        cast(Tensor, transform.times).numpy(),
        cast(Tensor, row_values).numpy(),
        getattr(transform, "row_label", "frequency / Hz"),
        getattr(transform, "channel_names", [""]),
    )
    waves = material.waveforms[rows]
    waves = waves / np.abs(waves).max(axis=1, keepdims=True).clip(min=1e-9)
    for logger in loggers:
        log_figure(logger, "examples", figure, 0)
        for name, wave in zip(names, waves, strict=True):
            log_sound(logger, f"examples/{name}", wave, sample_rate)
