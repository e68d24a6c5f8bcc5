"""What watches each of several runs that are trained at once, as it would watch that run alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import Logger
from torch import Tensor

from audioid.errors import AudioidError, DivergedError
from audioid.training.module import ClassifierModule
from audioid.training.parallel.data import ParallelDataModule
from audioid.training.parallel.module import ParallelModule
from audioid.training.parallel.network import part


class RunInParallel:
    """One of the runs. Its callbacks take it for Lightning's trainer, whose it is in all that is not its own.

    `epochs` are those it was trained for, once it is over; `error` says why it failed, if it did.
    """

    def __init__(
        self, module: ClassifierModule, folder: Path, loggers: Sequence[Logger], callbacks: Sequence[Callback]
    ) -> None:
        self.module, self.folder, self.loggers, self.callbacks = module, folder, loggers, callbacks
        self.callback_metrics = dict[str, Tensor]()
        self.should_stop, self.epochs = False, 0
        self.error: AudioidError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["trainer"], name)

    def tell(self, hook: str, trainer: Trainer, *arguments: Any) -> None:
        """Calls a hook of each callback."""
        self.trainer = trainer
        for callback in self.callbacks:
            getattr(callback, hook)(self, self.module, *arguments)

    def log(self, means: Mapping[str, Tensor]) -> None:
        """Hands what the epoch gave to the loggers, as Lightning does, and keeps it for the callbacks."""
        self.callback_metrics |= means
        for logger in self.loggers:
            logger.log_metrics({name: float(value) for name, value in means.items()}, self.trainer.current_epoch + 1)
            logger.save()

    @property
    def is_over(self) -> bool:
        """Whether it ended, early or not."""
        return self.epochs > 0 or self.error is not None


class EachRun(Checkpoint):
    """Hands each of the runs what is its own, until it is over; the whole ends with the last of them.

    A run that diverged fails, and the others go on. No checkpoint, but as these called once the module has logged an
    epoch. What is written at the end of a run is what it would have written alone.
    """

    def __init__(self, runs: Sequence[RunInParallel], *, saves: bool) -> None:
        self.runs, self.saves = runs, saves
        self.saved: int | None = None  # the run that is being saved

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._tell("setup", trainer, stage)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell("on_fit_start", trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell("on_train_epoch_start", trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._log("val", cast(ParallelModule, pl_module))
        self._tell("on_validation_end", trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._log("train", cast(ParallelModule, pl_module))
        for run in self.runs:
            if not run.is_over and not run.callback_metrics["loss/train"].isfinite():
                run.error = DivergedError()
        self._tell("on_train_epoch_end", trainer)
        epoch = trainer.current_epoch + 1
        for number, run in enumerate(self.runs):
            if not run.is_over and (run.should_stop or epoch == trainer.max_epochs):
                if self.saves:
                    self._save(number, trainer)
                run.epochs = epoch
        trainer.should_stop = all(run.is_over for run in self.runs)

    def _save(self, number: int, trainer: Trainer) -> None:
        path = self.runs[number].folder / "checkpoints" / "last.ckpt"
        self.saved = number
        trainer.save_checkpoint(path.with_suffix(".part"))
        self.saved = None
        path.with_suffix(".part").replace(path)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Leaves of the whole state that of the run which is being saved, as Lightning would write it."""
        assert self.saved is not None
        run = self.runs[self.saved]
        checkpoint["state_dict"] = {name: values.clone() for name, values in run.module.state_dict().items()}
        for optimizer in checkpoint["optimizer_states"]:
            optimizer["state"] = {
                weights: {name: part(values, self.saved, len(self.runs)).clone() for name, values in state.items()}
                for weights, state in optimizer["state"].items()
            }
        checkpoint["callbacks"] = {each.state_key: state for each in run.callbacks if (state := each.state_dict())}
        checkpoint["AudioDataModule"] = checkpoint.pop(ParallelDataModule.__qualname__)
        run.tell("on_save_checkpoint", trainer, checkpoint)

    def _log(self, curve: str, module: ParallelModule) -> None:
        for number, run in enumerate(self.runs):
            if not run.is_over:
                means = {name: values[number].clone() for name, values in module.means.items() if name.endswith(curve)}
                run.log(means)

    def _tell(self, hook: str, trainer: Trainer, *arguments: Any) -> None:
        for run in self.runs:
            if not run.is_over:
                run.tell(hook, trainer, *arguments)
