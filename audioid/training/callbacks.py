"""What watches a training: plain progress lines, and the state to resume from."""

import time
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint


class ProgressLines(Callback):
    """A line for each tenth of the epochs, for logs and pipes where a moving bar would be noise."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        if not trainer.is_global_zero:
            return
        if epoch in (1, epochs) or epoch * 10 // epochs > (epoch - 1) * 10 // epochs:
            curves = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
            values = "  ".join(f"{name} {value:.3f}" for name, value in curves.items())
            print(f"  epoch {epoch:>3}/{epochs}  {values}", flush=True)


class KeepLast(Checkpoint):
    """Writes `last.ckpt` at the end of epochs, as often as takes at most a twentieth of the time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "last.ckpt"
        self.written, self.cost = time.monotonic(), 0.0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        started = time.monotonic()
        last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if last or started - self.written >= 20 * self.cost:
            part = self.path.with_suffix(".part")
            trainer.save_checkpoint(part)
            if trainer.is_global_zero:
                part.replace(self.path)
            self.written = time.monotonic()
            self.cost = self.written - started
