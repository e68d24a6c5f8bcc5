"""What the comparison of many runs takes, and how large the report of thirty is, on made-up records.

The records are whole: predictions that are wrong often enough for every kind of recording to be shown, learning
curves, features, and a corpus whose pictures and sounds the report holds.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from numpy.random import Generator, default_rng
from sklearn.metrics import f1_score
from tabulate import tabulate

from audioid.config import compose
from audioid.data.synthetic import INSTRUMENTS, write_corpus
from audioid.files import replacing

CLASSES = sorted(INSTRUMENTS)
PER_CLASS, EPOCHS, FOLDS, FEATURES = 24, 20, 5, 64
ARMS = ("fft", "cwt")
COMPARE = Path(__file__).with_name("compare.py")


def write_runs(root: Path, corpus: Path, count: int, rng: Generator) -> None:
    """`count` runs of both arms over repeated folds of the corpus."""
    paths = np.array(sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.wav")))
    labels = np.array([CLASSES.index(path.split("/")[0]) for path in paths])
    difficulty = rng.normal(3.5, 1.5, len(paths))
    for number in range(count):
        arm, pairing = ARMS[number % 2], number // 2
        repeat, fold = divmod(pairing, FOLDS)
        is_test = default_rng(repeat).permutation(np.arange(len(paths)) % FOLDS) == fold
        overrides = [f"transform={arm}", "data=folder", f"data.root={corpus}", "split=kfold", f"split.fold={fold}"]
        settings = compose([*overrides, f"split.seed={repeat}", f"seed={repeat}"]).model_dump()
        write_run(root / f"{arm} {pairing:04d}", settings, paths[is_test], labels[is_test], difficulty[is_test], rng)


def write_run(
    folder: Path,
    settings: dict[str, object],
    paths: np.ndarray,
    labels: np.ndarray,
    difficulty: np.ndarray,
    rng: Generator,
) -> None:
    """What training leaves, but for the network."""
    logits = rng.normal(0, 1, (len(labels), len(CLASSES)))
    logits[np.arange(len(labels)), labels] += difficulty
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = np.round(probabilities / probabilities.sum(axis=1, keepdims=True), 6)
    predicted = probabilities.argmax(axis=1)
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(settings))
    with (folder / "predictions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "predicted", "group", *CLASSES])
        for row, path in enumerate(paths):
            table.writerow([path, CLASSES[labels[row]], CLASSES[predicted[row]], "", *probabilities[row]])
    with (folder / "curves.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"])
        for epoch in range(EPOCHS):
            reached = 1 - np.exp(-(epoch + 1) / 4)
            table.writerow([epoch, 1 - reached, reached, 1.2 - reached, 0.9 * reached, 0.001])
    np.save(folder / "features.npy", rng.normal(size=(len(labels), FEATURES)).astype(np.float16))
    accuracy = float((predicted == labels).mean())
    split = settings["split"]
    assert isinstance(split, dict)
    record = {
        "transform": settings["transform"]["name"], "seed": settings["seed"], "split_seed": split["seed"],  # type: ignore[index]
        "fold": split["fold"], "classes": CLASSES, "n_train": 3 * len(labels), "n_val": len(labels),
        "n_test": len(labels), "train_accuracy": 1.0, "val_accuracy": accuracy, "val_loss": 0.5,
        "test_accuracy": accuracy, "test_loss": 0.5, "epochs": EPOCHS, "max_epochs": EPOCHS,
        "test_macro_f1": float(f1_score(labels, predicted, labels=range(len(CLASSES)), average="macro")),
        "index_digest": "made up", "commit": None, "transform_ms_per_clip": 1.0, "parameters": 250_000,
        "multiply_adds": 33_000_000, "decode_ms_per_file": 0.3, "peak_memory_mib": 150.0,
        "seconds": {"fit": 15.0, "total": 17.0},
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(record))


def measured(runs: Path) -> tuple[float, float]:
    """Seconds and GiB of the whole command."""
    started = time.perf_counter()
    subprocess.run([sys.executable, str(COMPARE), str(runs)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="200 runs for 1,000")
    arguments = parser.parse_args()
    many = 200 if arguments.quick else 1000
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_corpus(root / "corpus", seed=0, per_class=PER_CLASS * FOLDS, kits=8, sample_rate=22050, seconds=1.0)
        for count in (30, many):  # the smaller first: of all children the largest memory is told
            write_runs(root / f"{count}", root / "corpus", count, default_rng(count))
            figures[f"seconds_{count}_runs"], figures[f"gib_{count}_runs"] = measured(root / f"{count}")
            figures[f"report_mb_{count}_runs"] = (root / f"{count}" / "report.html").stat().st_size / 1e6
    print(tabulate(list(figures.items()), ["figure", "value"], floatfmt=".3g"))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
