"""What all pictures of sound share: the rows, the time of each column, and the scale of the values."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from audioid.errors import AudioidError
from audioid.transforms.scales import frequency_grid

FREQUENCY = "frequency / Hz"


@dataclass(frozen=True)
class ImageSpec:
    """What the pictures of a comparison share: the keys of `image.*`, and the clips that they show.

    `f_min` and `f_max` are in hertz, `decibel_range` in decibels; clips have `n_samples` at `sample_rate` hertz.
    """

    size: int
    f_min: float
    f_max: float
    frequency_scale: str
    amplitude_scale: str
    decibel_range: float
    sample_rate: int
    n_samples: int

    def row_frequencies(self, count: int | None = None) -> Tensor:
        """Centre frequencies in hertz, float64, `(size,)` or as many as `count`, even on `frequency_scale`."""
        grid = frequency_grid(count or self.size, self.f_min, self.f_max, self.frequency_scale)
        return torch.tensor(grid, dtype=torch.float64)


class TimeFrequencyTransform(torch.nn.Module):
    """The base of all transforms: waveforms `(batch, time)` to images `(batch, channels, size, size)`.

    Column 0 is the start of the clip, and `times` has the seconds of each column's centre. Row 0 is the lowest of
    `row_values`, which stand for what `row_label` says: `frequencies` in hertz, but for `mfcc`. Both are float64.
    A subclass sets `values`, the module that turns a waveform into `(batch, bands, size)`: the mean power in each
    column, where a tone of amplitude 1 has the power 1, or for `amplitude_scale="signed"` the mean coefficient.

    `amplitude_scale="decibel"` is relative to the clip's own loudest value, from `decibel_range` below it (0) to it
    (1); `magnitude` is the root of the mean power; `signed` is divided by the clip's largest absolute value, -1 to 1.
    Silence gives zeros.
    """

    channels = 1
    channel_names: tuple[str, ...] = ("",)  # where there are several
    is_signed = False  # whether there are values below 0 whatever the amplitude scale
    values: torch.nn.Module
    row_values: Tensor
    times: Tensor

    def __init__(
        self, image: ImageSpec, bands: Tensor, *, row_label: str = FREQUENCY, n_shown: int | None = None
    ) -> None:
        """`bands` are the values of the rows `(bands,)` before they are resized to the image's, `n_shown` the samples
        from the start that are shown, if not all."""
        super().__init__()
        self.image, self.row_label, self.n_shown = image, row_label, n_shown or image.n_samples
        columns = torch.arange(image.size, dtype=torch.float64)
        self.times = (columns + 0.5) * self.n_shown / image.size / image.sample_rate
        self.row_values = _resize(bands.repeat(2, 1).T.contiguous()[None], image.size)[0, :, 0]
        # Clips are worked on a few at a time, so that what each step leaves is still in cache for the next.
        self.clips_at_once = max(1, 2**19 // self.n_shown)

    @property
    def frequencies(self) -> Tensor:
        """Hertz per row `(size,)`, where rows are frequencies."""
        if self.row_label != FREQUENCY:
            raise AttributeError(f"the rows are no frequencies but {self.row_label}")
        return self.row_values

    def forward(self, waveform: Tensor) -> Tensor:
        if waveform.ndim != 2 or waveform.shape[1] != self.image.n_samples:
            shape = tuple(waveform.shape)
            raise AudioidError(
                f"waveform: the shape {shape} is not (batch, {self.image.n_samples}); cut or pad the clips"
            )
        shown = waveform[:, : self.n_shown]
        if torch.compiler.is_compiling():  # or where a graph is exported: a loop over clips would fix the batch
            values = self.values(shown)
        else:
            check_finite(waveform)
            values = torch.cat([self.values(part) for part in shown.split(self.clips_at_once)])
        return _resize(self.scaled(values), self.image.size)[:, None]

    def scaled(self, values: Tensor) -> Tensor:
        """`(batch, bands, size)` of power or coefficients to what the image shows of them."""
        if self.image.amplitude_scale == "signed":
            return values / _largest(values.abs())
        if self.image.amplitude_scale == "magnitude":
            return values.clamp(min=torch.finfo(values.dtype).tiny).sqrt()
        floor = 10 ** (-self.image.decibel_range / 10)
        relative = (values / _largest(values)).clamp(min=floor)
        return 1 + 10 / self.image.decibel_range * torch.log10(relative)


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
