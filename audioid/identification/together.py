"""Several models as one: pictures, or seeds, that answer together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from audioid.errors import AudioidError
from audioid.identification.answers import Classifier, Model, only
from audioid.sureness import Sureness
from audioid.transforms.image import TimeFrequencyTransform

EARLIER = {"windows": 1}  # what model folders from before a key do not say


@dataclass(frozen=True)
class Together:
    """Models of the same names and clips: the mean of their log-probabilities, each calibrated on its own."""

    models: Sequence[Model]

    @property
    def labels(self) -> list[str]:
        return self.models[0].labels

    @property
    def audio(self) -> dict[str, Any]:
        return self.models[0].audio

    @property
    def classifier(self) -> Classifier:
        return self

    @property
    def sureness(self) -> Sureness | None:
        return None  # each of the models has its own

    @property
    def pictures(self) -> list[TimeFrequencyTransform]:
        return [picture for model in self.models for picture in model.classifier.pictures]

    def judge(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """The features of all, side by side, `(batch, n_features)`, and logits `(batch, n_classes)`."""
        every = [(model, *model.classifier.judge(waveform)) for model in self.models]
        found = [
            (model.sureness.probabilities(logits) if model.sureness else logits.softmax(1)).log()
            for model, _, logits in every
        ]
        return torch.cat([features for _, features, _ in every], 1), torch.stack(found).mean(0)


def single_models(model: Model) -> list[Model]:
    """All that answer together, at any depth: models of one picture each."""
    if not isinstance(model, Together):
        return [model]
    return [single for each in model.models for single in single_models(each)]


def among(model: Model, labels: Sequence[str]) -> Model:
    """As `answers.only`, for each of the models that answer together."""
    if isinstance(model, Together):
        return Together([only(each, labels) for each in model.models])
    return only(model, labels)


def together(models: Mapping[str, Model]) -> Model:
    """The models, by what they were called, as one; a single one is itself.

    Raises:
        AudioidError: they do not know the same names, or hear recordings differently.
    """
    (first, chosen), *others = models.items()
    for name, model in others:
        if model.labels != chosen.labels:
            strange = sorted(set(model.labels) ^ set(chosen.labels)) or ["their order"]
            raise AudioidError(
                f"{name}: knows other names than {first}, such as {strange[0]}; name models of one corpus"
            )
        own, its = EARLIER | chosen.audio, EARLIER | model.audio
        for key in own.keys() | its.keys():
            if own.get(key) != its.get(key):
                told = f"audio.{key} {its.get(key)}, not {own.get(key)} as {first}"
                raise AudioidError(f"{name}: hears recordings differently ({told}); name models of one kind")
    # One of several counts as each of those that it consists of.
    return Together([single for model in models.values() for single in single_models(model)]) if others else chosen
