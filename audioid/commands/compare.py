"""Compare the arms over all runs below a folder, again, and write the report."""

from collections.abc import Mapping, Sequence

from audioid.commands.runner import run_command
from audioid.comparison.decisions import MARGIN
from audioid.comparison.measures import MEASURES
from audioid.comparison.records import Run
from audioid.comparison.report import compare
from audioid.comparison.showing import Shown
from audioid.errors import AudioidError
from audioid.files import path_argument
from audioid.program import CommandParser


def main() -> int:
    return run_command(work)


def work() -> None:
    parser = CommandParser("compare", description=__doc__)
    parser.add_argument("runs", type=path_argument, metavar="RUNS", help="a folder of runs, at any depth")
    parser.add_argument("--out", type=path_argument, metavar="DIR", help="where the report goes; RUNS if not given")
    parser.add_argument(
        "--metric", default="auto", help=f"auto (macro F1 where classes are uneven), {', '.join(MEASURES)}"
    )
    parser.add_argument("--margin", default=str(MARGIN), help=f"no difference below it is of interest ({MARGIN:g})")
    arguments = parser.parse_args()
    if arguments.metric not in ("auto", *MEASURES):
        *names, last = ("auto", *MEASURES)
        raise AudioidError(f"--metric: there is no {arguments.metric}; choose {', '.join(names)} or {last}")
    out, margin = arguments.out or arguments.runs, _margin(arguments.margin)
    print(compare(arguments.runs, out, metric=arguments.metric, margin=margin, showing=_show))


def _show(run: Run, paths: Sequence[str]) -> Mapping[str, Shown]:
    from audioid.pipeline.showing import show  # torch, only once there is something to show

    return show(run, paths)


def _margin(text: str) -> float:
    try:
        margin = float(text)
    except ValueError:
        raise AudioidError(f"--margin: {text} is no number; a share between 0 and 1, such as {MARGIN:g}") from None
    if not 0 < margin < 1:
        raise AudioidError(f"--margin: {text} is out of range; a share between 0 and 1, such as {MARGIN:g}")
    return margin
