"""How long a run trains: the same number of steps for both arms, sensible for any number of recordings."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from audioid.errors import AudioidError
from audioid.schema import TrainerSettings

AUTO_STEPS = 30.0  # times the root of how many recordings there are to learn from
AUTO_BATCH = 32  # that many of them a step


@dataclass(frozen=True)
class Asked:
    """What the settings say: so many epochs, else so many steps, else what goes with the number of recordings."""

    max_steps: int | Literal["auto"]
    max_epochs: int | None

    @property
    def key(self) -> str:
        """Of `trainer`, the key that decides."""
        return "max_steps" if self.max_epochs is None else "max_epochs"

    def is_met_by(self, metrics: Mapping[str, Any]) -> bool:
        """Whether the run whose `metrics.json` this is was to train as long.

        Raises:
            KeyError, TypeError: it does not say.
        """
        if "budget" in metrics and metrics["budget"] == asdict(self):
            return True
        if self.max_epochs is not None:
            return bool(metrics["max_epochs"] >= self.max_epochs)
        return self.max_steps != "auto" and bool(metrics["max_steps"] >= self.max_steps)


@dataclass(frozen=True)
class Budget:
    """`epochs` of `batches` on each device; `steps` of the optimizer altogether."""

    asked: Asked
    epochs: int
    batches: int
    steps: int

    @property
    def told(self) -> str:
        """Such as `1,890 steps to train: 63 epochs of 30 batches`."""
        steps = f"{self.steps:,} step{'s' * (self.steps != 1)}"
        epochs = f"{self.epochs:,} epoch{'s' * (self.epochs != 1)}"
        return f"{steps} to train: {epochs} of {self.batches:,} batch{'es' * (self.batches != 1)}"


def asked(trainer: TrainerSettings) -> Asked:
    """The budget that the settings ask for."""
    return Asked(trainer.max_steps, trainer.max_epochs)


def budget_of(trainer: TrainerSettings, n_train: int, batch_size: int) -> Budget:
    """What is asked for, in whole epochs over `n_train` recordings.

    Where steps are asked for, epochs leave batches out evenly, so that there are as many steps as that, or as near as
    equal epochs come. `auto` sees as many recordings as 30 sqrt(n_train) steps with batches of 32 do: few recordings
    are seen more often, many less, and each more of them still adds steps.

    Raises:
        AudioidError: nothing is left of an epoch.
    """
    batches = len_of_epoch(n_train, batch_size, trainer.devices)
    if isinstance(trainer.limit_train_batches, int):
        batches = min(batches, trainer.limit_train_batches)
    elif trainer.limit_train_batches is not None:
        share, of = trainer.limit_train_batches, batches
        if (batches := math.floor(of * share)) < 1:
            raise AudioidError(f"trainer.limit_train_batches: {share:g} of {of} batches is none; raise it")
    per_step, wanted = trainer.accumulate_grad_batches, asked(trainer)
    if wanted.max_epochs is not None:
        epochs = wanted.max_epochs
    else:
        per_epoch = math.ceil(batches / per_step)  # an epoch's last step takes the batches that are left
        seen = batch_size * trainer.devices * (batches / per_epoch) / AUTO_BATCH  # by a step, for one of the formula
        steps = AUTO_STEPS * math.sqrt(n_train) / seen if wanted.max_steps == "auto" else wanted.max_steps
        epochs = max(1, math.ceil(steps / per_epoch))
        batches = min(batches, per_step * max(1, round(steps / epochs)))
    return Budget(wanted, epochs, batches, epochs * math.ceil(batches / per_step))


def budget_for_use(trainer: TrainerSettings, n_judged: int, n_all: int, batch_size: int, *, kept: int) -> Budget:
    """What `n_all` recordings get after a run that learned from `n_judged` of them was kept after `kept` epochs.

    That run was kept at a share of its budget, and this is the same share, in steps, of what is asked for with
    `n_all` recordings. As many epochs would not do: those of a run that asks for steps are as long as it needs.
    """
    judged, whole = (budget_of(trainer, n, batch_size) for n in (n_judged, n_all))
    steps = max(1, round(whole.steps * kept / judged.epochs))
    return budget_of(trainer.model_copy(update={"max_epochs": None, "max_steps": steps}), n_all, batch_size)


def len_of_epoch(n_train: int, batch_size: int, devices: int) -> int:
    """Batches of an epoch on each of the devices, over which Lightning spreads the recordings evenly.

    A last one of one recording is left out: batch normalisation cannot learn from it.
    """
    whole, rest = divmod(math.ceil(n_train / devices), batch_size)
    return max(1, whole + (rest > 1))
