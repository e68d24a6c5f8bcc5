"""How sure answers are: calibration errors, and how well what a model does not know is told, by several scores.

python scripts/bench_sureness.py --known drums3=DIR --unknown drums3=DIR,DIR --known machines=DIR \\
    --groups machines='/(\\S+) '

Each corpus is learned from once for each of --folds folds (the built-in one for as many random splits) and each
picture, and the built-in one with two of its kinds left out, for each of --pairs pairs. `ece` is the mean error on the
test part; `even` is that of answers that are perfectly calibrated and as many (the least that can be seen with so
few), `ece of all answers` that of all test parts together. Areas under the ROC are of the test part against what was
left out, or the folders of --unknown; where kinds are left out, sounds of such kinds are taken out of the background
too, since nobody has foreseen what is unknown. `outside` is against computed noises, tones, chords and, where
espeak-ng is installed, speech. Runs are kept in --out, and only missing ones are made.
"""

import argparse
import contextlib
import csv
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score
from tabulate import tabulate
from unknown_scores import Learned, scores  # type: ignore[import-not-found]

from audioid import model_folder
from audioid.commands.runner import run_command
from audioid.config import compose
from audioid.data.clips import load_clips
from audioid.data.synthetic import write_corpus
from audioid.data.walk import walk
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.pipeline.background import background_kinds
from audioid.pipeline.recordings import Stopwatch, prepare_data
from audioid.training.sureness import binned_error, calibration_error

ARMS = ("cwt", "fft")
BUILT_IN, PAIRS, OUTSIDE = "built-in", "built-in, two left out", "outside"
RATE, SECONDS = 22050, 1.0
WORDS = ("one", "two", "yes", "no", "left", "window", "nothing", "again")
VOICES = ("en-us", "en-gb", "de", "fr", "es", "it", "en-us+f3", "en-gb+m5")
DRAWS = 200
# The generator's kinds of sound that are like each of the built-in corpus's.
RELATIVES = {
    "bar": {"claves", "glockenspiel", "marimba", "vibraphone", "woodblock", "xylophone"},
    "bell": {"bowl", "church_bell", "fm_bell", "glass", "handbell", "triangle", "tubular_bell"},
    "bowed_string": {"cello", "violin"},
    "clap": {"clap"},
    "closed_hihat": {"closed_hihat", "electronic_closed_hihat"},
    "cowbell": {"cowbell", "electronic_cowbell"},
    "cymbal": {"crash", "electronic_cymbal", "ride"},
    "flute": {"flute", "whistle"},
    "kick": {"acoustic_kick", "electronic_kick"},
    "open_hihat": {"electronic_open_hihat", "open_hihat"},
    "plucked_string": {"bass_guitar", "electric_piano", "guitar", "harp", "harpsichord", "piano", "pizzicato", "pluck"},
    "snare": {"acoustic_snare", "electronic_snare", "synthesizer_snare"},
    "tom": {"acoustic_tom", "electronic_tom", "hand_drum", "synthesizer_tom"},
}

Figures = dict[str, Any]  # numbers, but for `sure` and `right`, which are of each answer


@dataclass(frozen=True)
class Case:
    """One training: `overrides` of the run that goes into `folder`, and the files that it cannot know.

    The kinds of the background that are `like_unknown` are not asked.
    """

    name: str
    folder: Path
    overrides: Sequence[str]
    unknown: Sequence[Path]
    outside: Path
    like_unknown: Collection[str] = ()


def planned(arguments: argparse.Namespace) -> list[Case]:
    """Every training that the table needs."""
    out: Path = arguments.out
    outside = write_outside(out / "outside")
    corpus = _built_in(out / "built-in", 15 if arguments.quick else 60)
    shorter = ["trainer.max_epochs=8"] if arguments.quick else []
    protocol = ["trainer.accelerator=cpu", f"trainer.precision={arguments.precision}", *shorter]
    kinds = sorted({label for _, label in corpus})
    pairs = random.Random(0).sample([*itertools.combinations(kinds, 2)], 1 if arguments.quick else arguments.pairs)
    cases = []
    for number, pair in enumerate(pairs):
        arm, manifest = ARMS[number % 2], out / f"without {' '.join(pair)}.csv"
        _write_manifest(manifest, [row for row in corpus if row[1] not in pair])
        unknown = [path for path, label in corpus if label in pair]
        own = ["data=manifest", f"data.file='{manifest.resolve()}'", f"transform={arm}", f"seed={number}", *protocol]
        folder = out / "runs" / f"{'-'.join(pair)}-{arm}"
        cases.append(Case(PAIRS, folder, own, unknown, outside, set().union(*(RELATIVES[kind] for kind in pair))))
    built_in = ["data=synthetic", "split=stratified", "split.seed=FOLD"]
    known = {BUILT_IN: built_in} if arguments.folds and not arguments.quick else {}
    strange = dict(text.split("=", 1) for text in arguments.unknown)
    groups = dict(text.split("=", 1) for text in arguments.groups)
    for text in arguments.known:
        name, _, root = text.partition("=")
        apart = [f"data.group_pattern='{groups[name]}'"] if name in groups else ["split.group=near_duplicates"]
        known[name] = ["data=folder", f"data.root='{root}'", "split=kfold", "split.fold=FOLD", *apart]
    for name in strange.keys() | groups.keys():
        if name not in known:
            raise AudioidError(f"{name}: there is no --known {name}=DIR; name the folder")
    for (name, where), fold, arm in itertools.product(known.items(), range(arguments.folds), ARMS):
        unknown = [*_recordings(strange[name].split(","))] if name in strange else []
        here = [text.replace("FOLD", str(fold)) for text in where]
        own = [*here, f"seed={fold}", f"transform={arm}", *protocol]
        cases.append(Case(name, out / "runs" / f"{name}-{arm}-{fold}", own, unknown, outside))
    return cases


def _built_in(root: Path, per_class: int) -> list[tuple[Path, str]]:
    """The paths and labels of the built-in corpus, which is written once."""
    if not root.exists():
        write_corpus(root, seed=0, per_class=per_class, kits=8, sample_rate=RATE, seconds=SECONDS)
    return [(path, path.parent.name) for path in _recordings([str(root)])]


def _recordings(folders: Sequence[str]) -> Iterator[Path]:
    for folder in folders:
        found = [Path(folder, path).resolve() for path, reason in walk(Path(folder)) if not reason]
        if not found:
            raise AudioidError(f"{folder}: holds no recordings; name another folder")
        yield from found


def _write_manifest(file: Path, rows: Sequence[tuple[Path, str]]) -> None:
    with replacing(file) as part, part.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target).writerows([("path", "label"), *rows])


def write_outside(folder: Path) -> Path:
    """A folder of noises, tones, chords and words, none of which is an instrument that is struck, blown or bowed."""
    if folder.exists():
        return folder
    rng, time, made = np.random.default_rng(0), np.arange(round(RATE * SECONDS)) / RATE, folder.with_name("making")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for number in range(100):
        spectrum = np.fft.rfft(rng.standard_normal(time.size)) / np.arange(1, time.size // 2 + 2) ** rng.uniform(0, 1)
        _write(made / f"noise{number}.wav", np.fft.irfft(spectrum, time.size))
        _write(made / f"tone{number}.wav", _tone(time, rng.uniform(60, 3000), 1 + number % 6, rng))
        voices = [_gate(time, rng) * _tone(time, f_0, 5, rng) for f_0 in 80 * 2 ** rng.uniform(0, 4, 4)]
        _write(made / f"chord{number}.wav", np.sum(voices, 0) + 0.05 * rng.standard_normal(time.size))
    if shutil.which("espeak-ng"):
        for (word, voice), pitch in itertools.product(itertools.product(WORDS, VOICES), (30, 60)):
            file = made / f"{word}_{voice}_{pitch}.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-p", str(pitch), "-w", str(file), word], check=True)
    made.rename(folder)
    return folder


def _tone(time: NDArray[np.float64], f_0: float, harmonics: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.sum([rng.uniform(0.1, 1) * np.sin(2 * np.pi * k * f_0 * time) for k in range(1, harmonics + 1)], 0)


def _gate(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """On and off, a few times a second."""
    return np.sin(2 * np.pi * (rng.uniform(0.5, 6) * time + rng.uniform())) > rng.uniform(-1, 1)


def _write(file: Path, wave: NDArray[np.float64]) -> None:
    soundfile.write(file, 0.5 * wave / np.abs(wave).max(), RATE)


def measure(case: Case) -> Figures:
    """What the table shows of one training, which is made unless it is there."""
    from audioid.commands.train import run_in

    torch.set_num_threads(1)
    file = case.folder / "sureness.json"
    settings = compose(case.overrides)
    case.folder.parent.mkdir(parents=True, exist_ok=True)
    with case.folder.with_name(f"{case.folder.name}.log").open("a") as log, contextlib.redirect_stdout(log):
        run_in(case.folder, settings, list(case.overrides))
    if file.exists():
        found: Figures = json.loads(file.read_text())
        return found
    prepared, model = prepare_data(settings, Stopwatch(), device="cpu"), model_folder.load(case.folder / "model")
    assert model.sureness
    parts = {part: getattr(prepared.split, part) for part in ("train", "test")}
    images = {part: prepared.images[prepared.clips.rows(rows)] for part, rows in parts.items()}
    for name, paths in (("unknown", case.unknown), (OUTSIDE, [*_recordings([str(case.outside)])])):
        if paths:
            first = [load_clips(path, **model.audio)[0] for path in paths]
            waves = torch.from_numpy(np.stack([wave for wave in first if wave is not None]))
            images[name] = torch.cat([model.classifier.transform(some) for some in waves.split(64)]).numpy()
    judged = {name: _judged(model, torch.from_numpy(rows)) for name, rows in images.items()}
    metrics = json.loads((case.folder / "metrics.json").read_text())
    targets = prepared.index.targets
    log_probabilities = log_softmax(judged["test"][1] / metrics["temperature"], axis=1)
    figures: Figures = {
        "sure": np.exp(log_probabilities.max(1)).tolist(),
        "right": (log_probabilities.argmax(1) == targets[parts["test"]]).tolist(),
        "accuracy": metrics["test_accuracy"],
        "ece before": metrics["test_ece_uncalibrated"],
        "ece": metrics["test_ece"],
        "even": even_error(log_probabilities),
        "known turned away": metrics["known_rejected"],
    }
    is_asked = [kind not in case.like_unknown for kind in background_kinds(settings.audio)]
    model.sureness.background = model.sureness.background[torch.tensor(is_asked)]
    learned = Learned(*judged["train"], targets[parts["train"]], model.sureness)
    for name, score in scores(learned).items():
        known = score(*judged["test"])
        for strange in [each for each in ("unknown", OUTSIDE) if each in judged]:
            found_scores = np.concatenate([known, score(*judged[strange])])
            is_strange = np.arange(len(found_scores)) >= len(known)
            figures[f"{strange}: {name}"] = float(roc_auc_score(is_strange, found_scores))
    with replacing(file) as part:
        part.write_text(json.dumps(figures))
    return figures


@torch.inference_mode()
def _judged(model: model_folder.TrainedModel, images: torch.Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features and logits, one row a clip."""
    found = [model.classifier.features_and_logits(some) for some in images.split(64)]
    features = [logits if each is None else each.flatten(1) for each, logits in found]
    return torch.cat(features).double().numpy(), torch.cat([logits for _, logits in found]).double().numpy()


def even_error(log_probabilities: NDArray[np.float64]) -> float:
    """The calibration error of answers whose probabilities are those with which they are right: chance alone."""
    rng, cumulative = np.random.default_rng(0), np.exp(log_probabilities).cumsum(1)
    drawn = [(cumulative < rng.random((len(cumulative), 1)) * cumulative[:, -1:]).sum(1) for _ in range(DRAWS)]
    return fmean(calibration_error(log_probabilities, targets) for targets in drawn)


def table(found: dict[str, list[Figures]]) -> list[dict[str, str]]:
    """A line for each corpus, of means over its trainings."""
    names = list(dict.fromkeys(name for figures in found.values() for each in figures for name in each))
    names = [name for name in names if name not in ("sure", "right")]
    lines = []
    for corpus, figures in found.items():
        sure, is_right = (np.concatenate([each[name] for each in figures]) for name in ("sure", "right"))
        line = {"corpus": corpus, "n": str(len(figures)), "ece of all answers": f"{binned_error(sure, is_right):.3f}"}
        line |= {name: f"{fmean(each[name] for each in figures):.3f}" if name in figures[0] else "" for name in names}
        lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--known", action="append", default=[], metavar="NAME=DIR", help="a folder for each label")
    parser.add_argument("--groups", action="append", default=[], metavar="NAME=REGEX", help="as data.group_pattern")
    parser.add_argument("--unknown", action="append", default=[], metavar="NAME=DIR,...", help="none of its labels")
    parser.add_argument("--folds", type=int, default=5, help="of each corpus, of five; default: 5")
    parser.add_argument("--pairs", type=int, default=20, help="of kinds left out of the built-in corpus; default: 20")
    parser.add_argument("--precision", default="32-true", help="as trainer.precision; default: 32-true")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="runs at a time; default: cores")
    parser.add_argument("--out", type=Path, default=Path("outputs/sureness"), help="where the runs go")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="one pair of a small built-in corpus, eight epochs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.out = arguments.out / "quick"
    cases, found = planned(arguments), dict[str, list[Figures]]()
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        for number, (case, figures) in enumerate(zip(cases, pool.map(measure, cases), strict=True), 1):
            found.setdefault(case.name, []).append(figures)
            print(f"{number}/{len(cases)} {case.folder.name}: ece {figures['ece']:.3f}", flush=True)
    lines = table(found)
    columns = [{"": name} | {line["corpus"]: line[name] for line in lines} for name in lines[0] if name != "corpus"]
    print(tabulate(columns, headers="keys", disable_numparse=True))
    if arguments.json:
        flat = {
            f"{line['corpus']} {name}": float(line[name])
            for line in lines
            for name in line
            if name != "corpus" and line[name]
        }
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(flat, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
