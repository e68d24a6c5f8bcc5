"""Where images are made and networks judged."""

import os

import torch

from audioid.errors import AudioidError
from audioid.schema import CnnSettings, Settings


def device_of(settings: Settings) -> str:
    """The device that `trainer.accelerator` stands for on this machine.

    Raises:
        AudioidError: there is no such device, or not as many as are asked for, or Slurm began another number of tasks.
    """
    wanted, devices = settings.trainer.accelerator, settings.trainer.devices
    has_gpu = torch.cuda.is_available()
    if (wanted == "gpu" and not has_gpu) or (wanted == "mps" and not torch.backends.mps.is_available()):
        raise AudioidError(f"trainer.accelerator: there is no {wanted} that PyTorch can use; leave it at auto")
    device = "cuda" if has_gpu and wanted in ("auto", "gpu") else "mps" if wanted == "mps" else "cpu"
    there = {"cuda": torch.cuda.device_count(), "mps": 1, "cpu": os.cpu_count() or 1}[device]
    if devices > there:
        raise AudioidError(f"trainer.devices: {devices} are asked for, and {there} there; lower it")
    if settings.trainer.strategy != "auto":
        _refuse_other_tasks(devices)
    if settings.trainer.precision == "16-mixed" and device == "cpu":
        raise AudioidError("trainer.precision: 16-mixed needs a GPU; choose bf16-mixed or 32-true")
    if device == "cpu":
        _refuse_one_pixel(settings)
    return device


def _refuse_other_tasks(devices: int) -> None:
    """Before the pictures are made: Lightning asks after that, and would end in a traceback."""
    from pytorch_lightning.plugins.environments import SLURMEnvironment

    try:
        if SLURMEnvironment.detect():
            SLURMEnvironment().validate_settings(num_devices=devices, num_nodes=1)
    except (ValueError, RuntimeError) as error:
        raise AudioidError(
            f"trainer.devices: {devices}, as srun --nodes=1 --ntasks-per-node={devices} begins them, but Slurm began "
            f"others ({str(error).partition(' HINT')[0]})"
        ) from None


def _refuse_one_pixel(settings: Settings) -> None:
    """Of convolutions of one pixel in bfloat16 oneDNN leaves gradients of weights that meet nothing but padding as they
    lay in memory (PyTorch 2.11)."""
    model, size = settings.model, settings.image.size
    if settings.trainer.precision != "bf16-mixed" or not isinstance(model, CnnSettings):
        return
    if size <= 2 ** (model.depth if model.blocks else model.depth - 1):  # what the last of them is given
        raise AudioidError(
            f"trainer.precision: bf16-mixed cannot train convolutions of a single pixel on a processor, to which "
            f"model.depth={model.depth} brings images of {size}; lower it, or choose 32-true"
        )
