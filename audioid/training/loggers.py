"""The loggers of a run, and how each takes figures and sounds; every other thing Lightning's own methods tell them."""

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import singledispatch
from importlib.metadata import entry_points
from pathlib import Path
from threading import Thread
from typing import Any

import soundfile
from filelock import FileLock
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from torch.utils.tensorboard.summary import hparams

PROJECT = "audioid"
PATIENCE = 5.0  # seconds
SCORES = ("test/", "val/")  # the measures taken at the end begin with these


@contextmanager
def opened(names: Sequence[str], folder: Path) -> Iterator[list[Logger]]:
    """The loggers of a run in `folder`, closed at the end of the block, however it ends.

    A name that is not built in is an entry point of the group `audioid.loggers`: a callable that takes the folder.
    """
    found = entry_points(group="audioid.loggers")
    loggers = [(BUILT_IN[name] if name in BUILT_IN else found[name].load())(folder) for name in names]
    try:
        yield loggers
    except BaseException:
        # A signal may have struck while the writer of a logger held its locks, and then it would wait for ever.
        closing = Thread(target=_close_all, args=(loggers, "failed"), daemon=True)
        closing.start()
        closing.join(PATIENCE)
        raise
    _close_all(loggers, "success")


def _close_all(loggers: Sequence[Logger], status: str) -> None:
    for logger in loggers:
        close(logger, status)


class TensorBoard(TensorBoardLogger):
    """Writes one event file for the whole run into the run's own folder."""

    LOGGER_JOIN_CHAR = "/"

    def __init__(self, folder: Path) -> None:
        super().__init__(save_dir=folder, name="", version="", default_hp_metric=False)

    @rank_zero_only
    def log_hyperparams(self, params: Any, metrics: Any = None, step: int | None = None) -> None:
        """The run's row in the HParams tab.

        The tab takes its columns from the first description of an experiment that it finds among the runs. With none,
        it has every key and measure of any run, those first that differ.
        """
        texts = {key: str(value) if isinstance(value, bool) else value for key, value in params.items()}
        _experiment, *session = hparams(texts, {})
        for summary in session:
            self.experiment._get_file_writer().add_summary(summary)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        # HParams ticks the first five measures by name: the scores of the end shall come before the curves.
        tags = {key: key if key.startswith(SCORES) else f"training/{key}" for key in metrics if key != "epoch"}
        super().log_metrics({tag: metrics[key] for key, tag in tags.items()}, step)

    def save(self) -> None:
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        # Lightning ends each of its stages here; closing would begin another file, and TensorBoard could show
        # an older one.
        self.experiment.flush()


def _csv(folder: Path) -> Logger:
    return CSVLogger(folder, name="csv")  # a version for each time that the run is gone on with


def _mlflow(folder: Path) -> Logger:
    """Into the store that MLFLOW_TRACKING_URI names, or one beside the run, which a sweep's runs share."""
    store = folder.parent.absolute() / "mlflow"
    store.mkdir(parents=True, exist_ok=True)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logger = MLFlowLogger(
        experiment_name=PROJECT,
        run_name=folder.name,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(store / 'mlflow.db').as_posix()}",
        artifact_location=(store / "artifacts").as_uri(),
    )
    with FileLock(store / "mlflow.lock"):  # of several runs at once, one makes the tables
        _ = logger.experiment
    return logger


def _wandb(folder: Path) -> Logger:
    """Into the run's folder, for `wandb sync`, unless WANDB_MODE says online."""
    import wandb

    offline = os.environ.setdefault("WANDB_MODE", "offline") != "online"
    return WandbLogger(
        name=folder.name,
        save_dir=folder,
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        offline=offline,
        settings=wandb.Settings(silent=True),
    )


BUILT_IN: dict[str, Callable[[Path], Logger]] = {
    "tensorboard": TensorBoard,
    "csv": _csv,
    "mlflow": _mlflow,
    "wandb": _wandb,
}


@singledispatch
def log_figure(logger: Logger, name: str, figure: Figure, step: int) -> None:
    """Where the logger has a place for figures; `log_figure.register` gives it to another class of loggers."""


@log_figure.register
def _(logger: TensorBoardLogger, name: str, figure: Figure, step: int) -> None:
    logger.experiment.add_figure(name, figure, step)


@log_figure.register
def _(logger: MLFlowLogger, name: str, figure: Figure, step: int) -> None:
    logger.experiment.log_figure(logger.run_id, figure, f"{_file_name(name)}.png")


@log_figure.register
def _(logger: WandbLogger, name: str, figure: Figure, step: int) -> None:
    logger.log_image(_file_name(name), [figure])


@singledispatch
def log_sound(logger: Logger, name: str, waveform: NDArray[Any], sample_rate: int) -> None:
    """As `log_figure`, a waveform `(time,)` of values from -1 to 1."""


@log_sound.register
def _(logger: TensorBoardLogger, name: str, waveform: NDArray[Any], sample_rate: int) -> None:
    logger.experiment.add_audio(name, waveform[None], 0, sample_rate)


@log_sound.register
def _(logger: MLFlowLogger, name: str, waveform: NDArray[Any], sample_rate: int) -> None:
    path = Path(f"{_file_name(name)}.wav")
    with tempfile.TemporaryDirectory() as folder:
        soundfile.write(Path(folder, path.name), waveform, sample_rate)
        logger.experiment.log_artifact(logger.run_id, str(Path(folder, path.name)), path.parent.as_posix())


@log_sound.register
def _(logger: WandbLogger, name: str, waveform: NDArray[Any], sample_rate: int) -> None:
    logger.log_audio(_file_name(name), [waveform], sample_rate=[sample_rate])


@singledispatch
def go_on(logger: Logger, epochs: int) -> None:
    """Before the first thing logged: of epochs after so many, whatever an earlier process logged is trained again."""


@go_on.register
def _(logger: TensorBoard, epochs: int) -> None:
    logger._kwargs["purge_step"] = epochs + 1  # for the writer, which Lightning makes when it is first asked


@singledispatch
def close(logger: Logger, status: str) -> None:
    """After the last thing logged; `status` is `success` or `failed`."""
    logger.finalize(status)


@close.register
def _(logger: TensorBoard, status: str) -> None:
    super(TensorBoard, logger).finalize("closed")  # where it is `success`, Lightning opens a file to save more


@close.register
def _(logger: WandbLogger, status: str) -> None:
    import wandb

    if wandb.run is not None:  # else the next run of a sweep would go on in it
        wandb.finish(exit_code=0 if status == "success" else 1)


def _file_name(name: str) -> str:
    """A name with its folders, without the signs that some file systems refuse."""
    return re.sub(r"[^\w ./+-]", "_", name)
