"""What TensorBoard shows of a run: its curves, its choices beside its result, its errors, its sounds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.tensorboard.summary import hparams

from audioid.pipeline.recordings import PreparedData
from audioid.training import figures

RESULTS = ("test/accuracy", "test/macro_f1", "test/loss")
MOST_EXAMPLES = 40
DETAILED = ("transform", "model", "optimizer", "split", "image")


class Board(TensorBoardLogger):
    """Lightning's logger, writing one event file for the whole run into the run's own folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(save_dir=folder, name="", version="", default_hp_metric=False)

    def save(self) -> None:
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        # Lightning ends each of its stages here; closing would begin another file, and TensorBoard could show
        # an older one.
        self.experiment.flush()

    def log_hyperparameters(self, settings: Mapping[str, Any]) -> None:
        """The run's row in the HParams tab, with a column for each result still to come."""
        for summary in hparams(_flat(settings), dict.fromkeys(RESULTS, 0.0)):
            self.experiment._get_file_writer().add_summary(summary)

    def log_test_results(
        self, counts: NDArray[np.int64], classes: list[str], scores: Sequence[float], epoch: int
    ) -> None:
        """The test part's scores in the order of RESULTS, its confusion matrix `(label, predicted)`, and
        the accuracy of each class."""
        for tag, value in zip(RESULTS, scores, strict=True):
            self.experiment.add_scalar(tag, value, epoch)
        self.experiment.add_figure("test/confusion", figures.confusion(counts, classes), epoch)
        self.experiment.add_figure("test/accuracy per class", figures.class_accuracy(counts, classes), epoch)

    def examples(
        self, rows: NDArray[np.int64], material: PreparedData, sample_rate: int, transform: torch.nn.Module
    ) -> None:
        """The images and the sounds of the recordings in these rows."""
        rows = rows[:MOST_EXAMPLES]
        names = [material.index.classes[target] for target in material.index.targets[rows]]
        times, frequencies = (cast(Tensor, axis).numpy() for axis in (transform.times, transform.frequencies))
        self.experiment.add_figure("examples", figures.examples(material.images[rows][:, 0], names, times, frequencies))
        for name, wave in zip(names, material.waveforms[rows], strict=True):
            loudest = max(1e-9, float(np.abs(wave).max()))
            self.experiment.add_audio(f"examples/{name}", torch.from_numpy(wave[None] / loudest), 0, sample_rate)


def _flat(settings: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """What runs are told apart by: each group's option, and the keys of the groups that differ most."""
    flat: dict[str, Any] = {"seed": settings["seed"], "max_epochs": settings["trainer"]["max_epochs"]}
    for group, values in settings.items():
        if isinstance(values, Mapping) and "name" in values:
            flat[group] = values["name"]
        if group in DETAILED:
            flat |= {f"{group}.{key}": value for key, value in values.items() if key != "name"}
    return {key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in flat.items()}
