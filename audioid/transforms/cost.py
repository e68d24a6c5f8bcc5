"""What a transform costs."""

import statistics
import time

import torch

from audioid.transforms.image import TimeFrequencyTransform

SECONDS = 0.1


def milliseconds_per_clip(
    transform: TimeFrequencyTransform, *, device: torch.device, batch_size: int = 64, repeats: int = 9
) -> float:
    """Warm milliseconds per clip on `device`, which `transform` is on: the median of up to `repeats` batches of noise.

    Takes about `SECONDS` in all: batches are smaller than `batch_size`, and fewer, where clips take long.
    """
    end = time.perf_counter() + SECONDS
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(batch_size, transform.image.n_samples, generator=generator).to(device)
    _milliseconds(transform, clips[:1])
    single = _milliseconds(transform, clips[:1])
    clips = clips[: max(1, int(SECONDS / 6 * 1e3 / single))]
    _milliseconds(transform, clips)  # FFTs of this batch are planned
    found = [_milliseconds(transform, clips)]
    while len(found) < repeats and time.perf_counter() < end:
        found.append(_milliseconds(transform, clips))
    return statistics.median(found) / len(clips)


@torch.inference_mode()
def _milliseconds(transform: torch.nn.Module, clips: torch.Tensor) -> float:
    is_cpu = clips.device.type == "cpu"
    if not is_cpu:
        torch.accelerator.synchronize()
    begin = time.perf_counter()
    transform(clips)
    if not is_cpu:
        torch.accelerator.synchronize()
    return 1e3 * (time.perf_counter() - begin)
