"""Mel-frequency cepstral coefficients (Davis and Mermelstein 1980): the cosine transform of a mel image's columns."""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torchaudio.functional import create_dct

from audioid.registry import register
from audioid.schema import MfccSettings
from audioid.transforms.image import ImageSpec, TimeFrequencyTransform
from audioid.transforms.images.fft import FilterPower


@register("transform", "mfcc", MfccSettings)
class Mfcc(TimeFrequencyTransform):
    """Cepstral images of mel bands in decibels; see `TimeFrequencyTransform`.

    Row 0 is the mean of a column of the mel image, from 0 to 1; the others are its shape, coarse to fine, from -1 to 1.

    Args:
        n_fft: as for `Fft`.
        win_length: as for `Fft`.
        window: as for `Fft`.
        n_mels: number of bands, even on the mel scale from `f_min` to `f_max`; null for one per row.
        n_mfcc: number of coefficients, resized to the image's rows; null for one per row, as far as `n_mels` goes.
    """

    is_signed = True
    dct: Tensor

    def __init__(
        self,
        *,
        n_fft: int | str,
        win_length: int | str,
        window: str,
        n_mels: int | None,
        n_mfcc: int | None,
        image: ImageSpec,
    ) -> None:
        bands = replace(image, frequency_scale="mel").row_frequencies(n_mels)
        count = n_mfcc or min(image.size, len(bands))
        super().__init__(image, torch.arange(count, dtype=torch.float64), row_label="cepstral coefficient")
        self.values = FilterPower(bands, image, n_fft=n_fft, win_length=win_length, window=window)
        dct = create_dct(count, len(bands), norm="ortho").T / math.sqrt(len(bands))  # (n_mfcc, n_mels)
        self.register_buffer("dct", dct.contiguous(), persistent=False)

    def scaled(self, values: Tensor) -> Tensor:
        return self.dct @ super().scaled(values)
