"""The classifier that a run begins with."""

import torch
from pytorch_lightning import seed_everything

from audioid.classifier import AudioClassifier, build_classifier
from audioid.data.datamodule import eval_dataloader
from audioid.pipeline.recordings import PreparedData
from audioid.schema import Settings


def build(settings: Settings, prepared: PreparedData) -> AudioClassifier:
    """A classifier with the initial weights of `settings.seed` and the statistics of the training images.

    Raises:
        AudioidError: as `build_classifier`.
    """
    seed_everything(settings.seed, verbose=False)
    groups = {group: getattr(settings, group).model_dump() for group in ("audio", "image", "transform", "model")}
    classifier = build_classifier(**groups, n_classes=len(prepared.index.classes))
    if settings.image.standardize != "none":
        rows = eval_dataloader(
            prepared.images, prepared.index.targets, prepared.split.train, batch_size=settings.data.batch_size
        )
        classifier.normalize.fit((images for images, _ in rows), over=settings.image.standardize)
    classifier.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return classifier
