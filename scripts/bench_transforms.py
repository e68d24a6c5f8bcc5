"""How fast and how exact the transforms are, beside other programs' in the same run.

    python scripts/bench_transforms.py [--json FILE] [--quick]

One second clips at 22,050 Hz, 100 frequencies from 40 to 10,000 Hz, images of 100 x 100. Peers that are not installed
are left out; they come with `pip install -e .[bench]`, and fCWT needs the library libfftw3-single3.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pywt
import torch
from torch.nn import functional
from wavelet_oracle import mean_power, squeezed_power  # type: ignore[import-not-found]

from audioid import transforms
from audioid.files import replacing
from audioid.transforms.bands import units_at_once
from audioid.transforms.image import TimeFrequencyTransform

RATE, SIZE, BATCH = 22050, 100, 64
IMAGE = {
    "size": SIZE,
    "f_min": 40.0,
    "f_max": 10000.0,
    "frequency_scale": "log",
    "amplitude_scale": "magnitude",
    "decibel_range": 80.0,
}
FOURIER = {"n_fft": 2048, "win_length": 1024, "window": "hann", "n_mels": None}
WAVELET = {"wavelet": "cmor1.5-1.0", "norm": "l1", "padding": "zero", "scales": None, "first_samples": None}
OPTIONS: dict[str, dict[str, Any]] = {
    "cwt": WAVELET,
    "fft": FOURIER,
    "ssq": {"wavelet": "gmw20-3", "padding": "zero"},
    "cqt": {"filter_scale": 1.0, "padding": "zero"},
    "mfcc": FOURIER | {"n_mfcc": None},
    "both": FOURIER | WAVELET,
}
FREQUENCIES = np.geomspace(40, 10000, SIZE)
SCALES = RATE / FREQUENCIES

SQUEEZED_PEER = "ssqueezepy.ssq_cwt"

Run = Callable[[], Any]


def build(name: str, seconds: int = 1) -> TimeFrequencyTransform:
    """One of the transforms for clips of `seconds`."""
    image = IMAGE | ({"amplitude_scale": "decibel"} if name == "mfcc" else {})
    return transforms.build({"name": name} | OPTIONS[name], image, sample_rate=RATE, n_samples=seconds * RATE)


def pooled(coefficients: np.ndarray) -> torch.Tensor:
    """Full-resolution coefficients `(..., frequency, time)` to the root of their mean power in each column."""
    power = torch.from_numpy(np.ascontiguousarray(coefficients)).abs().square()
    return functional.interpolate(power.flatten(0, -3)[:, None], (SIZE, SIZE), mode="area")[:, 0].sqrt()


def peers(clips: np.ndarray) -> dict[str, tuple[int, Callable[[np.ndarray], Any]]]:
    """Name: (clips per timing, the transform of `(batch, time)` to images or spectra)."""

    # The same Gaussian in all: its deviation is sqrt(1.5 / 2) periods in time.
    deviation = np.sqrt(0.75)

    def fcwt(batch: np.ndarray) -> torch.Tensor:
        module = importlib.import_module("fcwt")
        wavelet = module.Morlet(deviation)
        scales = module.Scales(wavelet, module.FCWT_LOGSCALES, RATE, 40, 10000, SIZE)
        engine = module.FCWT(wavelet, torch.get_num_threads(), False, True)
        images = []
        for clip in batch:
            output = np.empty((SIZE, RATE), np.complex64)
            engine.cwt(clip, scales, output)
            images.append(pooled(output[None, ::-1])[0])
        return torch.stack(images)

    def ssqueezepy(batch: np.ndarray) -> torch.Tensor:
        module = importlib.import_module("ssqueezepy")
        scales = (deviation * SCALES[::-1]).astype(np.float32)
        found, _ = module.cwt(batch, ("morlet", {"mu": 2 * np.pi * deviation}), scales=scales, fs=RATE)
        return pooled(found[:, ::-1])

    def ssqueezepy_squeezed(batch: np.ndarray) -> torch.Tensor:
        module = importlib.import_module("ssqueezepy")
        # The wavelet gmw20-3, at the frequencies of its peaks.
        scales = ((20 / 3) ** (1 / 3) / (2 * np.pi) * SCALES[::-1]).astype(np.float32)
        found, *_ = module.ssq_cwt(
            batch,
            ("gmw", {"gamma": 3, "beta": 20}),
            scales=scales,
            ssq_freqs=FREQUENCIES.astype(np.float32),
            fs=RATE,
            padtype="zero",
        )
        return pooled(found[:, ::-1])

    def pywavelets(batch: np.ndarray) -> torch.Tensor:
        found, _ = pywt.cwt(batch, SCALES, "cmor1.5-1.0", method="fft", axis=-1)
        return pooled(np.moveaxis(found, 0, 1) * 2 / np.sqrt(SCALES)[:, None])

    def nnaudio(batch: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            return nnaudio_module(torch.from_numpy(batch))

    def kymatio(batch: np.ndarray) -> torch.Tensor:
        return kymatio_module(torch.from_numpy(batch))

    found: dict[str, tuple[int, Callable[[np.ndarray], Any]]] = {
        "pywt.cwt(fft)": (1, pywavelets),
        "librosa.melspectrogram": (
            8,
            lambda batch: [
                librosa.feature.melspectrogram(
                    y=clip, sr=RATE, n_fft=2048, win_length=1024, hop_length=220, n_mels=SIZE
                )
                for clip in batch
            ],
        ),
        "librosa.cqt": (
            1,
            lambda batch: librosa.cqt(batch, sr=RATE, hop_length=256, fmin=40, n_bins=90, bins_per_octave=12),
        ),
    }
    os.environ.setdefault("SSQ_PARALLEL", "1")
    for name, module, count, function in (
        ("fCWT", "fcwt", 4, fcwt),
        ("ssqueezepy", "ssqueezepy", 4, ssqueezepy),
        (SQUEEZED_PEER, "ssqueezepy", 4, ssqueezepy_squeezed),
        ("nnAudio CQT", "nnAudio.features", 8, nnaudio),
        ("kymatio scattering", "kymatio.torch", 2, kymatio),
    ):
        try:
            loaded = importlib.import_module(module)
            if name.startswith("nnAudio"):
                nnaudio_module = loaded.CQT1992v2(
                    sr=RATE, hop_length=220, fmin=40, n_bins=90, bins_per_octave=12, verbose=False
                )
            if name.startswith("kymatio"):
                kymatio_module = loaded.Scattering1D(J=8, shape=RATE, Q=12)
            function(clips[:count])
        except Exception as error:  # a peer may fail in any way; the others are still worth timing
            print(f"left out: {name} ({type(error).__name__}: {str(error)[:70]})")
            continue
        found[name] = (count, function)
    return found


def bare_ffts(module: TimeFrequencyTransform) -> Run:
    """The FFTs that `module` does for a batch, and nothing else: its lower bound."""
    work: list[tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor, int]] = []
    for tier in module.values.tiers:  # type: ignore[union-attr]
        units = BATCH * len(tier.grid.begins)
        work.append((torch.fft.rfft, torch.randn(units, tier.grid.n_fft), 1))
        for number, group in enumerate(tier.groups):
            response = tier.get_buffer(f"response{number}")
            n_out = response.shape[1] // 2 // group.folds
            at_once = min(units, units_at_once(response, group.folds))
            data = torch.randn(at_once, len(response), n_out, dtype=torch.complex64)
            work.append((lambda values: torch.fft.ifft(values, norm="forward"), data, -(-units // at_once)))

    def run() -> None:
        for function, data, times in work:
            for _ in range(times):
                function(data)

    return run


def interleaved(runs: dict[str, tuple[int, Run]], repeats: int) -> dict[str, float]:
    """Median milliseconds per clip of each, one after another in each of `repeats` rounds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, (count, run) in runs.items():
            begin = time.perf_counter()
            run()
            if repeat:
                times[name].append((time.perf_counter() - begin) / count * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def relative(found: Any, expected: np.ndarray) -> float:
    """Frobenius distance over the whole image, relative; each of `found` scaled as a whole to fit best."""
    found = np.asarray(found, dtype=float)
    found = found * ((found * expected).sum() / (found * found).sum())
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def peak_memory(seconds: int) -> float:
    """MiB that the image of one clip of `seconds` takes above the clip, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _memory_of(seconds: int) -> None:
    module = build("cwt", seconds)
    waveform = torch.randn(1, seconds * RATE)
    # Linux forgets the highest mark that importing left.
    Path("/proc/self/clear_refs").write_text("5")
    before = _highest_memory()
    with torch.no_grad():
        module(waveform)
    print((_highest_memory() - before) / 1024)


def _highest_memory() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main() -> None:
    """Prints the tables; with --json writes the same figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.memory_of:
        _memory_of(arguments.memory_of)
        return
    torch.manual_seed(0)
    repeats = 3 if arguments.quick else 9
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32, batches of {BATCH} clips of 1 s at "
        f"{RATE} Hz, {SIZE} frequencies from 40 to 10000 Hz, images of {SIZE} x {SIZE}, medians of {repeats}"
    )
    clips = torch.randn(BATCH, RATE)
    clips[1::2] *= torch.exp(-torch.arange(RATE) / 2000)
    array = clips.numpy()
    modules = {name: build(name) for name in OPTIONS}
    others = peers(array)
    bound = bare_ffts(modules["cwt"])
    runs: dict[str, tuple[int, Run]] = {
        name: (count, lambda count=count, function=function: function(array[:count]))  # type: ignore[misc]
        for name, (count, function) in others.items()
    }
    for name, module in modules.items():
        runs[name] = (BATCH, lambda module=module: module(clips))  # type: ignore[misc]
    runs["cwt: bare FFTs"] = (BATCH, bound)
    long_module, long_clip = build("cwt", 60), torch.randn(1, 60 * RATE)
    runs["cwt of 60 s, per second"] = (60, lambda: long_module(long_clip))
    with torch.no_grad():
        times = interleaved(runs, repeats)
        errors = {}
        for own, power, names in (
            ("cwt", mean_power, ("fCWT", "ssqueezepy", "pywt.cwt(fft)")),
            ("ssq", squeezed_power, (SQUEEZED_PEER,)),
        ):
            expected = np.array([np.sqrt(power(clip.astype(float), RATE, FREQUENCIES, SIZE)) for clip in array[:2]])
            errors[own] = relative(modules[own](clips[:2])[:, 0], expected)
            errors |= {name: relative(others[name][1](array[:2]), expected) for name in names if name in others}
    figures: dict[str, float] = {"threads": torch.get_num_threads()}
    print(f"\n{'':28} {'ms per clip':>12} {'over cwt':>9} {'over fft':>9} {'error':>9}")
    for name, milliseconds in times.items():
        error = f"{errors[name]:9.1e}" if name in errors else ""
        print(
            f"{name:28} {milliseconds:12.3f} {milliseconds / times['cwt']:9.2f} "
            f"{milliseconds / times['fft']:9.2f} {error}"
        )
        figures[f"ms {name}"] = milliseconds
    figures |= {f"error {name}": error for name, error in errors.items()}
    figures["cwt over its bare FFTs"] = times["cwt"] / times["cwt: bare FFTs"]
    if SQUEEZED_PEER in times:
        figures["ssqueezepy over ssq"] = times[SQUEEZED_PEER] / times["ssq"]
        print(f"{'ssqueezepy over ssq':28} {figures['ssqueezepy over ssq']:12.2f}")
    figures["60 s over 1 s, per second"] = times["cwt of 60 s, per second"] / times["cwt"]
    figures["MiB above a clip of 600 s"] = peak_memory(600)
    for key in ("cwt over its bare FFTs", "60 s over 1 s, per second", "MiB above a clip of 600 s"):
        print(f"{key:28} {figures[key]:12.2f}")
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
