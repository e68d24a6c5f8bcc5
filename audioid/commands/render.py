"""Write the images of a corpus as grey PNG files: DIR/fft/LABEL/NAME.png and DIR/cwt/LABEL/NAME.png.

%(prog)s data=folder data.root=RECORDINGS --out DIR
"""

import argparse
import sys
import time
from pathlib import Path

from audioid.commands.runner import run_command
from audioid.config import compose
from audioid.files import path_argument
from audioid.program import CommandParser


def main() -> int:
    return run_command(work)


def work() -> None:
    """Draws one set after the other."""
    parser = CommandParser("render", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as for train; transform=NAME for that alone")
    parser.add_argument("--out", type=path_argument, default=Path("outputs/images"), metavar="DIR")
    arguments = parser.parse_intermixed_args()
    chosen = [text for text in arguments.overrides if text.startswith("transform=")]
    others = [text for text in arguments.overrides if text not in chosen]
    all_settings = [compose([transform, *others]) for transform in chosen or ["transform=fft", "transform=cwt"]]

    # Heavy, so after the configuration is known to be right.
    from audioid.pipeline.recordings import Stopwatch, compute_images, load_waveforms
    from audioid.render import render
    from audioid.transforms import transform_class

    skipped: list[tuple[str, str]] = []
    for settings in all_settings:
        started = time.perf_counter()
        recordings = load_waveforms(settings, Stopwatch(), device="cpu")
        images = compute_images(recordings, Stopwatch(), device="cpu")
        folder, skipped = arguments.out / settings.transform.name, recordings.index.skipped
        signed = settings.image.amplitude_scale == "signed" or transform_class(settings.transform.name).is_signed
        render(recordings.index, images, folder, signed=signed)
        print(f"{len(images)} images in {folder}, {time.perf_counter() - started:.1f} s")
    for path, reason in skipped:
        print(f"left out: {path}: {reason}", file=sys.stderr)
