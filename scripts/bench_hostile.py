"""Broken and odd recordings, made by fuzzing, through the index and the decoder: crashes, hangs and memory.

Another process reads them, one after the other: should a C library crash or hang there, it is counted, and a
new process goes on with the next file.
"""

import argparse
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator, default_rng
from tabulate import tabulate

from audioid.data.audio import Unreadable, load
from audioid.data.index import index_folder
from audioid.files import replacing

SECONDS_PER_FILE = 5.0
BAD = {"CRASH", "HANG", "WRONG"}
STARTS = ("beginning", "onset", "loudest", "random")
# name, suffix, sample rate, channels, and what else soundfile needs to write it
SOUNDS: list[tuple[str, str, int, int, dict[str, str]]] = [
    ("pcm16", "wav", 44100, 2, {}),
    ("pcm24", "wav", 44101, 1, {"subtype": "PCM_24"}),
    ("float", "wav", 48000, 1, {"subtype": "FLOAT"}),
    ("double", "wav", 8000, 1, {"subtype": "DOUBLE"}),
    ("ima", "wav", 44100, 1, {"subtype": "IMA_ADPCM"}),
    ("ms", "wav", 44100, 2, {"subtype": "MS_ADPCM"}),
    ("gsm", "wav", 8000, 1, {"subtype": "GSM610"}),
    ("ulaw", "wav", 8000, 1, {"subtype": "ULAW"}),
    ("slow", "wav", 1000, 1, {}),
    ("fast", "wav", 768000, 1, {}),
    ("wide", "wav", 44100, 32, {}),
    ("rf64", "rf64", 44100, 1, {"format": "RF64"}),
    ("w64", "w64", 44100, 1, {}),
    ("flac", "flac", 44100, 2, {}),
    ("flac24", "flac", 96000, 1, {"subtype": "PCM_24"}),
    ("vorbis", "ogg", 44100, 2, {}),
    ("opus", "opus", 48000, 2, {"format": "OGG", "subtype": "OPUS"}),
    ("mp3", "mp3", 44100, 2, {}),
    ("mp3mono", "mp3", 22050, 1, {}),
    ("aiff", "aiff", 44100, 1, {}),
    ("aifc", "aifc", 44100, 1, {"format": "AIFF", "subtype": "FLOAT"}),
    ("au", "au", 44100, 1, {}),
    ("caf", "caf", 44100, 1, {}),
    ("alac", "caf", 44100, 2, {"subtype": "ALAC_16"}),
]


def write_sounds(folder: Path, rng: Generator) -> dict[str, bytes]:
    """The content of a short recording of each kind, by file name."""
    contents = {}
    for name, suffix, sample_rate, channels, kind in SOUNDS:
        path = folder / f"{name}.{suffix}"
        samples = 0.3 * rng.standard_normal((int(sample_rate * rng.uniform(0.1, 0.4)), channels))
        soundfile.write(path, samples.clip(-1, 1), sample_rate, **kind)
        contents[path.name] = path.read_bytes()
        path.unlink()
    return contents


def damaged(content: bytes, rng: Generator) -> tuple[str, bytes]:
    """One way of damage, and the content after it."""
    data = np.frombuffer(content, np.uint8).copy()
    header = min(len(data), int(rng.choice([64, 256, 4096])))
    ways = (
        "whole",
        "truncated",
        "bits",
        "header bits",
        "header bytes",
        "claims",
        "zeros",
        "cut out",
        "spliced",
        "noise",
    )
    way = str(rng.choice(ways))
    match way:
        case "truncated":
            data = data[: rng.integers(len(data))]
        case "bits":
            for at in rng.integers(len(data), size=rng.integers(1, 200)):
                data[at] ^= 1 << rng.integers(8)
        case "header bits":
            for at in rng.integers(header, size=rng.integers(1, 8)):
                data[at] ^= 1 << rng.integers(8)
        case "header bytes":
            at = int(rng.integers(header))
            data[at : at + 8] = rng.integers(256, size=data[at : at + 8].size)
        case "claims":  # sizes, rates and counts as large as can be: hours of sound, thousands of channels
            at = int(rng.integers(min(header, 128)))
            data[at : at + 4] = rng.permuted([255, 255, 255, 127])[: data[at : at + 4].size]
        case "zeros":
            at = int(rng.integers(len(data)))
            data[at : at + 2048] = 0
        case "cut out":
            at = int(rng.integers(len(data)))
            data = np.delete(data, slice(at, at + int(rng.integers(1, 2048))))
        case "spliced":
            at = int(rng.integers(len(data)))
            data = np.concatenate([data[:at], data[: rng.integers(len(data))]])
        case "noise":
            data[header:] = rng.integers(256, size=data[header:].size)
    return way, data.tobytes()


def write_long(folder: Path) -> None:
    """Long recordings, small on disk; a header that claims hours; and one that leaves the length open."""
    click = 0.3 * default_rng(0).standard_normal(8000)
    soundfile.write(folder / "4 hours.wav", click, 8000)
    content = bytearray((folder / "4 hours.wav").read_bytes())
    size = 2**28
    content[4:8], content[40:44] = (size + 36).to_bytes(4, "little"), size.to_bytes(4, "little")
    (folder / "4 hours.wav").write_bytes(content)
    os.truncate(folder / "4 hours.wav", size + 44)
    for name, minutes in (("2 hours.flac", 120), ("10 minutes.mp3", 10)):
        with soundfile.SoundFile(folder / name, "w", 8000, 1) as file:
            file.write(click)
            for _ in range(minutes):
                file.write(np.zeros(8000 * 60, np.float32))
    soundfile.write(folder / "claims.flac", click, 8000)
    for name, frames in (("claims.flac", 2**36 - 1), ("open length.flac", 0)):
        content = bytearray((folder / "claims.flac").read_bytes())
        # The last 36 of these 64 bits are the number of frames.
        rest = int.from_bytes(content[18:26], "big") >> 36 << 36
        content[18:26] = (rest | frames).to_bytes(8, "big")
        (folder / name).write_bytes(content)


def write_files(folder: Path, count: int, rng: Generator) -> list[str]:
    """`count` fuzzed files and some long ones, relative to `folder`; names tell what was done to them."""
    contents = write_sounds(folder, rng)
    (folder / "label").mkdir()
    (folder / "long").mkdir()
    write_long(folder / "long")
    # Each is read with each start.
    paths = [f"long/{path.name}" for path in sorted((folder / "long").iterdir()) for _ in STARTS]
    for number in range(count):
        name, content = list(contents.items())[number % len(contents)]
        way, content = damaged(content, rng)
        if rng.random() < 0.02:
            way, content = "text", b"this is no sound\n" * 100
        paths.append(f"label/{number:05d} {way} {name}")
        (folder / paths[-1]).write_bytes(content)
    return paths


def read_files(folder: Path) -> None:
    """Read the files named on standard input; a line of JSON each.

    `reason` is null for what was read, `mib` the most memory that all files so far took.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = peak_mib()
    for number, line in enumerate(sys.stdin):
        path = folder / line.rstrip("\n")
        begin = time.perf_counter()
        reason = None
        try:
            start = STARTS[number % len(STARTS)]
            wave = load(path, sample_rate=22050, seconds=0.2, start=start, padding="end", remove_dc=True, level="peak")
            if wave.shape != (4410,) or not np.isfinite(wave).all():
                reason = "WRONG: not the shape or numbers promised"
        except Unreadable as error:
            reason = error.reason
        except Exception as error:
            reason = f"WRONG: {error!r}"
        seconds = time.perf_counter() - begin
        print(json.dumps({"reason": reason, "seconds": seconds, "mib": peak_mib() - before}), flush=True)


def peak_mib() -> float:
    # The peak that getrusage tells is inherited from the process that started this one.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def watched(folder: Path, paths: list[str]) -> Iterator[dict]:
    """What `read_files` says of each path, or how the process that read it ended."""
    done = 0
    while done < len(paths):
        command = [sys.executable, __file__, "--read", str(folder)]
        reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert reader.stdin
        assert reader.stdout
        first = True
        while done < len(paths):
            reader.stdin.write(f"{paths[done]}\n".encode())
            reader.stdin.flush()
            done += 1
            ready, _, _ = select.select([reader.stdout], [], [], SECONDS_PER_FILE + 30 * first)
            first = False
            line = reader.stdout.readline() if ready else b""
            if line:
                yield json.loads(line)
                continue
            reader.kill()
            yield {"reason": "HANG" if not ready else f"CRASH {reader.wait()}", "seconds": 0.0, "mib": 0.0}
            break
        reader.stdin.close()
        reader.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="240 fuzzed files instead of 2,400")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read_files(arguments.read)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = write_files(folder, 240 if arguments.quick else 2400, default_rng(arguments.seed))
        results = list(watched(folder, paths))
        begin = time.perf_counter()
        index = index_folder(folder)
        index_seconds = time.perf_counter() - begin
    reasons = [result["reason"] or "read" for result in results]
    kinds = Counter(reason.split()[0] if reason.split()[0] in BAD | {"read"} else "unreadable" for reason in reasons)
    figures = {
        "files": len(set(paths)),
        "readings": len(results),
        "read": kinds["read"],
        "unreadable": kinds["unreadable"],
        "crashes": kinds["CRASH"],
        "hangs": kinds["HANG"],
        "wrong": kinds["WRONG"],
        "slowest_seconds": max(result["seconds"] for result in results),
        "most_memory_mib": max(result["mib"] for result in results),
        "indexed": len(index.table),
        "skipped": len(index.skipped),
        "index_seconds": index_seconds,
    }
    print(tabulate(Counter(reasons).most_common(), headers=["what was said", "files"]), end="\n\n")
    print(tabulate(figures.items(), floatfmt=".3g"))
    for path, reason in zip(paths, reasons, strict=True):
        if reason.split()[0] in BAD:
            print(f"{path}: {reason}")
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
