"""How well long recordings are named, how fast, and in how much memory.

python scripts/bench_timeline.py RUN/model --hits DIR --half 1

makes drum loops of the hits in DIR (a folder for each label): on a grid of sixteenths at 80 to 180 bpm, at levels up to
12 dB apart, with tails of up to half a second that sound on into the next. It prints the F1 of the onsets that
`--onsets` finds within 30 ms, and the share of those found that are named rightly. Then it makes an hour of loops, and
takes the time and the memory of `--window 1.0 --hop 0.25`. What the model learned from must not be in DIR: `--half`
takes files whose number in the name is even (0) or odd (1). The constants of `audioid/identification/onsets.py` were
chosen on even ones.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray
from tabulate import tabulate

from audioid.commands.runner import run_command
from audioid.data.audio import Waveform, decode, hop_power, onset, open_recording
from audioid.data.walk import walk
from audioid.errors import AudioidError
from audioid.files import path_argument, replacing

RATE = 44100
TAIL, FADE = 0.5, 0.02  # seconds of a hit, and of its end that are faded
QUIETEST = -12.0  # decibels below the loudest
BPM = (80, 180)
SLOTS, SHARE = 32, 0.5  # sixteenths in a loop, and how many of them sound
WITHIN = 0.03


@dataclass(frozen=True)
class Hit:
    """A sound `(time,)` of peak 1, in which it begins at sample `onset`."""

    label: str
    wave: Waveform
    onset: int


@dataclass(frozen=True)
class Loop:
    """A waveform `(time,)` with the seconds at which hits begin in it, and their labels."""

    wave: Waveform
    onsets: NDArray[np.float64]
    labels: list[str]


def read_hits(folder: Path, half: int | None) -> list[Hit]:
    """Those of a folder, by the parity of the last number in their names if `half` is given."""
    hits = []
    for path, reason in walk(folder):
        numbers = re.findall(r"\d+", Path(path).stem)
        if reason or (half is not None and (not numbers or int(numbers[-1]) % 2 != half)):
            continue
        with open_recording(folder / path) as file:
            rate = file.samplerate
            hop, power = hop_power(file)
        begin = onset(power) * hop / rate
        whole = decode(folder / path, sample_rate=RATE, time=round(RATE * (begin + TAIL + 1)), start="beginning")
        trimmed = Hit(Path(path).parts[0], whole / np.abs(whole).max(), _onset(whole))
        wave = trimmed.wave[: trimmed.onset + round(TAIL * RATE)].copy()
        faded = min(len(wave), round(FADE * RATE))
        wave[-faded:] *= np.linspace(1, 0, faded, dtype=np.float32)
        hits.append(Hit(trimmed.label, wave, trimmed.onset))
    if not hits:
        raise AudioidError(f"{folder}: holds no hits of that half; name a folder of folders of recordings")
    return hits


def _onset(wave: Waveform) -> int:
    """Where the level of 1 ms first comes within 30 dB of the loudest."""
    hop = RATE // 1000
    return onset(wave[: len(wave) // hop * hop].reshape(-1, hop).var(axis=1, dtype=np.float64)) * hop


def make_loop(hits: list[Hit], rng: Generator) -> Loop:
    """Hits on a grid of sixteenths, no two at once, whose tails sound on into the next."""
    labels = sorted({hit.label for hit in hits})
    of_label = {label: [hit for hit in hits if hit.label == label] for label in labels}
    step = 60 / rng.uniform(*BPM) / 4
    wave = np.zeros(round(RATE * (SLOTS * step + TAIL + 0.5)), np.float32)
    onsets, names = [], []
    for slot in np.flatnonzero(rng.random(SLOTS) < SHARE):
        label = labels[rng.integers(len(labels))]
        hit = of_label[label][rng.integers(len(of_label[label]))]
        at = round(RATE * (0.25 + slot * step))
        start = max(0, at - hit.onset)
        sound = hit.wave[max(0, hit.onset - at) :] * np.float32(10 ** (rng.uniform(QUIETEST, 0) / 20))
        wave[start : start + len(sound)] += sound
        onsets.append(at / RATE)
        names.append(label)
    return Loop(wave * np.float32(0.9 / max(1e-6, np.abs(wave).max())), np.array(onsets), names)


def matched(found: NDArray[np.float64], true: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (found, true) within 30 ms, each in at most one; both rise, so that taking the earliest finds the most."""
    pairs, place = [], 0
    for number, seconds in enumerate(found):
        while place < len(true) and true[place] < seconds - WITHIN:
            place += 1
        if place < len(true) and true[place] <= seconds + WITHIN:
            pairs.append((number, place))
            place += 1
    return pairs


def loops(model_folder: Path, hits: list[Hit], count: int) -> dict[str, float]:
    """What `--onsets` makes of so many drum loops: shares from 0 to 1, errors in milliseconds."""
    from audioid.identification import builtin, timeline

    model, rng = builtin.load(str(model_folder)), np.random.default_rng(0)
    n_found = n_true = n_right = 0
    errors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            loop, file = make_loop(hits, rng), Path(folder) / f"{number}.wav"
            soundfile.write(file, loop.wave, RATE)
            found = list(timeline.hits(model, file))
            starts = np.array([segment.start for segment in found])
            pairs = matched(starts, loop.onsets)
            n_found, n_true = n_found + len(found), n_true + len(loop.labels)
            n_right += sum(found[one].label == loop.labels[other] for one, other in pairs)
            errors += [1000 * (starts[one] - loop.onsets[other]) for one, other in pairs]
    return {
        "loops": count,
        "hits": n_true,
        "onset_precision": len(errors) / n_found,
        "onset_recall": len(errors) / n_true,
        "onset_f1": 2 * len(errors) / (n_found + n_true),
        "onset_median_error_ms": float(np.median(errors)),
        "names_right": n_right / len(errors),
    }


def long_recording(model_folder: Path, hits: list[Hit], seconds: float) -> dict[str, float]:
    """Seconds and the most memory that the whole command takes for a recording of loops."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        file, rows = Path(folder) / "long.wav", Path(folder) / "rows.csv"
        with soundfile.SoundFile(file, "w", RATE, 1) as out:
            while out.frames < seconds * RATE:
                out.write(make_loop(hits, rng).wave[: round(seconds * RATE) - out.frames])
        command = [sys.executable, str(Path(__file__).with_name("identify.py")), str(model_folder), str(file)]
        options = ["--window", "1.0", "--hop", "0.25", "--format", "csv", "--out", str(rows)]
        started = time.perf_counter()
        subprocess.run(command + options, check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "audio_seconds": seconds,
            "seconds": time.perf_counter() - started,
            "processor_seconds": used.ru_utime + used.ru_stime,  # of all cores
            "peak_memory_mib": used.ru_maxrss / 1024,
            "rows": len(rows.read_text().splitlines()) - 1,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "model", type=path_argument, metavar="MODEL", help="a model folder whose labels are those of DIR"
    )
    parser.add_argument("--hits", type=path_argument, required=True, metavar="DIR", help="a folder for each label")
    parser.add_argument("--half", type=int, choices=(0, 1), help="files with an even (0) or odd (1) number")
    parser.add_argument("--json", type=path_argument, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer loops, and a minute for the hour")
    arguments = parser.parse_args()
    hits = read_hits(arguments.hits, arguments.half)
    figures = loops(arguments.model, hits, 5 if arguments.quick else 100)
    figures |= long_recording(arguments.model, hits, 60.0 if arguments.quick else 3600.0)
    print(tabulate([(name, f"{value:.4g}") for name, value in figures.items()], ("figure", "value")))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
