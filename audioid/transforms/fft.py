"""Fourier images: short-time spectra gathered into the rows of the image by triangular filters."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from audioid.errors import AudioidError
from audioid.transforms.image import TimeFrequencyTransform, row_frequencies

WINDOWS = {"hann": torch.hann_window, "hamming": torch.hamming_window, "blackman": torch.blackman_window}
# `auto`: as long as the 1,024 samples at 22,050 Hz that music analysis commonly takes.
AUTO_SECONDS = 1024 / 22050


def triangular_filters(centers: Tensor, edges: tuple[float, float], n_fft: int, sample_rate: int) -> Tensor:
    """Filters `(band, n_fft // 2 + 1)` of peak 1 that fall to 0 at the neighbouring centres.

    `edges` are where the first and last filter end. A filter narrower than a bin is widened to one bin on either side,
    so that none is empty. All values in hertz.
    """
    ends = torch.cat([centers.new_tensor(edges[:1]), centers, centers.new_tensor(edges[1:])])
    width = sample_rate / n_fft
    lower = (centers - ends[:-2]).clamp(min=width)[:, None]
    upper = (ends[2:] - centers).clamp(min=width)[:, None]
    distance = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * width - centers[:, None]
    return torch.minimum(1 + distance / lower, 1 - distance / upper).clamp(min=0)


class FilterPower(torch.nn.Module):
    """Mean power of triangular bands in each column of an image."""

    starts: Tensor
    window: Tensor
    filters: Tensor

    def __init__(
        self, filters: Tensor, centers: Tensor, window: Tensor, *, sample_rate: int, n_samples: int, size: int
    ) -> None:
        super().__init__()
        n_fft, win_length = 2 * (filters.shape[1] - 1), len(window)
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
        tones = torch.exp(2j * math.pi * centers[:, None] * time) * window
        gain = (torch.fft.fft(tones, n_fft)[:, : n_fft // 2 + 1].abs().square() * filters).sum(1)
        # As long as the FFT, which spares padding each frame.
        self.register_buffer("window", functional.pad(window, (0, n_fft - win_length)).float(), persistent=False)
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


class Fft(TimeFrequencyTransform):
    """Fourier images; see `TimeFrequencyTransform`.

    Args:
        n_fft: FFT size in samples, or `auto`: at least twice the window.
        win_length: window length in samples, or `auto`: 46 ms, or the clip where that is shorter.
        window: `hann`, `hamming` or `blackman`.
        n_mels: number of filters, resized to the image's rows; null for one per row.
    """

    def __init__(
        self,
        *,
        n_fft: int | str,
        win_length: int | str,
        window: str,
        n_mels: int | None,
        size: int,
        f_min: float,
        f_max: float,
        frequency_scale: str,
        amplitude_scale: str,
        decibel_range: float,
        sample_rate: int,
        n_samples: int,
    ) -> None:
        if window not in WINDOWS:
            raise AudioidError(f"transform.window: there is no {window!r}; choose one of {', '.join(WINDOWS)}")
        if amplitude_scale == "signed":
            raise AudioidError("image.amplitude_scale: fft has no signed values; choose decibel or magnitude")
        bands = row_frequencies(n_mels or size, f_min, f_max, frequency_scale)
        super().__init__(
            bands,
            size=size,
            amplitude_scale=amplitude_scale,
            decibel_range=decibel_range,
            sample_rate=sample_rate,
            n_samples=n_samples,
            n_shown=n_samples,
        )
        length = _samples("win_length", win_length, min(round(AUTO_SECONDS * sample_rate), n_samples))
        points = _samples("n_fft", n_fft, 2 ** math.ceil(math.log2(2 * length)))
        if not 2 <= length <= points or points % 2:
            raise AudioidError(
                f"transform.win_length: {length} must be at least 2 and no longer than an even n_fft ({points})"
            )
        edges = (float(2 * bands[0] - bands[1]), float(2 * bands[-1] - bands[-2]))
        filters = triangular_filters(bands, edges, points, sample_rate)
        self.values = FilterPower(
            filters,
            bands,
            WINDOWS[window](length, dtype=torch.float64),
            sample_rate=sample_rate,
            n_samples=n_samples,
            size=size,
        )


def _samples(key: str, value: int | str, auto: int) -> int:
    if value == "auto":
        return auto
    if isinstance(value, int):
        return value
    raise AudioidError(f"transform.{key}: {value!r} is neither auto nor a number of samples; correct it")
