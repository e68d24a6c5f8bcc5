"""Write a trained model as one ONNX file, for programs without Python or torch."""

from pathlib import Path
from typing import TYPE_CHECKING

from audioid.commands.runner import run_command
from audioid.errors import AudioidError
from audioid.files import path_argument
from audioid.program import CommandParser, loading

if TYPE_CHECKING:
    from audioid.identification.export import Agreement

SUFFIX = ".onnx"
PRECISIONS = ("fp32", "fp16", "int8")
TRIED = 64  # generated clips, where there are no recordings


def main() -> int:
    return run_command(_main)


def _main() -> None:
    parser = CommandParser("export", description=__doc__)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="the model folder of a run, RUN/model; or builtin, the ready-made model, builtin:fft a half of it",
    )
    parser.add_argument(
        "--with", action="append", default=[], metavar="MODEL", dest="others", help="another model, to answer together"
    )
    parser.add_argument("--out", type=path_argument, required=True, metavar=f"FILE{SUFFIX}", help="where to write")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="of the network, the picture stays as it is (default: fp32)",
    )
    parser.add_argument(
        "--data",
        type=path_argument,
        metavar="DIR",
        help="recordings, a folder a label, to try it by and to fit int8 to; generated sounds, if not given",
    )
    parser.add_argument(
        "--trust", action="append", default=[], metavar="NAME", help="code that the model may run, such as my_nets.Tiny"
    )
    arguments = parser.parse_args()
    if arguments.out.suffix != SUFFIX:
        raise AudioidError(f"--out: {arguments.out} is no name of an ONNX file; let it end in {SUFFIX}")
    with loading():
        from audioid.identification import builtin
        from audioid.identification.export import export, trial_by, trial_of_all_kinds
        from audioid.identification.onnx_file import check_packages

    check_packages()
    names = [arguments.model, *arguments.others]
    model = builtin.load_together(names, trust=arguments.trust)
    trial = trial_by(arguments.data, model) if arguments.data else trial_of_all_kinds(TRIED, model)
    found = export(model, arguments.out, trial, precision=arguments.precision)
    print(told(arguments.out, found, arguments.precision))


def told(file: Path, found: "Agreement", precision: str) -> str:
    """What was written, and what it costs, in a few lines."""
    lines = [f"{file} ({file.stat().st_size / 1e6:.1f} MB, {precision})"]
    lines.append(
        f"onnxruntime beside PyTorch, {found.clips} clips: probabilities differ by at most {found.probability:.1e}"
    )
    if found.score is None:
        lines.append("no unknown_score: this model cannot tell what is none of its labels")
    else:
        lines.append(f"unknown scores near the threshold differ by at most {found.score:.1e}")
    if precision != "fp32":
        lines.append(f"answers that change: {found.changed:.1%}")
    if found.model_accuracy is not None and found.file_accuracy is not None:
        lines.append(f"accuracy: {found.model_accuracy:.3f} by PyTorch, {found.file_accuracy:.3f} by the file")
    return "\n  ".join(lines)
