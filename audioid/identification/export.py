"""From a trained model to one file that onnxruntime runs, held to the model that it was made of."""

import math
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioid.data.walk import walk
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.identification.answers import Model
from audioid.identification.graph import Graph
from audioid.identification.identify import heard, judged, parts_of, tells_unknown
from audioid.identification.onnx_file import AT_ONCE, Session, as_bytes, as_onnx, in_integers
from audioid.identification.trial_sounds import trial_clips

TOLERANCE = 1e-4  # of probabilities, between two programs that do the same sums in another order
# Unknown scores, logarithms of distances, matter where they are near the threshold; far below it they are of distances
# near 0, of which rounding is a large part.
NEAR, SCORE_TOLERANCE = 1.0, 1e-2
ALONE = 4  # clips that are also asked one by one
MOST = 500  # recordings of a folder


@dataclass(frozen=True)
class Trial:
    """Clips `(clips, samples)`, and the label of each, if they have any."""

    clips: NDArray[np.float32]
    labels: list[str] | None = None

    def every_second(self, first: int) -> "Trial":
        """Half of them, from the `first` on; of a single one itself."""
        chosen = slice(first if len(self.clips) > 1 else 0, None, 2)
        return Trial(self.clips[chosen], self.labels[chosen] if self.labels else None)


@dataclass(frozen=True)
class Agreement:
    """How far the file's answers to `clips` clips are from the model's, at most, and what that comes to."""

    clips: int
    probability: float  # the largest difference of any label's
    alone: float  # the largest between a clip alone and among others
    score: float | None  # the largest of unknown scores near the threshold; None where the model cannot tell
    changed: float  # share of clips whose likeliest label is another one, or that are unknown to one of both
    model_accuracy: float | None = None  # share of clips whose likeliest label is their own, where they have labels
    file_accuracy: float | None = None


def export(model: Model, file: Path, trial: Trial, *, precision: str = "fp32") -> Agreement:
    """Writes the model as `file` in ONNX, and tells how onnxruntime answers with it beside PyTorch.

    Args:
        trial: what both are asked. For `int8` half of it tells the ranges of values, and both are asked the rest.
        precision: of the network, `fp32`, `fp16` or `int8`; the picture stays as it is.

    Raises:
        AudioidError: the model has a picture or a network that cannot be written, `fp32` answers otherwise than the
            model, another precision with what is no number, or the file cannot be written. There is none then.
    """
    samples = round(model.audio["sample_rate"] * model.audio["seconds"])
    made = as_onnx(Graph(model, in_half=precision == "fp16").eval(), samples)
    if precision == "int8":
        made, trial = in_integers(made, trial.every_second(0).clips), trial.every_second(1)
    content = as_bytes(made, described(model, precision))
    found = agreement(model, Session(content), trial)
    if not math.isfinite(found.probability):
        raise AudioidError(f"{file}: its answers are no numbers in {precision}; it was not written: use fp32")
    if precision == "fp32":
        _refuse_others(file, found)
    with replacing(file) as part:
        part.write_bytes(content)
    return found


def _refuse_others(file: Path, found: Agreement) -> None:
    for told, difference, most in (
        ("probabilities differ from PyTorch's", found.probability, TOLERANCE),
        ("probabilities of a clip alone differ from those among others", found.alone, TOLERANCE),
        ("unknown scores differ from PyTorch's", 0.0 if found.score is None else found.score, SCORE_TOLERANCE),
    ):
        if not difference <= most:  # no number is not either
            problem = f"onnxruntime's {told} by {difference:.1e}, more than {most:g}"
            raise AudioidError(f"{file}: {problem}; it was not written: report it with the model's model.json")


def described(model: Model, precision: str) -> dict[str, Any]:
    """What the file says of itself: all that is needed to use it, as values of JSON."""
    rate = model.audio["sample_rate"]
    pictures = [
        {"transform": type(picture).__name__.lower()} | asdict(picture.image) for picture in model.classifier.pictures
    ]
    sureness = [part.sureness for part in parts_of(model)]
    return {
        "audioid": version("audioid"),
        "labels": model.labels,
        "sample_rate": rate,
        "samples": round(rate * model.audio["seconds"]),
        "audio": model.audio,
        "pictures": pictures,
        "temperatures": [float(each.temperature) if each else 1.0 for each in sureness],
        "thresholds": [float(each.threshold) if each and each.threshold.isfinite() else None for each in sureness],
        "precision": precision,
    }


def agreement(model: Model, session: Session, trial: Trial) -> Agreement:
    """How the session answers beside the model."""
    found, alone = session.answers(trial.clips), session.answers(trial.clips[:ALONE], at_once=1)
    wanted = _answers(model, trial.clips)
    names, others = found[0].argmax(1), wanted[0].argmax(1)
    changed, score = names != others, None
    if tells_unknown(model):
        changed |= (found[1] > 0) != (wanted[1] > 0)
        is_near = np.minimum(np.abs(wanted[1]), np.abs(found[1])) < NEAR
        score = float(np.abs(found[1] - wanted[1])[is_near].max(initial=0.0))
    accuracies: list[float | None] = [None, None]
    if trial.labels:
        own = np.array(trial.labels)
        accuracies = [float((np.array(model.labels)[each] == own).mean()) for each in (others, names)]
    return Agreement(
        len(trial.clips),
        float(np.abs(found[0] - wanted[0]).max()),
        float(np.abs(alone[0] - found[0][:ALONE]).max()),
        score,
        float(changed.mean()),
        *accuracies,
    )


def _answers(model: Model, clips: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """As `Session.answers`, of the model itself."""
    parts = []
    for start in range(0, len(clips), AT_ONCE):
        found, every = judged(model, [[clip] for clip in clips[start : start + AT_ONCE]])
        scores = [score.numpy() for _, score in every if score is not None]
        parts.append([found.exp().numpy(), *([np.mean(scores, 0)] if scores else [])])
    return [np.concatenate(every) for every in zip(*parts, strict=True)]


def trial_by(folder: Path, model: Model) -> Trial:
    """Clips of at most `MOST` recordings below the folder, evenly spread over them, with the labels of their folders.

    Raises:
        AudioidError: there is none that can be read and whose label the model knows.
    """
    every = sorted(folder / path for path, reason in walk(folder) if not reason)
    files = [file for file in every if file.parent.name in model.labels]
    chosen = [files[k * len(files) // MOST] for k in range(MOST)] if len(files) > MOST else files
    found = [(clips[0], path.parent.name) for path, clips in heard(model, iter(chosen)) if not isinstance(clips, str)]
    if not found:
        names = ", ".join(model.labels[:5])
        raise AudioidError(f"--data: {folder} has no recordings in folders that are called as the labels ({names} ...)")
    return Trial(np.stack([clip for clip, _ in found]), [label for _, label in found])


def trial_of_all_kinds(count: int, model: Model) -> Trial:
    """So many generated clips, without labels."""
    return Trial(np.stack(trial_clips(count, model.audio)))
