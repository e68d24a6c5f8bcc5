"""Train weights for other runs to start from, on generated sounds alone.

%(prog)s transform=cwt
Started again after a stop it goes on.
"""

import argparse
import re
import shlex
import sys
from pathlib import Path

from audioid.commands.runner import run_command
from audioid.commands.train import run_in
from audioid.config import compose, known_keys
from audioid.errors import AudioidError
from audioid.files import path_argument
from audioid.naming import PLACES, run_name
from audioid.program import CommandParser, program
from audioid.schema import GeneratedDataSettings

EXPERIMENT = "experiment=pretrain"


def main() -> int:
    return run_command(work)


def work() -> None:
    """Trains, or goes on, in a folder of its own, and copies out what others need."""
    parser = CommandParser("pretrain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train, such as data.count=10000")
    parser.add_argument("--out", type=path_argument, metavar="DIR", help="default: outputs/weights/NAME")
    arguments = parser.parse_intermixed_args()
    overrides = list(arguments.overrides)
    for text in overrides:
        if text.startswith("data=") and text != "data=generated":
            raise AudioidError(f"data: weights are of generated sounds alone; leave out {text}")
        if re.match(r"transform=\w+,", text):
            raise AudioidError(f"transform: weights are of one picture; name one at a time, not {text}")
    settings = compose([EXPERIMENT, *overrides])
    assert isinstance(settings.data, GeneratedDataSettings)
    if settings.trainer.devices > 1 or settings.trainer.fast_dev_run:
        raise AudioidError("trainer: weights are trained on one device and to the end; leave out devices, fast_dev_run")
    name = weights_name(settings.transform.name, settings.seed, overrides)
    run, out = Path("outputs/pretraining", name), arguments.out or Path("outputs/weights", name)

    from audioid.training import weights  # heavy, so after the configuration is known to be right

    weights.check_settings(settings)
    try:
        run_in(run, settings, [EXPERIMENT, *overrides])
    except SystemExit:  # the run has told how it goes on as a run
        print("To have its weights written too, go on with the same command as before.", file=sys.stderr)
        raise
    weights.check_sounds(run, settings.data, settings.audio)
    if weights.is_written(run, out):
        print(f"{out}: has these weights already")
        return
    said = [shlex.quote(text) for text in overrides if not text.startswith(PLACES)]
    weights.write_weights(run, out, settings, " ".join([program("pretrain"), *said]))
    chosen = shlex.quote(f"model.pretrained={out}")
    print(f"Written to {out}: model.json, weights.safetensors and card.md. To begin with them: {chosen}")


def weights_name(transform: str, seed: int, overrides: list[str]) -> str:
    """The transform and what else was chosen, such as `cwt count=10000`, as a legal name of a folder."""
    name = run_name(transform, seed, overrides, None, set(known_keys()))
    return name if any(text.startswith("seed=") for text in overrides) else name.removesuffix(f" seed={seed}")
