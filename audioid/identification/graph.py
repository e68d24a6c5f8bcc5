"""A model as one module of real arithmetic, waveform to answer: what is written for other programs to run."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from audioid.classifier import AudioClassifier
from audioid.data.audio import SILENCE
from audioid.identification.answers import Answering, Model
from audioid.identification.identify import parts_of
from audioid.model_folder import TrainedModel
from audioid.transforms.real import in_real_arithmetic


class Graph(nn.Module):
    """Waveforms `(batch, samples)` at the model's rate to its answers.

    Probabilities `(batch, classes)` and unknown scores `(batch,)`, as `identify` has them: calibrated, scores less the
    threshold, of several models together. There are no scores where the model cannot tell.

    Args:
        in_half: the networks work in half precision, and all else as ever, since a picture of 80 dB needs more.

    Raises:
        AudioidError: the model has a picture for which there is no real arithmetic.
    """

    def __init__(self, model: Model, *, in_half: bool = False) -> None:
        super().__init__()
        self.audio = model.audio
        self.parts = nn.ModuleList(Part(part, in_half=in_half) for part in parts_of(model))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        waveform = levelled(waveform, self.audio)
        every = [part(waveform) for part in self.parts]
        probabilities = torch.stack([found for found, _ in every]).mean(0).softmax(1)
        scores = [score for _, score in every if score is not None]
        return (probabilities, torch.stack(scores).mean(0)) if scores else (probabilities,)


class Part(nn.Module):
    """One of the models that answer together: log-probabilities `(batch, classes)`, and scores if it can tell."""

    def __init__(self, model: Model, *, in_half: bool) -> None:
        super().__init__()
        self.model, self.classifier = _in_real_arithmetic(model, in_half=in_half)
        self.sureness = self.model.sureness
        self.tells_unknown = self.sureness is not None and bool(self.sureness.threshold.isfinite())

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor | None]:
        features, logits = self.model.classifier.judge(waveform)
        if self.sureness is None:
            return logits.log_softmax(1), None
        found = (logits / self.sureness.temperature).log_softmax(1)
        score = self.sureness.unknown_scores(features) - self.sureness.threshold if self.tells_unknown else None
        return found, score


class Twin(AudioClassifier):
    """A classifier in real arithmetic."""

    def __init__(self, classifier: AudioClassifier, *, in_half: bool) -> None:
        network = deepcopy(classifier.network).half() if in_half else classifier.network
        super().__init__(in_real_arithmetic(classifier.transform), classifier.normalize, network)
        self.in_half = in_half

    def features_and_logits(self, images: Tensor) -> tuple[Tensor | None, Tensor]:
        if not self.in_half:
            return super().features_and_logits(images)
        features, logits = self.network.features_and_logits(self.normalize(images).half())
        return features if features is None else features.float(), logits.float()


def _in_real_arithmetic(model: Model, *, in_half: bool) -> tuple[Model, Twin]:
    """The model that asks a twin of its classifier, and this."""
    if isinstance(model, Answering):
        inner, twin = _in_real_arithmetic(model.model, in_half=in_half)
        return replace(model, model=inner), twin
    assert isinstance(model, TrainedModel)
    twin = Twin(model.classifier, in_half=in_half)
    return replace(model, classifier=twin), twin


def levelled(waveform: Tensor, audio: Mapping[str, Any]) -> Tensor:
    """Clips `(batch, samples)` without their mean and at their `peak`, where the model asks for that.

    As `audioid.data.audio.levelled` for whole clips; doing it again to one that was padded afterwards changes nothing.
    """
    if audio["remove_dc"]:
        # In double precision, so that a constant comes out as silence.
        waveform = waveform - waveform.double().mean(1, keepdim=True).float()
    if audio["level"] != "peak":
        return waveform
    peak = waveform.abs().amax(1, keepdim=True)
    return waveform / torch.where(peak < SILENCE, 1.0, peak)
