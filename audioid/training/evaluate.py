"""What a trained classifier makes of the three parts of its recordings."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.metrics import confusion_matrix, f1_score

from audioid.classifier import AudioClassifier, log_probabilities
from audioid.data.datamodule import eval_dataloader
from audioid.errors import DivergedError
from audioid.pipeline.recordings import PreparedData
from audioid.training.determinism import deterministic

PARTS = ("train", "val", "test")
MOST_KNOWN = 20_000  # recordings of the training part whose features are kept


@dataclass(frozen=True)
class Evaluation:
    """`log_probabilities` `(recordings, classes)`, `accuracy` and `loss` (mean cross-entropy) of each part.

    A part without recordings has no accuracy and no loss. `confusion` counts `(label, predicted)` of the test part,
    `features` `(recordings, n_features)` of each part are what the head was given, the mean over a recording's clips;
    of the training part those of `known` alone, places in it, which are all but where there are very many. Where the
    network does not show them the logits count as features, and `shows_features` is false.
    """

    log_probabilities: dict[str, NDArray[np.float64]]
    accuracy: dict[str, float]
    loss: dict[str, float]
    test_macro_f1: float
    confusion: NDArray[np.int64]
    features: dict[str, NDArray[np.float32]]
    known: NDArray[np.intp]
    shows_features: bool


def calibrated(evaluation: Evaluation, prepared: PreparedData, temperature: float) -> Evaluation:
    """The same of the model as it answers: probabilities and loss of the test part at that temperature."""
    found = log_softmax(evaluation.log_probabilities["test"] / temperature, axis=1)
    targets = prepared.index.targets[prepared.split.test]
    return replace(
        evaluation,
        log_probabilities=evaluation.log_probabilities | {"test": found},
        loss=evaluation.loss | {"test": mean_loss(found, targets)},
    )


def mean_loss(log_probabilities: NDArray[np.float64], targets: NDArray[np.intp]) -> float:
    """Cross-entropy, in nats a recording."""
    return float(-log_probabilities[np.arange(len(targets)), targets].mean())


def evaluate(classifier: AudioClassifier, prepared: PreparedData, *, batch_size: int, device: str) -> Evaluation:
    """Judges the classifier, which is moved to `device` and left in evaluation mode.

    Raises:
        DivergedError: it gives no numbers for the test part, since training diverged.
    """
    classifier.eval().to(device)
    targets = {part: prepared.index.targets[getattr(prepared.split, part)] for part in PARTS}
    found, accuracy, loss = dict[str, NDArray[np.float64]](), dict[str, float](), dict[str, float]()
    features, shows_features = dict[str, NDArray[np.float32]](), True
    known = chosen_known(len(prepared.split.train))
    for part in PARTS:
        rows = getattr(prepared.split, part)
        chosen = known if part == "train" else np.arange(len(rows))
        found[part], features[part], shown = judged(
            classifier, prepared, rows, chosen, batch_size=batch_size, device=device
        )
        shows_features &= shown
        if len(rows):
            accuracy[part] = float((found[part].argmax(1) == targets[part]).mean())
            loss[part] = mean_loss(found[part], targets[part])
    if not np.isfinite(found["test"]).all():
        raise DivergedError
    labels, predicted = range(len(prepared.index.classes)), found["test"].argmax(1)
    return Evaluation(
        found,
        accuracy,
        loss,
        # Over all classes: else the denominator would depend on what was predicted.
        test_macro_f1=float(f1_score(targets["test"], predicted, labels=labels, average="macro", zero_division=0)),
        confusion=confusion_matrix(targets["test"], predicted, labels=labels),
        features=features,
        known=known,
        shows_features=shows_features,
    )


def chosen_known(count: int) -> NDArray[np.intp]:
    """Of so many recordings learned from the places of those whose features are kept: of all, but for very many."""
    return np.sort(np.random.default_rng(0).permutation(count)[:MOST_KNOWN])


@deterministic()
@torch.inference_mode()
def judged(
    classifier: AudioClassifier,
    prepared: PreparedData,
    rows: NDArray[np.int64],
    chosen: NDArray[np.intp],
    *,
    batch_size: int,
    device: str,
) -> tuple[NDArray[np.float64], NDArray[np.float32], bool]:
    """Log-probabilities `(rows, classes)` of the recordings `rows`; features `(chosen, n_features)` of those at the
    places `chosen`, the means over their clips; whether the network shows features, else they are its logits."""
    batches = eval_dataloader(prepared.images, prepared.index.targets, prepared.clips, rows, batch_size=batch_size)
    is_kept, found, features, shows_features = np.isin(np.arange(len(rows)), chosen), [], [], True
    done = 0
    for images, _, counts in batches:
        shown, logits = classifier.features_and_logits(images.to(device))
        found.append(log_probabilities(logits.cpu().double(), counts).numpy())  # not every GPU has doubles
        shows_features &= shown is not None
        shown = (logits if shown is None else shown).flatten(1).float().cpu()
        means = torch.segment_reduce(shown, "mean", lengths=counts, axis=0).numpy()
        features.append(means[is_kept[done : done + len(counts)]])
        done += len(counts)
    if not found:
        return np.empty((0, 0)), np.empty((0, 0), np.float32), True
    return np.concatenate(found), np.concatenate(features), shows_features
