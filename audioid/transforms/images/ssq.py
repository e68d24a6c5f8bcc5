"""Synchrosqueezed wavelet images: what a wavelet spreads over frequencies goes back to where it oscillates.

Each coefficient W(f, t) is moved to the row nearest to its own frequency, the rate of its phase (Daubechies, Lu and
Wu, Appl. Comput. Harmon. Anal. 30 (2011) 243, equations 1.3 to 1.5; Thakur et al., Signal Process. 93 (2013) 1079).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from audioid.registry import register
from audioid.schema import SsqSettings
from audioid.transforms import wavelets
from audioid.transforms.bands import SUPPORT, next_smooth, pad
from audioid.transforms.image import ImageSpec, TimeFrequencyTransform
from audioid.transforms.wavelets import Wavelet, log_steps

# Coefficients of a clip are computed for so many samples at a time, which bounds the memory.
SAMPLES = 2**15


class Squeeze(torch.nn.Module):
    """Mean power of the squeezed coefficients in each column, `(batch, time)` to `(batch, bands, size)`."""

    response: Tensor
    steps: Tensor
    borders: Tensor

    def __init__(self, wavelet: Wavelet, frequencies: Tensor, image: ImageSpec, *, padding: str) -> None:
        super().__init__()
        sample_rate, n_samples, size = image.sample_rate, image.n_samples, image.size
        self.sample_rate, self.n_samples, self.size, self.padding = sample_rate, n_samples, size, padding
        self.halo = min(math.ceil(wavelet.radius(SUPPORT) * sample_rate / float(frequencies.min())), n_samples)
        self.columns = min(size, max(1, SAMPLES * size // n_samples))
        self.n_fft = next_smooth(math.ceil(self.columns * n_samples / size) + 2 + 2 * self.halo)
        grid = torch.fft.fftfreq(self.n_fft, 1 / sample_rate, dtype=torch.float64)
        response = wavelet.response(grid, frequencies[:, None], sample_rate, "l1")
        self.register_buffer("response", response.float(), persistent=False)
        # Sums over bands stand for integrals over log frequency: a tone of amplitude 1 keeps its amplitude.
        steps = log_steps(frequencies)[:, None] / wavelet.admissibility
        self.register_buffer("steps", steps.float(), persistent=False)
        self.register_buffer("borders", (frequencies[1:] * frequencies[:-1]).sqrt().float(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        padded = functional.pad(pad(waveform, self.halo, self.halo, self.padding), (0, self.n_fft))
        clips = [padded] if torch.compiler.is_compiling() else padded.split(1)
        images = []
        for clip in clips:
            parts = []
            for first in range(0, self.size, self.columns):
                last = min(first + self.columns, self.size)
                begin = first * self.n_samples // self.size
                length = max(1, last * self.n_samples // self.size - begin)
                power = self._power(clip[:, begin : begin + self.n_fft], length)
                parts.append(functional.adaptive_avg_pool1d(power, last - first))
            images.append(torch.cat(parts, -1))
        return torch.cat(images)

    def _power(self, waveform: Tensor, length: int) -> Tensor:
        """Squeezed power `(batch, bands, length)` of what comes after the halo."""
        found = torch.fft.ifft(torch.fft.fft(waveform)[:, None] * self.response)
        now = found[..., self.halo : self.halo + length]
        following = found[..., self.halo + 1 : self.halo + 1 + length]
        own = (following.detach() * now.detach().conj()).angle() * (self.sample_rate / (2 * math.pi))
        rows = torch.bucketize(own, self.borders)[..., None].expand(*own.shape, 2)
        values = torch.view_as_real(now * self.steps)
        return torch.zeros_like(values).scatter_add(1, rows, values).square().sum(-1)


@register("transform", "ssq", SsqSettings)
class Ssq(TimeFrequencyTransform):
    """Synchrosqueezed images; see `TimeFrequencyTransform`.

    Args:
        wavelet: a complex one.
        padding: as for `audioid.transforms.cwt`.
    """

    def __init__(self, *, wavelet: str, padding: str, image: ImageSpec) -> None:
        mother, bands = wavelets.parse(wavelet), image.row_frequencies()
        super().__init__(image, bands)
        mother.warn_if_longer(bands, image.n_samples / image.sample_rate)
        self.values = Squeeze(mother, bands, image, padding=padding)
