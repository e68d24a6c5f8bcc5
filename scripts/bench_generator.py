"""How fast the generator is, how surely the same seed gives the same sounds, and how far they lie from recordings.

    python scripts/bench_generator.py [--real DIR] [--json FILE] [--quick]

Sounds of 1 s at 22,050 Hz, rooms and microphones included, kinds as often as their shares say, in batches of 2,048,
with as many processes as there are cores and with one; beside the writer of the built-in corpus, which uses one. They
take turns, and the medians count.

With --real: for each label that the folder and the generator both have, a small network is told to tell generated
sounds from recordings, tried on makers that it has not heard (50 % is chance: they cannot be told apart; beside it the
area under the receiver's curve, which no shift of all answers changes), and a random forest to do so by the measures
alone. Of each measure, the difference of the medians by the pooled spread, and Kolmogorov and Smirnov's statistic;
worst first. --half keeps the makers whose names' SHA-256 begins with an even byte (0) or an odd one (1), so that the
generator can be chosen by some makers and judged by others.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from realism import LEVEL, Judge, distances, generated, recordings, table  # type: ignore[import-not-found]
from tabulate import tabulate
from torch import Tensor

from audioid.commands.runner import run_command
from audioid.data.synthetic import INSTRUMENTS, write_corpus
from audioid.files import replacing
from audioid.generator.generator import Generator
from audioid.generator.kinds import KINDS

SAMPLE_RATE, SECONDS = 22050, 1.0
BATCH = 2048  # some two dozen of each kind
ROUNDS = 5


def mixture(number: int, count: int) -> Tensor:
    """Kinds of a batch, as often as their shares say."""
    shares = torch.tensor([float(kind.share) for kind in KINDS])
    return shares.multinomial(count, replacement=True, generator=torch.Generator().manual_seed(number))


def make(number: int, count: int, device: str = "cpu") -> int:
    """Makes a batch of sounds; how many."""
    torch.set_num_threads(1)
    kinds = mixture(number, count)
    makers = torch.arange(number * count, (number + 1) * count)
    generator = Generator(seed=0, sample_rate=SAMPLE_RATE, seconds=SECONDS, device=device)
    return len(generator.sounds(kinds, makers, torch.zeros_like(makers)).cpu())


def write(per_class: int) -> int:
    """Writes the built-in corpus; how many sounds."""
    with tempfile.TemporaryDirectory() as folder:
        size = {"per_class": per_class, "kits": 8, "sample_rate": SAMPLE_RATE, "seconds": SECONDS}
        write_corpus(Path(folder) / "corpus", seed=0, **size)  # type: ignore[arg-type]
    return per_class * len(INSTRUMENTS)


def rates(contestants: dict[str, Callable[[], int]], rounds: int) -> dict[str, float]:
    """Sounds a second of each: median of rounds in which they take turns, after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, contestant in contestants.items():
            begin = time.perf_counter()
            count = contestant()
            if number:
                found[name].append(count / (time.perf_counter() - begin))
    return {name: statistics.median(values) for name, values in found.items()}


def speed(*, quick: bool) -> dict[str, float]:
    cores, count = os.cpu_count() or 1, BATCH // 8 if quick else BATCH
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        contestants: dict[str, Callable[[], int]] = {
            "generator_all_cores": lambda: sum(pool.map(partial(make, count=count), range(cores))),
            "generator_one_process": lambda: make(0, count),
            "built_in_writer": lambda: write(1 if quick else 6),
        }
        if torch.cuda.is_available():
            contestants["generator_gpu"] = lambda: make(0, 16 * count, "cuda")
        found = rates(contestants, 1 if quick else ROUNDS)
    return {
        "cores": float(cores),
        **{f"{name}_sounds_per_second": value for name, value in found.items()},
        "all_cores_over_built_in_writer": found["generator_all_cores"] / found["built_in_writer"],
        "one_process_over_built_in_writer": found["generator_one_process"] / found["built_in_writer"],
    }


def sameness() -> dict[str, float]:
    """The largest differences of samples between what should be the same sounds, two of each kind."""
    kinds = torch.arange(len(KINDS)).repeat(2)
    makers = torch.arange(len(kinds))
    takes = torch.zeros_like(makers)

    def made(device: str = "cpu") -> Tensor:
        generator = Generator(seed=0, sample_rate=SAMPLE_RATE, seconds=SECONDS, device=device)
        return generator.sounds(kinds, makers, takes).cpu()

    first, generator = made(), Generator(seed=0, sample_rate=SAMPLE_RATE, seconds=SECONDS)
    alone = torch.cat([generator.sounds(kinds[[i]], makers[[i]], takes[[i]]) for i in range(len(kinds))])
    found = {"cpu_twice": made(), "one_batch_or_many": alone}
    if torch.cuda.is_available():
        found["cpu_or_gpu"] = made("cuda")
    return {f"{name}_largest_difference": float((first - other).abs().max()) for name, other in found.items()}


def realism(arguments: argparse.Namespace) -> dict[str, float]:
    """Prints the tables of labels and of their measures; the figures."""
    same_as = dict(pair.split("=") for pair in arguments.map.split(",") if pair)
    real, labels, groups = recordings(
        arguments.real, group_pattern=arguments.group_pattern, half=arguments.half, same_as=same_as
    )
    made, kinds = generated(labels, seed=arguments.seed)
    judge, made_table, real_table = Judge(labels, groups), table(made), table(real)
    seen, counted = judge.by_pictures(made, real), judge.by_measures(made_table, real_table)
    told = {str(label): judge.accuracy(seen, label) for label in np.unique(labels)}
    figures: dict[str, float] = {}
    summary, details = [], []
    for label in sorted(told, key=lambda label: -told[label]):
        chosen = labels == label
        rows = distances(made_table, real_table, chosen)
        furthest = ", ".join([name for name, *_ in rows if name != LEVEL][:4])
        others = {"area": judge.area(seen, label), "told_apart_by_measures": judge.accuracy(counted, label)}
        summary.append((label, int(chosen.sum()), *(100 * each for each in (told[label], *others.values())), furthest))
        details += [(label, *row) for row in rows]
        figures |= {f"{label}_{name}": value for name, value in {"told_apart": told[label], **others}.items()}
        for name, _, _, apart, distance in rows:
            figures |= {f"{label}_{name}_apart": apart, f"{label}_{name}_ks": distance}
    found = {kind: float((seen[: len(kinds)][kinds == kind] < 0.5).mean()) for kind in np.unique(kinds)}
    by_kind = [(k, int((kinds == k).sum()), 100 * share) for k, share in sorted(found.items(), key=lambda i: -i[1])]
    figures["told_apart_mean"] = float(np.mean(list(told.values())))
    headers = ["label", "recordings", "told apart, %", "area, %", "by measures, %", "measures furthest apart"]
    print(tabulate(summary, headers=headers, floatfmt=".1f"))
    print(f"Mean over labels: {100 * figures['told_apart_mean']:.1f} %\n")
    print(tabulate(by_kind, headers=["kind", "sounds", "found out, %"], floatfmt=".1f"), end="\n\n")
    headers = ["label", "measure", "generated", "real", "medians apart", "Kolmogorov-Smirnov"]
    print(tabulate(details, headers=headers, floatfmt=".2f"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, metavar="DIR", help="recordings, a folder per label, instead of the speed")
    parser.add_argument("--group-pattern", metavar="REGEX", help="captures a recording's maker, as data.group_pattern")
    parser.add_argument("--half", type=int, choices=(0, 1), help="only makers whose SHA-256 begins even (0) or odd")
    parser.add_argument("--map", default="", metavar="THEIRS=OURS,...", help="labels of the folder that ours stand for")
    parser.add_argument("--seed", type=int, default=0, help="of the sounds that are compared")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="one round of few sounds")
    arguments = parser.parse_args()
    if arguments.real:
        figures = realism(arguments)
    else:
        figures = speed(quick=arguments.quick) | sameness()
        print(tabulate(figures.items(), headers=["", ""], floatfmt=",.4g"))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    sys.exit(run_command(main))
