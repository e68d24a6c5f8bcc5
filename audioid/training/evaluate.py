"""What a trained classifier makes of the three parts of its recordings."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score

from audioid.classifier import AudioClassifier, log_probabilities
from audioid.data.datamodule import eval_dataloader
from audioid.errors import AudioidError
from audioid.pipeline.recordings import PreparedData

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Evaluation:
    """`log_probabilities` `(recordings, classes)`, `accuracy` and `loss` (mean cross-entropy) of each part.

    A part without recordings has no accuracy and no loss. `confusion` counts `(label, predicted)` of the test part,
    `features` `(recordings, n_features)` are what the head was given for it, the mean over a recording's clips, None
    where the network does not show them.
    """

    log_probabilities: dict[str, NDArray[np.float64]]
    accuracy: dict[str, float]
    loss: dict[str, float]
    test_macro_f1: float
    confusion: NDArray[np.int64]
    features: NDArray[np.float32] | None


def evaluate(classifier: AudioClassifier, prepared: PreparedData, *, batch_size: int, device: str) -> Evaluation:
    """Judges the classifier, which is moved to `device` and left in evaluation mode.

    Raises:
        AudioidError: it gives no numbers for the test part, since training diverged.
    """
    classifier.eval().to(device)
    targets = {part: prepared.index.targets[getattr(prepared.split, part)] for part in PARTS}
    found, accuracy, loss = dict[str, NDArray[np.float64]](), dict[str, float](), dict[str, float]()
    features: list[NDArray[np.float32]] = []
    for part in PARTS:
        rows = getattr(prepared.split, part)
        batches = eval_dataloader(prepared.images, prepared.index.targets, prepared.clips, rows, batch_size=batch_size)
        judged = []
        with torch.inference_mode():
            for images, _, counts in batches:
                shown, logits = classifier.features_and_logits(images.to(device))
                judged.append(log_probabilities(logits.double(), counts.to(device)).cpu().numpy())
                if part == "test" and shown is not None:
                    means = torch.segment_reduce(shown.flatten(1).float().cpu(), "mean", lengths=counts, axis=0)
                    features.append(means.numpy())
        found[part] = np.concatenate(judged or [np.empty((0, 0))])
        if len(rows):
            accuracy[part] = float((found[part].argmax(1) == targets[part]).mean())
            loss[part] = float(-found[part][np.arange(len(rows)), targets[part]].mean())
    if not np.isfinite(found["test"]).all():
        raise AudioidError("optimizer.lr: training diverged, its loss is no number; lower it")
    labels, predicted = range(len(prepared.index.classes)), found["test"].argmax(1)
    return Evaluation(
        found,
        accuracy,
        loss,
        # Over all classes: else the denominator would depend on what was predicted.
        test_macro_f1=float(f1_score(targets["test"], predicted, labels=labels, average="macro", zero_division=0)),
        confusion=confusion_matrix(targets["test"], predicted, labels=labels),
        features=np.concatenate(features) if features else None,
    )
