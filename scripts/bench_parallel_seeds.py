"""What it brings to train several seeds as one (`trainer.parallel_seeds`), against the same runs one after the other.

On the device that a run would take, on the built-in corpus, for the default network and a small one, and the original
one. Each side is whole runs in this process, from reading the corpus to the record; images are in the store already.
The two take turns. `ratio` is the median over these turns of the seconds of all single runs by those of the one,
`fit_ratio` the same of their training alone. `worst_difference` is the largest of any test probability that the two
give: rounding alone at first, which training then amplifies, as it would a change of the initial weights in their last
digits.
"""

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from tabulate import tabulate

from audioid.config import compose
from audioid.files import replacing
from audioid.training import run as alone
from audioid.training.parallel import run as parallel
from audioid.training.run_folder import Plan

NETWORKS = {
    "cnn": ["model=cnn"],
    "small_cnn": ["model=cnn", "model.width=8", "image.size=32"],
    "original": ["model=original", "model.width=100"],
    "small_original": ["model=original", "model.width=20", "image.size=32"],
}
TURNS = 3


def plans(overrides: list[str], seeds: int, root: Path) -> list[Plan]:
    """A run for each seed, in a folder of its own."""
    return [Plan(compose([*overrides, f"seed={seed}"]), root / f"seed={seed}", overrides) for seed in range(seeds)]


def figures_of(plan: Plan) -> dict[str, float]:
    """Seconds, and the images that were learned from."""
    found = json.loads((plan.folder / "metrics.json").read_text(encoding="utf-8"))
    seen = found["max_steps"] * min(plan.settings.data.batch_size, found["n_train"])
    return {"total": found["seconds"]["total"], "fit": found["seconds"]["fit"], "images": seen}


def turn(overrides: list[str], seeds: int) -> tuple[dict[str, float], dict[str, float], float]:
    """Sums over the runs of either side, and the largest difference of their probabilities."""
    sides, tables = [], []
    for side in ("alone", "together"):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            chosen = plans(overrides, seeds, Path(folder))
            if side == "together":
                parallel.run(chosen)
            else:
                for plan in chosen:
                    alone.run(plan.settings, plan.folder, plan.overrides)
            found = [figures_of(plan) for plan in chosen]
            tables.append([pd.read_csv(plan.folder / "predictions.csv").iloc[:, 4:] for plan in chosen])
        sides.append({key: sum(each[key] for each in found) for key in found[0]})
    worst = max(float(np.abs(one - other).max(axis=None)) for one, other in zip(*tables, strict=True))
    return sides[0], sides[1], worst


def measured(name: str, overrides: list[str], seeds: int, turns: int) -> dict[str, float]:
    """The figures of one network."""
    short = ["trainer.max_steps=auto", "trainer.max_epochs=1"]
    turn([*overrides, *short], 1)  # so that the store is filled, and all is loaded
    found = [turn(overrides, seeds) for _ in range(turns)]
    return {
        f"{name}_ratio": median(one["total"] / other["total"] for one, other, _ in found),
        f"{name}_fit_ratio": median(one["fit"] / other["fit"] for one, other, _ in found),
        f"{name}_images_per_second_alone": median(one["images"] / one["fit"] for one, _, _ in found),
        f"{name}_images_per_second_together": median(other["images"] / other["fit"] for _, other, _ in found),
        f"{name}_worst_difference": max(worst for _, _, worst in found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer recordings, seeds, epochs and turns")
    parser.add_argument("--seeds", type=int, metavar="N", help="how many (5; on a GPU 20)")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as data=folder data.root=DIR")
    arguments = parser.parse_intermixed_args()
    seeds = arguments.seeds or (2 if arguments.quick else 20 if torch.cuda.is_available() else 5)
    figures: dict[str, float] = {"seeds": seeds, "threads": torch.get_num_threads(), "cuda": torch.cuda.is_available()}
    with tempfile.TemporaryDirectory() as store:
        more = [f"store.root={store}", *arguments.overrides]
        more += ["data.per_class=8", "trainer.max_epochs=2"] if arguments.quick else []
        for name in arguments.networks:
            figures |= measured(name, [*NETWORKS[name], *more], seeds, 1 if arguments.quick else TURNS)
    print(tabulate([(name, f"{value:.4g}") for name, value in figures.items()], ("figure", "value")))
    if arguments.json:
        with replacing(arguments.json) as file:
            file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
