"""Wavelet images: the mean power (or coefficient) of the continuous wavelet transform in each pixel."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from audioid.registry import register
from audioid.schema import CwtSettings
from audioid.transforms import wavelets
from audioid.transforms.bands import BandPower
from audioid.transforms.image import ImageSpec, TimeFrequencyTransform


@register("transform", "cwt", CwtSettings)
class Cwt(TimeFrequencyTransform):
    """Wavelet images; see `TimeFrequencyTransform`.

    Args:
        wavelet: as for `audioid.transforms.cwt`.
        norm: as for `audioid.transforms.cwt`.
        padding: as for `audioid.transforms.cwt`.
        scales: PyWavelets scales from the first to the last number, instead of the image's frequencies.
        first_samples: only this many samples from the start are shown.
    """

    def __init__(
        self,
        *,
        wavelet: str,
        norm: str,
        padding: str,
        scales: Sequence[int] | None,
        first_samples: int | None,
        image: ImageSpec,
    ) -> None:
        mother = wavelets.parse(wavelet)
        if scales is None:
            bands = image.row_frequencies()
        else:
            falling = torch.arange(scales[1], scales[0] - 1, -1, dtype=torch.float64)
            bands = mother.scale_to_frequency(falling, image.sample_rate)
        shown = replace(image, n_samples=min(image.n_samples, first_samples or image.n_samples))
        super().__init__(image, bands, n_shown=shown.n_samples)
        mother.warn_if_longer(bands, shown.n_samples / shown.sample_rate)
        self.values = BandPower(mother, bands, shown, norm=norm, padding=padding)
