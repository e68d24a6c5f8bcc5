"""With what weights a run begins."""

from collections.abc import Sequence

from audioid.classifier import AudioClassifier
from audioid.pretrained import beginning_of
from audioid.schema import Settings
from audioid.training.build import begin_with
from audioid.training.fit import Progress


def begun(classifiers: Sequence[AudioClassifier], settings: Settings) -> Progress:
    """The progress of runs that begin, whose classifiers get the trained weights that are chosen, if any."""
    beginning = beginning_of(settings)
    if beginning.told:
        print(f"  {beginning.told}", flush=True)
    if beginning.weights is None:
        return Progress()
    for classifier in classifiers:
        begin_with(classifier, beginning.weights)
    return Progress(pretrained=beginning.weights.record)
