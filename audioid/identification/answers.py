"""What a model may answer: all of its classes, some of them, or several of them as one."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from audioid.errors import AudioidError
from audioid.sureness import Sureness
from audioid.transforms.image import TimeFrequencyTransform


class Classifier(Protocol):
    """Waveforms `(batch, time)` to features `(batch, n_features)` and logits `(batch, n_classes)`."""

    def judge(self, waveform: Tensor) -> tuple[Tensor, Tensor]: ...

    @property
    def pictures(self) -> list[TimeFrequencyTransform]:
        """What it sees of a waveform."""
        ...


class Model(Protocol):
    """What turns recordings into names, such as `audioid.model_folder.TrainedModel`."""

    @property
    def labels(self) -> list[str]: ...

    @property
    def audio(self) -> dict[str, Any]:
        """The keyword arguments of `audioid.data.clips.load_clips`."""
        ...

    @property
    def classifier(self) -> Classifier: ...

    @property
    def sureness(self) -> Sureness | None: ...


@dataclass(frozen=True)
class Answering:
    """A model whose answers are `groups` of another one's classes; it is also its own classifier."""

    model: Model
    groups: Mapping[str, Sequence[int]]  # by label, the places of its classes among the model's

    @property
    def labels(self) -> list[str]:
        return list(self.groups)

    @property
    def audio(self) -> dict[str, Any]:
        return self.model.audio

    @property
    def classifier(self) -> Classifier:
        return self

    @property
    def sureness(self) -> Sureness | None:
        return self.model.sureness.tempered() if self.model.sureness else None

    @property
    def pictures(self) -> list[TimeFrequencyTransform]:
        return self.model.classifier.pictures

    def judge(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """A group is as likely as its classes together, and what is in no group is out of the question."""
        features, logits = self.model.classifier.judge(waveform)
        return features, self.grouped(logits)

    def grouped(self, logits: Tensor) -> Tensor:
        """Those of the groups `(batch, groups)`, from those of the model's classes `(batch, n_classes)`."""
        if self.model.sureness:  # probabilities are to be summed as they are in truth
            logits = logits / self.model.sureness.temperature
        return torch.stack([logits[:, list(places)].logsumexp(1) for places in self.groups.values()], 1)


def joined(model: Model, label_of: Mapping[str, str]) -> Answering:
    """The model with classes that have the same label in `label_of` as one; a class that is not in it stays."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(model.labels):
        groups.setdefault(label_of.get(name, name), []).append(place)
    return Answering(model, dict(sorted(groups.items())))


def only(model: Model, labels: Sequence[str]) -> Answering:
    """The model with these of its labels alone, each once.

    Raises:
        AudioidError: there are none, or the model does not know one.
    """
    if len(set(labels)) < 2:
        raise AudioidError(f"--labels: fewer than two names leave no choice; name several of {', '.join(model.labels)}")
    for label in labels:
        if label not in model.labels:
            near = difflib.get_close_matches(label, model.labels, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise AudioidError(f"--labels: the model does not know {label!r}; {hint}it knows {', '.join(model.labels)}")
    return Answering(model, {label: [model.labels.index(label)] for label in labels})
