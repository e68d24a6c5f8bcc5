"""Measure the search for near duplicates: recall and precision on copies of real and built-in recordings, and time.

Each recording is copied in eight ways; originals and the copies of one way are searched together. A pair of an
original and a copy is right if the copy is its own. Pairs of others are wrong, save those already there:
aligned sample for sample at their full rate they differ by less than the noise that copies get (a residue below
-30 dB, with gain, polarity and delay free). They count neither way, and are listed.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import soxr
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from audioid.data.index import Index, index_folder
from audioid.data.near_duplicates import near_duplicate_groups, near_duplicate_pairs
from audioid.data.synthetic import write_corpus
from audioid.files import replacing

Samples = NDArray[np.float32]  # (time, channels)
RATES = (16000, 22050, 32000, 48000)
# Rates of MPEG 1 layer III, and the setting of libsndfile that makes 96 kbit/s at all of them.
MP3_RATES, MP3_LEVEL = (32000, 44100, 48000), 0.777


def trim(samples: Samples, rate: int, random: Generator) -> tuple[Samples, int]:
    """Less up to 50 ms of the start, but never more than a quarter of the recording."""
    return samples[int(min(random.uniform(0.005, 0.05) * rate, len(samples) / 4)) :], rate


def resample(samples: Samples, rate: int, random: Generator) -> tuple[Samples, int]:
    to = int(random.choice([other for other in RATES if other != rate]))
    return soxr.resample(samples, rate, to), to


def mp3_rate(samples: Samples, rate: int, random: Generator) -> tuple[Samples, int]:
    """The first two channels at a rate that mp3 knows."""
    to = rate if rate in MP3_RATES else 44100
    return soxr.resample(samples[:, :2], rate, to), to


def channels(samples: Samples, rate: int, random: Generator) -> tuple[Samples, int]:
    """Mono of several channels, two channels of one."""
    return (samples.mean(axis=1, keepdims=True) if samples.shape[1] > 1 else np.repeat(samples, 2, axis=1)), rate


def noise(samples: Samples, rate: int, random: Generator) -> tuple[Samples, int]:
    """White noise 30 dB below the recording's mean power."""
    level = np.sqrt(np.mean(np.square(samples))) * 10 ** (-30 / 20)
    return samples + level * random.standard_normal(samples.shape), rate


WAYS: dict[str, tuple[Callable[[Samples, int, Generator], tuple[Samples, int]], str]] = {
    "gain": (lambda samples, rate, random: (samples * 10 ** (-random.uniform(3, 20) / 20), rate), ".wav"),
    "trim": (trim, ".wav"),
    "mp3": (mp3_rate, ".mp3"),
    "ogg": (lambda samples, rate, random: (samples, rate), ".ogg"),
    "resample": (resample, ".wav"),
    "channels": (channels, ".wav"),
    "polarity": (lambda samples, rate, random: (-samples, rate), ".wav"),
    "noise": (noise, ".wav"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, metavar="DIR", action="append", help="recordings in place of the built-in")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="130 recordings, and 1,000 for the time")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        roots = arguments.root or [_built_in(Path(folder) / "built-in", arguments.seed, 10 if arguments.quick else 40)]
        for root in roots:
            counts = _accuracy(root, Path(folder) / f"pairs-{root.name}", arguments.seed)
            print(f"{root.name}: {len(index_folder(root).table)} recordings")
            print(counts.to_string(index=False, float_format="{:.4f}".format), end="\n\n")
            for row in counts.to_dict("records"):
                for name in ("recall", "precision"):
                    figures[f"{root.name}_{row['way']}_{name}"] = row[name]
        if not arguments.root:
            many = index_folder(_built_in(Path(folder) / "many", arguments.seed, 77 if arguments.quick else 770))
            start = time.perf_counter()
            groups = near_duplicate_groups(many)
            figures |= {"recordings": len(groups), "seconds": time.perf_counter() - start}
            found = len(groups) - len(np.unique(groups))
            print(f"{len(groups):,} built-in recordings: {figures['seconds']:.1f} s, {found} joined to others")
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")


def _built_in(root: Path, seed: int, per_class: int) -> Path:
    write_corpus(root, seed=seed, per_class=per_class, kits=10, sample_rate=22050, seconds=1.0)
    return root


def _accuracy(root: Path, folder: Path, seed: int) -> pd.DataFrame:
    """Recall and precision for each way of copying, and overall."""
    source = index_folder(root)
    kept = _first_of_equals(source)
    for name, row in enumerate(kept):
        samples, rate = soundfile.read(root / source.table["path"][row], dtype="float32", always_2d=True)
        _write(folder / "original" / f"{name}.wav", samples, rate)
        for place, (way, (change, suffix)) in enumerate(WAYS.items()):
            copy = change(samples, rate, default_rng([seed, name, place]))
            _write(folder / way / f"{name}{suffix}", *copy)
    everything = index_folder(folder)
    counted: list[tuple[str, int, int, int, int]] = []
    for way in WAYS:
        part = everything.table[everything.table["label"].isin(["original", way])].reset_index(drop=True)
        number = part["path"].str.extract(r"/(\d+)\.")[0].astype(int).to_numpy()
        pairs = near_duplicate_pairs(Index(folder, part))
        one, other = number[pairs["first"].to_numpy()], number[pairs["second"].to_numpy()]
        copied = (part["label"] == way).to_numpy()
        across = copied[pairs["first"].to_numpy()] != copied[pairs["second"].to_numpy()]
        own = across & (one == other)
        known = np.array([a != b and _equal(folder, a, b) for a, b in zip(one, other, strict=True)], bool) & across
        wrong = across & ~own & ~known
        counted.append((way, len(kept), int(own.sum()), int(wrong.sum()), int(known.sum())))
    counts = pd.DataFrame(counted, columns=["way", "copies", "found", "wrong", "there already"])
    counts.loc[len(counts)] = ["all", *counts.iloc[:, 1:].sum()]
    counts["recall"] = counts["found"] / counts["copies"]
    counts["precision"] = counts["found"] / (counts["found"] + counts["wrong"])
    return counts


def _first_of_equals(index: Index) -> list[int]:
    """The rows to copy: one of each set of equal files, and no silent ones, of which nothing can be found."""
    rows = index.table.drop_duplicates("checksum").index
    return [row for row in rows if np.abs(soundfile.read(index.root / index.table["path"][row])[0]).max() > 1e-3]


def _write(path: Path, samples: Samples, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    how: dict[str, dict[str, Any]] = {
        ".mp3": {"bitrate_mode": "CONSTANT", "compression_level": MP3_LEVEL},
        ".wav": {"subtype": "PCM_16"},
    }
    soundfile.write(path, np.clip(samples, -1, 1), rate, **how.get(path.suffix, {}))


def _equal(folder: Path, one: int, other: int) -> bool:
    """Whether one original is another, sample for sample, but for gain, polarity and delay."""
    (first, rate), (second, other_rate) = (
        soundfile.read(folder / "original" / f"{number}.wav", always_2d=True) for number in (one, other)
    )
    if rate != other_rate:
        return False
    first, second = first.mean(axis=1), second.mean(axis=1)
    size = next_fast_len(len(first) + len(second), real=True)
    products = irfft(rfft(first, size) * np.conj(rfft(second, size)), size)
    likeness = np.abs(products).max() / (np.linalg.norm(first) * np.linalg.norm(second))
    return bool(1 - likeness**2 < 10 ** (-30 / 10))


if __name__ == "__main__":
    main()
