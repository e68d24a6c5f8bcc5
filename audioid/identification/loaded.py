"""Trained models for programs in Python: waveforms in, names and features out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from audioid.data.audio import Sounding, Waveform
from audioid.data.clips import load_clips
from audioid.errors import AudioidError
from audioid.identification import builtin
from audioid.identification.answers import Model
from audioid.identification.identify import judged, mean_features, ranked


@dataclass(frozen=True)
class Identified:
    """The likeliest names with their probabilities, best first; whether it is `unknown`, like nothing that the model
    has learned, which `unknown_score` above 0 says. Both are None where the model cannot tell."""

    names: list[tuple[str, float]]
    unknown: bool | None
    unknown_score: float | None


@dataclass(frozen=True)
class IdentificationModel:
    """A trained model. Its methods may be called from several threads at once.

    Waveforms are `(time,)` or `(channels, time)`, of any length and level, floats whose full scale is 1. Everything
    that the model asks of recordings (mono, sample rate, length, where a sound begins) is done here.
    """

    model: Model = field(repr=False)

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The names that it knows, `(n_classes,)`, in the order of `predict_proba`."""
        return np.array(self.model.labels)

    @property
    def sample_rate(self) -> int:
        """In hertz: at this rate nothing is resampled."""
        rate: int = self.model.audio["sample_rate"]
        return rate

    @property
    def seconds(self) -> float:
        """The length of what it hears at once."""
        length: float = self.model.audio["seconds"]
        return length

    def identify(self, waveform: ArrayLike, sample_rate: int, *, top: int = 3) -> Identified:
        """What a waveform is, with the `top` likeliest names.

        Raises:
            AudioidError: it has no samples, another shape, or samples that are no numbers.
        """
        (answer,) = ranked(self.model, [self._clips(waveform, sample_rate)], top)
        return Identified(answer.names, answer.unknown, answer.unknown_score)

    def predict_proba(self, waveforms: Sequence[ArrayLike], sample_rate: int | None = None) -> NDArray[np.float64]:
        """Calibrated probabilities `(n, n_classes)` of n waveforms, at `self.sample_rate` if no other is given.

        Raises:
            AudioidError: as `identify`, or it is one waveform and no sequence of them.
        """
        if any(np.ndim(waveform) == 0 for waveform in waveforms):
            raise AudioidError("predict_proba: takes several waveforms; give one as [waveform]")
        clips = [self._clips(waveform, sample_rate or self.sample_rate) for waveform in waveforms]
        if not clips:
            return np.empty((0, len(self.model.labels)))
        found, _ = judged(self.model, clips)
        return found.exp().numpy()

    def predict(self, waveforms: Sequence[ArrayLike], sample_rate: int | None = None) -> NDArray[np.str_]:
        """The likeliest name of each, `(n,)`."""
        return self.classes_[self.predict_proba(waveforms, sample_rate).argmax(1)]

    @torch.inference_mode()
    def embed(self, waveform: ArrayLike, sample_rate: int) -> NDArray[np.float32]:
        """What the network's head decides by, `(n_features,)`: near for what sounds alike; the mean over its clips.

        Raises:
            AudioidError: as `identify`.
        """
        (features,) = mean_features(self.model, [self._clips(waveform, sample_rate)]).numpy()
        return features

    def _clips(self, waveform: Any, sample_rate: int) -> list[Waveform]:
        found = load_clips(Sounding(waveform, sample_rate), **self.model.audio)
        return [clip for clip in found if clip is not None]


def load_model(*paths: str | PathLike[str], trust: Sequence[str] = ()) -> IdentificationModel:
    """The model in a run's folder, or a model folder, or `"builtin"`; several answer together.

    Args:
        trust: code of others that the model may run, such as `my_nets.Tiny`.

    Raises:
        AudioidError: there is none, it is damaged, or the models do not go together.
    """
    names = [str(path) for path in paths]
    if not names:
        raise AudioidError("load_model: name a model")
    return IdentificationModel(builtin.load_together(names, trust=trust))
