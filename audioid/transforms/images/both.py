"""The Fourier and the wavelet image as two channels of one, on the same rows and columns."""

import torch
from torch import Tensor

from audioid.registry import register
from audioid.schema import BothSettings
from audioid.transforms.image import ImageSpec, TimeFrequencyTransform
from audioid.transforms.images.cwt import Cwt
from audioid.transforms.images.fft import Fft


@register("transform", "both", BothSettings)
class Both(TimeFrequencyTransform):
    """Images of two channels, `fft` and `cwt`; see `TimeFrequencyTransform`. Takes the keys of both.

    Without scales and a first part of their own, so that the channels share their rows and columns.
    """

    channels = 2
    channel_names = ("fft", "cwt")

    def __init__(
        self,
        *,
        n_fft: int | str,
        win_length: int | str,
        window: str,
        n_mels: int | None,
        wavelet: str,
        norm: str,
        padding: str,
        scales: None,
        first_samples: None,
        image: ImageSpec,
    ) -> None:
        super().__init__(image, image.row_frequencies())
        self.fft = Fft(n_fft=n_fft, win_length=win_length, window=window, n_mels=n_mels, image=image)
        self.cwt = Cwt(
            wavelet=wavelet, norm=norm, padding=padding, scales=scales, first_samples=first_samples, image=image
        )

    def forward(self, waveform: Tensor) -> Tensor:
        return torch.cat([self.fft(waveform), self.cwt(waveform)], 1)
