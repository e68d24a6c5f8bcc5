"""The classifier that a run begins with: initial weights, or features that have learned before."""

import torch
from pytorch_lightning import seed_everything

from audioid.classifier import AudioClassifier, build_classifier
from audioid.data.datamodule import eval_dataloader
from audioid.model_description import SECTIONS
from audioid.model_folder import read_weights
from audioid.pipeline.recordings import PreparedData
from audioid.pretrained import Pretrained
from audioid.schema import Settings


def build(settings: Settings, prepared: PreparedData) -> AudioClassifier:
    """A classifier with the initial weights of `settings.seed` and the statistics of the training images.

    Raises:
        AudioidError: as `build_classifier`.
    """
    classifier = _initial(settings, prepared)
    if settings.image.standardize != "none":
        rows = eval_dataloader(
            prepared.images,
            prepared.index.targets,
            prepared.clips,
            prepared.split.train,
            batch_size=settings.data.batch_size,
        )
        classifier.normalize.fit((images for images, *_ in rows), over=settings.image.standardize)
    return classifier


def with_other_seed(classifier: AudioClassifier, settings: Settings, prepared: PreparedData) -> AudioClassifier:
    """As `build` of settings that differ from the classifier's in the seed alone: it shares all but the network."""
    return AudioClassifier(classifier.transform, classifier.normalize, _initial(settings, prepared).network)


def _initial(settings: Settings, prepared: PreparedData) -> AudioClassifier:
    seed_everything(settings.seed, verbose=False)
    groups = {group: getattr(settings, group).model_dump() for group in SECTIONS}
    classifier = build_classifier(**groups, n_classes=len(prepared.index.classes))
    classifier.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return classifier


def begin_with(classifier: AudioClassifier, weights: Pretrained) -> None:
    """Gives the classifier's features the trained weights and running statistics.

    Its head stays as its seed made it, and its normalisation as the training images did: they are other sounds.

    Raises:
        AudioidError: the weights are missing or damaged.
    """
    features = classifier.network.features
    assert isinstance(features, torch.nn.Module)  # of the one network that has this choice
    found = read_weights(weights.folder, weights.description, features.state_dict(), within="network.features.")
    features.load_state_dict(found)
