"""A local page: drop or record sounds, see what they are, what the networks see, and why."""

import argparse
import os
import sys
import webbrowser
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from audioid.errors import AudioidError
from audioid.files import path_argument, stays_below
from audioid.program import CommandParser, loading
from audioid.terminal import on_a_line

PORT = 7860
HERE = "127.0.0.1"


def main() -> int:
    parser = CommandParser("serve", description=__doc__)
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="the model folder of a run, RUN/model; or builtin, the ready-made model, builtin:fft a half of it; "
        "several answer together",
    )
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"default: {PORT}; 0 for any that is free")
    parser.add_argument(
        "--host", default=HERE, metavar="ADDRESS", help=f"who may come: {HERE} this machine alone (default)"
    )
    parser.add_argument(
        "--recordings",
        type=path_argument,
        metavar="DIR",
        help="the folder of recordings that the models have learned from, so that the nearest can be played",
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="NAME",
        help="code that the models may run, such as my_nets.Tiny",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    try:
        arguments = parser.parse_args()
        check(arguments)
        with loading():
            from audioid.identification import builtin
            from audioid.identification.known import learned_from
            from audioid.identification.page.server import LOOPBACK, serve
            from audioid.identification.page.views import Asked
            from audioid.identification.together import single_models

        model = builtin.load_together(arguments.models, trust=arguments.trust)
        names = [name for each in arguments.models for name in builtin.names_of(each)]
        singles = single_models(model)
        asked = Asked(model, list(zip(names, singles, strict=True)), arguments.recordings)
        if arguments.recordings:
            warn_of_strange(arguments.recordings, learned_from(singles))

        def started(address: str) -> None:
            print(f"{address} (Ctrl-C stops it)", flush=True)
            if arguments.host not in LOOPBACK:
                told = "everybody who reaches this address may send sounds to it, unencrypted"
                print(f"warning: --host {arguments.host}: {told}", file=sys.stderr)
            if arguments.open:
                webbrowser.open(address)

        serve(asked, host=arguments.host, port=arguments.port, started=started)
    except AudioidError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        sys.stderr.flush()
        os._exit(0)  # what lay on disk is gone; threads that still answer would hold the process for minutes
    return 0


def warn_of_strange(folder: Path, learned: Collection[str]) -> None:
    """A line on stderr where none of the recordings learned from can be played out of the folder."""
    if any(stays_below(path) and os.path.isfile(folder / path) for path in learned):
        return
    if learned:
        told = f"none of the {len(learned):,} recordings learned from is below it; name the folder that they came from"
    else:
        told = "the model names no recordings that it has learned from, so that none can be played; leave it out"
    print(f"warning: --recordings: {on_a_line(folder)}: {told}", file=sys.stderr)


def check(arguments: argparse.Namespace) -> None:
    """Raises AudioidError where what was asked for cannot be, as far as that shows without any model."""
    for package in ("gradio", "captum"):
        if find_spec(package) is None:
            raise AudioidError(f"serve: needs the package {package}; pip install 'audioid[serve]'")
    if not 0 <= arguments.port <= 65535:
        raise AudioidError(f"--port: {arguments.port} is none; choose one from 1024 to 65535")
    if arguments.recordings and not arguments.recordings.is_dir():
        raise AudioidError(f"--recordings: {arguments.recordings} is no folder; name that of the recordings")
