"""Altered model folders, given to whoever loads one and to the page: crashes, hangs, and deeds other than reading.

Another process loads them, one after the other, and lets what loads name a sound and show it. It counts what Python
would do there beside reading: start programs, write files, connect, unpickle.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tabulate import tabulate

from audioid.errors import AudioidError
from audioid.files import replacing

NASTY: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 1e308, float("inf"), "", "auto", "../../etc/passwd", [], {}, [[]], "\ud800",
    "0" * 5000, 3600, 768000, 65536,
]  # fmt: skip
DEEDS = {"os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pickle.find_class"}
DEEDS |= {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
DEEDS |= {"socket.connect", "socket.bind", "ctypes.dlopen"}
MOST_SAMPLES = 100_000  # of a clip: a model may ask for more memory than there is
SECONDS = 60.0  # a folder
SMALL = ["data.per_class=6", "image.size=24", "model.width=4", "trainer.max_epochs=2", "trainer.accelerator=cpu"]


def places(values: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where there is something to change, at any depth."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values[:3]) if isinstance(values, list) else ()
    for key, value in pairs:
        yield (*above, key)
        yield from places(value, (*above, key))


def altered(description: dict[str, Any], weights: bytes, rng: random.Random) -> tuple[dict[str, Any], bytes]:
    """One of both, changed at a place or cut, with a checksum that agrees more often than not."""
    description, kind = json.loads(json.dumps(description)), rng.choice(["value", "value", "bytes", "header", "cut"])
    if kind == "value":
        *above, last = rng.choice(list(places(description)))
        holder: Any = description
        for key in above:
            holder = holder[key]
        if rng.random() < 0.1:
            del holder[last]
        else:
            holder[last] = rng.choice(NASTY)
        return description, weights
    changed = bytearray(weights)
    for _ in range(rng.choice([1, 10, 300])):
        changed[rng.randrange(3000 if kind == "header" else len(changed))] = rng.randrange(256)
    weights = bytes(changed[: rng.randrange(len(changed))] if kind == "cut" else changed)
    if rng.random() < 0.9:
        description["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    return description, weights


def write_altered(count: int, trained: Path, folder: Path, rng: random.Random) -> list[str]:
    """The trained model folder as it is, then `count` altered ones, by name below `folder`."""
    description = json.loads((trained / "model.json").read_text(encoding="utf-8"))
    weights = (trained / "weights.safetensors").read_bytes()
    names = [f"{number:04d}" for number in range(count + 1)]
    for name in names:
        (folder / name).mkdir()
        changed = altered(description, weights, rng) if name != names[0] else (description, weights)
        (folder / name / "model.json").write_text(json.dumps(changed[0]))
        (folder / name / "weights.safetensors").write_bytes(changed[1])
    return names


def load_models(folder: Path) -> None:
    """Loads those named on standard input; a line of JSON each: what was said, and what was done so far."""
    from audioid.identification import builtin
    from audioid.identification.page.uploads import Upload
    from audioid.identification.page.views import Asked, long_sound, many_sounds, one_sound

    sound, done, is_watched = Upload(folder / "sound.wav", "sound.wav"), Counter[str](), False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if not is_watched:
            return
        if event == "open":
            _, mode, flags = arguments
            is_written = flags & 3 if mode is None else set(mode) & set("wax+")  # O_WRONLY, O_RDWR
            done[f"open {arguments[0]} {mode}"] += bool(is_written)
        elif event in DEEDS:
            done[event] += 1

    sys.addaudithook(watch)
    for line in sys.stdin:
        said = "answered"
        try:
            model = builtin.load(str(folder / line.rstrip("\n")))
            if model.audio["sample_rate"] * model.audio["seconds"] <= MOST_SAMPLES:
                asked = Asked(model, [("it", model)], folder)
                one_sound(asked, sound)
                many_sounds(asked, [sound])
                long_sound(asked, sound, by_hits=True, window=None, hop=None)
            else:
                said = "loaded, and not asked"
        except AudioidError as error:
            said = "told in a line" if "\n" not in str(error) else f"WRONG: {error}"
        except Exception as error:
            said = f"WRONG: {error!r}"
        print(json.dumps({"said": said, "done": sum(done.values()), "deeds": dict(+done)}), flush=True)
        is_watched = True  # the first, which is whole, has loaded all that others need


def watched(folder: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    """What `load_models` says of each, or how the process ended."""
    command = [sys.executable, __file__, "--load", str(folder)]
    waiting = names[1:]
    while waiting:
        given = [names[0], *waiting[:100]]
        try:
            done = subprocess.run(
                command, input="\n".join(given), stdout=subprocess.PIPE, text=True, timeout=SECONDS * len(given)
            )
            lines, end = done.stdout.splitlines()[1:], f"CRASH {done.returncode}"
        except subprocess.TimeoutExpired as error:
            lines, end = (error.stdout or b"").decode().splitlines()[1:], "HANG"
        yield from map(json.loads, lines)
        waiting = waiting[len(lines) :]
        if len(lines) < len(given) - 1:
            yield {"said": end, "done": 0, "deeds": {}}
            waiting = waiting[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="60 altered folders instead of 1,000")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        load_models(arguments.load)
        return
    count, begin = 60 if arguments.quick else 1000, time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        train = [sys.executable, "-m", "audioid", "train", f"hydra.run.dir={folder / 'run'}", *SMALL]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
        (folder / "models").mkdir()
        names = write_altered(count, folder / "run" / "model", folder / "models", random.Random(arguments.seed))
        noise = 0.1 * np.random.default_rng(arguments.seed).standard_normal(22050)
        soundfile.write(folder / "models" / "sound.wav", noise, 22050)
        results = list(watched(folder / "models", names))
        strange = sum(len(list((folder / "models" / name).iterdir())) != 2 for name in names)
        strange += len(list((folder / "models").iterdir())) != len(names) + 1
    said = Counter(result["said"].split(":")[0].split(" ")[0] for result in results)
    figures = {
        "folders": count,
        "answered": said["answered"],
        "told_in_a_line": said["told"],
        "loaded_and_not_asked": said["loaded,"],
        "crashes": said["CRASH"],
        "hangs": said["HANG"],
        "wrong": said["WRONG"],
        "deeds": sum(len(result["deeds"]) for result in results),
        "folders_changed": strange,
        "seconds": time.perf_counter() - begin,
    }
    for name, result in zip(names[1:], results, strict=True):
        if result["said"].startswith(("WRONG", "CRASH", "HANG")) or result["deeds"]:
            print(name, result)
    print(tabulate(figures.items(), floatfmt=".3g"))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
