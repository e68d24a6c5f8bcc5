"""Broken recordings, made by fuzzing, sent to a page that runs: does it answer each, stay alive, and keep nothing?"""

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
from bench_hostile import damaged, write_sounds  # type: ignore[import-not-found]
from numpy.random import default_rng
from page_client import MANY, SOUND, TIMELINE, Page, serving  # type: ignore[import-not-found]
from tabulate import tabulate

from audioid.files import replacing

AT_ONCE = 10  # files of a table
WINDOWS = ("windows of one length", 0.2, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="60 fuzzed files instead of 1,000")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    count, rng = 60 if arguments.quick else 1000, default_rng(arguments.seed)
    kinds, seconds = Counter[str](), list[float]()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        contents = list(write_sounds(folder, rng).items())
        files = [contents[number % len(contents)] for number in range(count)]
        waiting = [(name, damaged(content, rng)[1]) for name, content in files]
        with serving("builtin:fft", temporary=folder) as (address, process):
            page = Page(address)
            while waiting:
                where = (SOUND, MANY, TIMELINE)[len(seconds) % 3]
                some, waiting = waiting[: AT_ONCE if where == MANY else 1], waiting[AT_ONCE if where == MANY else 1 :]
                begin = time.perf_counter()
                try:
                    shown = page.show(where, some, *(WINDOWS if where == TIMELINE else ()))
                except httpx.HTTPError as error:
                    print(f"{some[0][0]}: {error!r}")
                    kinds["failed"] += len(some)
                else:
                    unread = shown.count("aid-unread") + shown.count('role="alert"')
                    kinds["refused"] += unread
                    kinds["answered"] += len(some) - unread
                    # What nobody foresaw, or what tells of the machine, is no answer.
                    kinds["wrong"] += any(text in shown for text in ("the terminal", "Traceback", temporary))
                seconds.append(time.perf_counter() - begin)
            whole = page.show(SOUND, [contents[0]])
            figures = {
                "files": count,
                "answered": kinds["answered"],
                "refused_in_a_line": kinds["refused"],
                "failed": kinds["failed"],
                "wrong": kinds["wrong"],
                "page_alive": int(process.poll() is None and "What is heard of it" in whole),
                "uploads_left": sum(path.is_file() for path in folder.glob("audioid-*/**/*")),
                "slowest_seconds": max(seconds),
                "seconds": sum(seconds),
            }
        figures["folders_left_after_the_end"] = len(list(folder.glob("audioid-*")))
        figures["tracebacks"] = (folder / "page.log").read_text().count("Traceback")
    print(tabulate(figures.items(), floatfmt=".3g"))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
