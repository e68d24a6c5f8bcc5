"""Fourier images: short-time spectra gathered into the rows of the image by triangular filters."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from audioid.registry import register
from audioid.schema import FftSettings
from audioid.transforms.image import ImageSpec, TimeFrequencyTransform
from audioid.transforms.windows import window_lengths


def triangular_filters(centers: Tensor, edges: tuple[float, float], n_fft: int, sample_rate: int) -> Tensor:
    """Filters `(band, n_fft // 2 + 1)` of peak 1 that fall to 0 at the neighbouring centres.

    `edges` are where the first and last filter end. A filter narrower than a bin is widened to one bin on either side,
    so that none is empty. All values in hertz. (torchaudio's `melscale_fbanks` knows no logarithmic axis, leaves narrow
    filters empty and takes half of an odd sample rate a bit too low; where it can be compared, they agree.)
    """
    ends = torch.cat([centers.new_tensor(edges[:1]), centers, centers.new_tensor(edges[1:])])
    width = sample_rate / n_fft
    lower = (centers - ends[:-2]).clamp(min=width)[:, None]
    upper = (ends[2:] - centers).clamp(min=width)[:, None]
    distance = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * width - centers[:, None]
    return torch.minimum(1 + distance / lower, 1 - distance / upper).clamp(min=0)


class FilterPower(torch.nn.Module):
    """Mean power of triangular bands in each column of an image.

    Args:
        centers: frequencies in hertz `(bands,)`, rising.
        n_fft: as for `Fft`.
        win_length: as for `Fft`.
        window: as for `Fft`.
    """

    starts: Tensor
    window: Tensor
    filters: Tensor

    def __init__(
        self, centers: Tensor, image: ImageSpec, *, n_fft: int | str, win_length: int | str, window: str
    ) -> None:
        super().__init__()
        sample_rate, n_samples, size = image.sample_rate, image.n_samples, image.size
        n_fft, win_length = window_lengths(n_fft, win_length, sample_rate, n_samples)
        edges = (float(2 * centers[0] - centers[1]), float(2 * centers[-1] - centers[-2]))
        filters = triangular_filters(centers, edges, n_fft, sample_rate)
        weights: Tensor = getattr(torch, f"{window}_window")(win_length, dtype=torch.float64)
        self.n_fft, self.win_length, self.size = n_fft, win_length, size
        # A frame in the middle of each column; more where columns are so wide that frames would leave gaps.
        self.per_column = max(1, math.ceil(2 * n_samples / size / win_length))
        frames = size * self.per_column
        middles = (torch.arange(frames, dtype=torch.float64) + 0.5) * n_samples / frames
        self.register_buffer("starts", (middles - win_length / 2).round().long() + win_length, persistent=False)
        used = torch.nonzero(filters.amax(0))
        self.bins = slice(int(used[0]), int(used[-1]) + 1)
        # A tone of amplitude 1 on a row's frequency is to have the power 1 there.
        time = torch.arange(win_length, dtype=torch.float64) / sample_rate
        tones = torch.exp(2j * math.pi * centers[:, None] * time) * weights
        gain = (torch.fft.fft(tones, n_fft)[:, : n_fft // 2 + 1].abs().square() * filters).sum(1)
        # As long as the FFT, which spares padding each frame.
        self.register_buffer("window", functional.pad(weights, (0, n_fft - win_length)).float(), persistent=False)
        self.register_buffer(
            "filters", (4 * filters / gain[:, None])[:, self.bins].T.float().contiguous(), persistent=False
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """`(batch, time)` to `(batch, bands, size)`."""
        # Beyond the ends there is silence, as for the wavelets.
        padded = functional.pad(waveform, (self.win_length, self.n_fft))
        frames = padded.unfold(1, self.n_fft, 1)[:, self.starts] * self.window  # (batch, frames, n_fft)
        spectrum = torch.fft.rfft(frames)[..., self.bins]
        power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)
        power = power.unflatten(1, (self.size, self.per_column)).mean(2)
        return (power @ self.filters).transpose(1, 2)


@register("transform", "fft", FftSettings)
class Fft(TimeFrequencyTransform):
    """Fourier images; see `TimeFrequencyTransform`.

    Args:
        n_fft: FFT size in samples, or `auto`: at least twice the window.
        win_length: window length in samples, or `auto`: 46 ms, or the clip where that is shorter.
        window: `hann`, `hamming` or `blackman`.
        n_mels: number of filters, resized to the image's rows; null for one per row.
    """

    def __init__(
        self, *, n_fft: int | str, win_length: int | str, window: str, n_mels: int | None, image: ImageSpec
    ) -> None:
        bands = image.row_frequencies(n_mels)
        super().__init__(image, bands)
        self.values = FilterPower(bands, image, n_fft=n_fft, win_length=win_length, window=window)
