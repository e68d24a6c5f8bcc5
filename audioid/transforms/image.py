"""What all pictures of sound share: the frequency of each row, the time of each column, and the scale of the values."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audioid.errors import AudioidError


def row_frequencies(size: int, f_min: float, f_max: float, frequency_scale: str) -> Tensor:
    """Centre frequencies in hertz `(size,)`, float64, from `f_min` to `f_max`, even on that scale.

    Mel is O'Shaughnessy's 2595 log10(1 + f / 700).
    """
    if not 0 < f_min < f_max:
        raise AudioidError(f"image.f_min: {f_min:g} Hz must lie between 0 and image.f_max ({f_max:g} Hz); change one")
    if frequency_scale not in _AXES:
        raise AudioidError(f"image.frequency_scale: there is no {frequency_scale!r}; choose one of {', '.join(_AXES)}")
    forward, inverse = _AXES[frequency_scale]
    grid = np.linspace(forward(f_min), forward(f_max), size)
    return torch.tensor([inverse(value) for value in grid], dtype=torch.float64)


_AXES = {
    "log": (math.log, math.exp),
    "mel": (lambda f: 2595 * math.log10(1 + f / 700), lambda m: 700 * (10 ** (m / 2595) - 1)),
    "linear": (float, float),
}


def check_below_nyquist(highest: float, sample_rate: float) -> None:
    """Raises AudioidError where a row's frequency cannot occur in a recording."""
    if highest > sample_rate / 2 * (1 + 1e-9):
        raise AudioidError(
            f"frequency: {highest:g} Hz is above half the sample rate ({sample_rate / 2:g} Hz); lower image.f_max"
        )


class TimeFrequencyTransform(torch.nn.Module):
    """The base of all transforms: waveforms `(batch, time)` to images `(batch, 1, size, size)`.

    Row 0 is the lowest frequency and column 0 the start of the clip. `frequencies` (hertz per row) and `times`
    (seconds per column's centre) are float64 tensors. A subclass sets `values`, the module that turns a waveform into
    `(batch, bands, size)`: the mean power in each column, where a tone of amplitude 1 has the power 1, or for
    `amplitude_scale="signed"` the mean coefficient.

    `amplitude_scale="decibel"` is relative to the clip's own loudest value, from `decibel_range` below it (0) to it
    (1); `magnitude` is the root of the mean power; `signed` is divided by the clip's largest absolute value, -1 to 1.
    Silence gives zeros.
    """

    values: torch.nn.Module
    frequencies: Tensor
    times: Tensor

    def __init__(
        self,
        band_frequencies: Tensor,
        *,
        size: int,
        amplitude_scale: str,
        decibel_range: float,
        sample_rate: int,
        n_samples: int,
        n_shown: int,
    ) -> None:
        super().__init__()
        if amplitude_scale not in ("decibel", "magnitude", "signed"):
            raise AudioidError(
                f"image.amplitude_scale: there is no {amplitude_scale!r}; choose decibel, magnitude or signed"
            )
        if n_shown < 2:
            raise AudioidError(f"waveform: {n_shown} samples make no picture; give a clip of at least 2 samples")
        check_below_nyquist(float(band_frequencies.max()), sample_rate)
        self.size, self.amplitude_scale, self.decibel_range = size, amplitude_scale, decibel_range
        self.n_samples, self.n_shown = n_samples, n_shown
        columns = torch.arange(size, dtype=torch.float64)
        self.times = (columns + 0.5) * n_shown / size / sample_rate
        self.frequencies = _resize(band_frequencies.repeat(2, 1).T.contiguous()[None], size)[0, :, 0]
        # Clips are worked on a few at a time, so that what each step leaves is still in cache for the next.
        self.clips_at_once = max(1, 2**19 // n_shown)

    def forward(self, waveform: Tensor) -> Tensor:
        if waveform.ndim != 2 or waveform.shape[1] != self.n_samples:
            shape = tuple(waveform.shape)
            raise AudioidError(f"waveform: the shape {shape} is not (batch, {self.n_samples}); cut or pad the clips")
        shown = waveform[:, : self.n_shown]
        if torch.compiler.is_compiling():  # or where a graph is exported: a loop over clips would fix the batch
            return self._scaled(self.values(shown))
        check_finite(waveform)
        parts = [self.values(part) for part in shown.split(self.clips_at_once)]
        return self._scaled(torch.cat(parts))

    def _scaled(self, values: Tensor) -> Tensor:
        """`(batch, bands, size)` of power or coefficients to the image `(batch, 1, size, size)`."""
        if self.amplitude_scale == "signed":
            values = values / _largest(values.abs())
        elif self.amplitude_scale == "magnitude":
            values = values.clamp(min=torch.finfo(values.dtype).tiny).sqrt()
        else:
            floor = 10 ** (-self.decibel_range / 10)
            relative = (values / _largest(values)).clamp(min=floor)
            values = 1 + 10 / self.decibel_range * torch.log10(relative)
        return _resize(values, self.size)[:, None]


def check_finite(waveform: Tensor) -> None:
    """Raises AudioidError that names the first clip with NaN or infinity in it."""
    # One pass where all is well, which is nearly always; the sum may also overflow.
    if torch.isfinite(waveform.sum()):
        return
    finite = torch.isfinite(waveform).reshape(-1, waveform.shape[-1]).all(-1)
    if not finite.all():
        clip = int(torch.nonzero(~finite)[0])
        raise AudioidError(f"waveform: clip {clip} holds NaN or infinity; leave it out or repair it")


def _largest(values: Tensor) -> Tensor:
    """The largest value of each clip; 1 where there is only silence."""
    largest = values.amax((-2, -1), keepdim=True)
    return torch.where(largest > torch.finfo(values.dtype).tiny, largest, 1)


def _resize(values: Tensor, size: int) -> Tensor:
    """`(batch, bands, columns)` to `size` rows: unchanged, averaged or interpolated."""
    if values.shape[1] == size:
        return values
    shape = (size, values.shape[2])
    return functional.interpolate(values[:, None], shape, mode="bilinear", antialias=True, align_corners=False)[:, 0]
