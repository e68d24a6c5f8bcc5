"""Changes of the training part's sounds and pictures, drawn anew for each recording in each batch.

All draws come from torch's global generator, so a seed repeats them.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from audioid.registry import register
from audioid.schema import AugmentSettings
from audioid.training.draws import Draws
from audioid.training.image_augmentation import (
    FrequencyShift,
    Gain,
    ImageAugmentation,
    Mask,
    Mixup,
    Tilt,
    TimeShift,
    TimeStretch,
)
from audioid.training.waveform_augmentation import AddNoise, Equalizer, PitchAndSpeed, Reverb


@register("augment", "auto", AugmentSettings)
@register("augment", "none", AugmentSettings)
@register("augment", "specaugment", AugmentSettings)
@register("augment", "sound", AugmentSettings)
@register("augment", "full", AugmentSettings)
class Augment(nn.Module):
    """A training batch `(rows, targets)` to images `(batch, channels, size, size)` and targets.

    Where `of_sound` is true, rows are waveforms `(batch, time)`, of which `transform` makes images once they are
    changed; else they are images already. Class numbers `(batch,)` become probabilities `(batch, n_classes)` by mixup.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        transform: nn.Module,
        *,
        image: Mapping[str, Any],
        sample_rate: int,
        n_classes: int,
    ) -> None:
        super().__init__()
        p, scale = settings["p"], image["amplitude_scale"]
        self.sound = nn.Sequential()
        if settings["pitch_semitones"] or settings["speed"]:
            self.sound.append(PitchAndSpeed(p, settings["pitch_semitones"], settings["speed"], sample_rate))
        if settings["eq_db"]:
            self.sound.append(Equalizer(p, settings["eq_db"], sample_rate))
        if settings["reverb_seconds"]:
            self.sound.append(Reverb(p, settings["reverb_seconds"], sample_rate))
        if settings["min_snr_db"] is not None:
            self.sound.append(AddNoise(p, settings["min_snr_db"]))
        self.image = nn.Sequential()
        if settings["time_shift"]:
            self.image.append(TimeShift(settings["time_shift"]))
        if settings["frequency_shift"]:
            self.image.append(FrequencyShift(settings["frequency_shift"]))
        if settings["time_stretch"]:
            self.image.append(TimeStretch(settings["time_stretch"]))
        if settings["tilt_db"]:
            self.image.append(Tilt(settings["tilt_db"], image["decibel_range"]))
        if settings["gain_db"]:
            self.image.append(Gain(settings["gain_db"]))
        if settings["frequency_mask"] or settings["time_mask"]:
            self.image.append(Mask(settings["frequency_mask"], settings["time_mask"], scale))
        self.mixup = Mixup(settings["mixup"], n_classes, scale, image["decibel_range"]) if settings["mixup"] else None
        self.of_sound = len(self.sound) > 0
        self.transform = transform if self.of_sound else nn.Identity()

    @torch.no_grad()
    def forward(self, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        images = self.image(self.transform(self.sound(rows)))
        return self.mixup(images, targets) if self.mixup else (images, targets)

    @torch.no_grad()
    def of_runs(self, rows: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """As `forward` in each of several runs, whose batches are `rows` and `targets` `(batch, runs, ...)`.

        Each run draws its own values; pictures are then changed all together, which is what a GPU is quick at.
        """
        changes = [cast(ImageAugmentation, change) for change in self.image]
        shape, sounds, drawn, mixed = targets.shape, list[Tensor](), list[list[tuple[Tensor, ...]]](), list[Any]()
        for run in range(shape[1]):
            with draws.of(run):
                own = rows[:, run]
                if self.of_sound:  # how much is drawn for sounds depends on what was drawn before
                    own = self.transform(self.sound(own))
                    sounds.append(own)
                drawn.append([change.drawn(own) for change in changes])
                if self.mixup:
                    mixed.append(self.mixup.drawn(own))
        images = (torch.stack(sounds, 1) if sounds else rows).flatten(0, 1)
        for change, values in zip(changes, zip(*drawn, strict=True), strict=True):
            joined = [torch.stack(each, 1).flatten(0, 1) for each in zip(*values, strict=True)]
            images = change.changed(images, joined)
        if self.mixup:
            share, other = (torch.stack(each, 1) for each in zip(*mixed, strict=True))
            other = other * shape[1] + torch.arange(shape[1], device=other.device)  # of the same run
            images, targets = self.mixup.changed(images, targets.flatten(), (share.flatten(), other.flatten()))
            targets = targets.unflatten(0, shape)
        return images.unflatten(0, shape), targets
