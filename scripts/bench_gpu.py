"""All that a GPU is for, beside the processor, in one go: pictures, training, seeds at once, generated sounds.

*Pictures*: the largest difference of a picture's value between GPU and processor, images a second of either in
batches of clips of a second, float32, and the bytes of clips read and images written as a share of what a plain copy on
the GPU moves.

*Training*: images a second of the default network and of `model=original` (with its width of 1,000, where
`experiment=original` has 10,000), in steps of forward, backward and fused AdamW on pictures that are on the device, in
batches of the default size and of a large one: plain, in bfloat16, with channels last, compiled, and with these three
together, in turns. In float32 convolutions on a GPU round their factors to TF32, PyTorch's default, which runs leave as
it is; linear layers do not. What cannot be compiled is left out, and a line says why.

*Seeds at once* and *generated sounds* are `bench_parallel_seeds.py` and `bench_generator.py`, which use a GPU where
there is one.

A table follows each part, and with --json the file holds all figures up to there.

`--device cpu` tries the script where there is no GPU; its figures say nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import torch
from tabulate import tabulate
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW

from audioid import models, transforms
from audioid.commands.runner import run_command
from audioid.config import compose
from audioid.errors import AudioidError, one_line
from audioid.files import replacing

TRANSFORMS = ("fft", "cwt", "cqt", "ssq", "mfcc", "both")
NETWORKS = ("cnn", "original")
CLASSES = 10
REPEATS, WARM = 15, 3
Figures = dict[str, float]


def in_turns(actions: Mapping[str, Callable[[], object]], device: str) -> dict[str, float]:
    """Seconds of each action, by the median over turns, once they are warm."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(WARM + REPEATS):
        for name, action in actions.items():
            _wait(device)
            begin = time.perf_counter()
            action()
            _wait(device)
            found[name].append(time.perf_counter() - begin)
    return {name: median(taken[WARM:]) for name, taken in found.items()}


def seconds(action: Callable[[], object], device: str) -> float:
    """Of one action."""
    return in_turns({"": action}, device)[""]


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def bytes_per_second(device: str, count: int) -> float:
    """That a plain copy of so many numbers reads and writes."""
    source = torch.empty(count, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * count / seconds(lambda: target.copy_(source), device)


@torch.no_grad()
def pictures(device: str, batch: int, bandwidth: float) -> Figures:
    found: Figures = {}
    torch.manual_seed(0)
    for name in TRANSFORMS:
        settings = compose([f"transform={name}", "audio.seconds=1"])
        rate = settings.audio.sample_rate
        clips = torch.randn(batch, rate)
        made = transforms.build(
            settings.transform.model_dump(), settings.image.model_dump(), sample_rate=rate, n_samples=rate
        )
        few = clips[: max(1, batch // 16)]
        expected = made(few)
        on_processor = len(few) / seconds(lambda made=made, few=few: made(few), "cpu")  # type: ignore[misc]
        made, clips = made.to(device), clips.to(device)
        difference = float((made(clips[: len(few)]).cpu() - expected).abs().max())
        rate_here = batch / seconds(lambda made=made, clips=clips: made(clips), device)  # type: ignore[misc]
        moved = 4 * (rate + expected[0].numel())
        found |= {
            f"{name}_largest_difference": difference,
            f"{name}_images_per_second": rate_here,
            f"{name}_images_per_second_on_the_processor": on_processor,
            f"{name}_share_of_bandwidth": rate_here * moved / bandwidth,
        }
    return found


def step(network: nn.Module, images: Tensor, labels: Tensor, device: str, dtype: torch.dtype) -> Callable[[], None]:
    """One step of training."""
    optimizer = AdamW(network.parameters(), lr=1e-4, fused=True)

    def action() -> None:
        with torch.autocast(device, dtype, enabled=dtype is not torch.float32):
            loss = functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return action


def training(device: str, batches: tuple[int, ...]) -> Figures:
    """Each way by its images a second, by network and size of the batch."""
    found: Figures = {}
    for name in NETWORKS:
        settings = compose([f"model={name}"])
        size = settings.image.size
        for batch in batches:
            images = torch.rand(batch, 1, size, size, device=device)
            labels = torch.arange(batch, device=device) % CLASSES
            steps: dict[str, Callable[[], None]] = {}
            for way in ("plain", "bfloat16", "channels_last", "compiled", "all_three"):
                made = models.build(settings.model.model_dump(), in_channels=1, n_classes=CLASSES, image_size=size).to(
                    device
                )
                dtype = torch.bfloat16 if way in ("bfloat16", "all_three") else torch.float32
                if way in ("channels_last", "all_three"):
                    made = made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                network = torch.compile(made) if way in ("compiled", "all_three") else made
                action = step(network, images, labels, device, dtype)  # type: ignore[arg-type]
                try:
                    action()  # where it is compiled
                except Exception as error:
                    if network is made:
                        raise
                    print(f"{name} in batches of {batch}, {way}: left out: {one_line(error)}")
                else:
                    steps[way] = action
            for way, taken in in_turns(steps, device).items():
                found[f"{name}_in_{batch}s_{way}_images_per_second"] = batch / taken
    return found


def told_by(script: str, *arguments: str) -> Figures:
    """The figures of another script."""
    path = Path(__file__).with_name(script)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        subprocess.run([sys.executable, path, "--json", file, *arguments], check=True)
        found = json.loads(file.read_text(encoding="utf-8"))
    return {f"{path.stem.removeprefix('bench_')}: {key}": value for key, value in found.items()}


def parts(device: str, quick: bool, overrides: Sequence[str]) -> Iterator[Figures]:
    """The figures of each part, once they are there: what fails later takes none away."""
    bandwidth = bytes_per_second(device, 2**20 if quick else 2**28)
    yield {"bytes_per_second": bandwidth} | pictures(device, 16 if quick else 1024, bandwidth)
    yield training(device, (8,) if quick else (32, 1024))
    if not quick:
        yield told_by("bench_parallel_seeds.py", *overrides)
        yield told_by("bench_generator.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="small batches, and no other scripts")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("overrides", nargs="*", help="for seeds at once, such as data=folder data.root=DIR")
    arguments = parser.parse_intermixed_args()
    device = arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        raise AudioidError("there is no GPU that PyTorch can use; start this where there is one, or try --device cpu")
    print(torch.cuda.get_device_name() if device == "cuda" else "processor", torch.__version__)
    figures: Figures = {}
    for part in parts(device, arguments.quick, arguments.overrides):
        print(tabulate([(name, f"{value:.4g}") for name, value in part.items()], ("figure", "value")), flush=True)
        figures |= part
        if arguments.json:
            with replacing(arguments.json) as file:
                file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_command(main))
