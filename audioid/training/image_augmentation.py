"""Changes of pictures `(batch, channels, rows, columns)` that are what a change of the sound would do to them.

All channels of a recording are changed alike. Zero is silence. Where values are relative to the picture's loudest
(`decibel`, `signed`), the rest rises when the loudest goes; how far below the range a `decibel` zero lay is not known,
so it stays zero. Edges are as sharp as rows and columns, where windows and wavelets smear those of a changed sound.
The functions take their values explicitly; the modules draw them.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional

ROUNDING = 1e-6  # a decibel picture's zeros may be as far off
FAR_BELOW = 1e6  # no value of a picture is as far from zero
QUIET = 1e-9  # amplitude below that of any recording: silence is not brought up to a level


class ImageAugmentation(nn.Module):
    """Changes images `(batch, channels, rows, columns)`, each by values of its own.

    Drawing comes apart from changing, so that what several runs draw can be done at once.
    """

    def forward(self, images: Tensor) -> Tensor:
        return self.changed(images, self.drawn(images))

    @abstractmethod
    def drawn(self, images: Tensor) -> tuple[Tensor, ...]:
        """Values for as many images, `(batch, ...)` each; of the images only shape and device count."""

    @abstractmethod
    def changed(self, images: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        """The images changed by these values."""


class TimeShift(ImageAugmentation):
    """Sounds earlier or later by at most the share `most` of the columns; the loudest moment stays in the picture."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def drawn(self, images: Tensor) -> tuple[Tensor, ...]:
        return (torch.rand(len(images), device=images.device),)

    def changed(self, images: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        (share,) = drawn
        width = images.shape[-1]
        loudest = images.abs().amax(-2).argmax(-1)  # (batch, channels)
        earliest = -loudest.amin(1).clamp(max=self.most * width)
        latest = (width - 1 - loudest.amax(1)).clamp(max=self.most * width)
        return shift_columns(images, torch.lerp(earliest, latest, share).round().long())


class Gain(ImageAugmentation):
    """Sounds louder or softer by at most `most` decibels, in `magnitude` pictures: the others do not show it."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def drawn(self, images: Tensor) -> tuple[Tensor, ...]:
        return (torch.empty(len(images), device=images.device).uniform_(-self.most, self.most),)

    def changed(self, images: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        (gain_db,) = drawn
        return images * 10 ** (gain_db[:, None, None, None] / 20)


class FrequencyShift(ImageAugmentation):
    """Sounds higher or lower, by at most the share `most` of the rows of a logarithmic axis, in decibels."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def drawn(self, images: Tensor) -> tuple[Tensor, ...]:
        most = round(self.most * images.shape[-2])
        return (torch.randint(-most, most + 1, (len(images),), device=images.device),)

    def changed(self, images: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        (rows,) = drawn
        return shift_rows(images, rows)


class TimeStretch(ImageAugmentation):
    """Sounds at 2 ** u times their speed and at the same pitch, u even within `-most` and `most`, in decibels."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def drawn(self, images: Tensor) -> tuple[Tensor, ...]:
        return (torch.empty(len(images), device=images.device).uniform_(-self.most, self.most),)

    def changed(self, images: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        (octaves,) = drawn
        return stretch_columns(images, 2**octaves)


class Tilt(ImageAugmentation):
    """Sounds through a filter whose decibels are a straight line over the rows, at most `most` at the two ends."""

    def __init__(self, most: float, decibel_range: float) -> None:
        super().__init__()
        self.most, self.decibel_range = most, decibel_range

    def drawn(self, images: Tensor) -> tuple[Tensor, ...]:
        return (torch.empty(len(images), device=images.device).uniform_(-self.most, self.most),)

    def changed(self, images: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        (decibels,) = drawn
        return tilt_rows(images, decibels / self.decibel_range)


class Mask(ImageAugmentation):
    """Sounds without a band of frequencies and without a stretch of time: the masks of SpecAugment (Park et al. 2019).

    They hide at most the shares `frequency` of the rows and `time` of the columns, as ideal filters and gaps would;
    of real ones a picture also shows the skirts, down to the side lobes of its windows.
    """

    def __init__(self, frequency: float, time: float, amplitude_scale: str) -> None:
        super().__init__()
        self.frequency, self.time, self.amplitude_scale = frequency, time, amplitude_scale

    def drawn(self, images: Tensor) -> tuple[Tensor, ...]:
        # The width and the place of either, (batch, 1), for each image.
        return (
            *torch.rand(2, len(images), 1, device=images.device),
            *torch.rand(2, len(images), 1, device=images.device),
        )

    def changed(self, images: Tensor, drawn: Sequence[Tensor]) -> Tensor:
        width, place, width_in_time, place_in_time = drawn
        rows = _one_stretch(images.shape[-2], width, place, self.frequency)[:, None, :, None]
        columns = _one_stretch(images.shape[-1], width_in_time, place_in_time, self.time)[:, None, None, :]
        return hide(images, rows | columns, self.amplitude_scale)


class Mixup(nn.Module):
    """Each sound mixed with another of the batch, and their probabilities `(batch, n_classes)` in the same shares.

    The shares come from Beta(alpha, alpha), one for each recording (Zhang et al. 2018). They are shares of amplitude
    of equally loud sounds, as in between-class learning (Tokozume et al. 2018), and not of the pictures' values.
    """

    def __init__(self, alpha: float, n_classes: int, amplitude_scale: str, decibel_range: float) -> None:
        super().__init__()
        self.alpha, self.n_classes = alpha, n_classes
        self.amplitude_scale, self.decibel_range = amplitude_scale, decibel_range

    def forward(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.changed(images, targets, self.drawn(images))

    def drawn(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The share of each image, and which other gives the rest; of the images only shape and device count."""
        share = Beta(self.alpha, self.alpha).sample(images.shape[:1]).to(images.device)
        return share, torch.randperm(len(images), device=images.device)

    def changed(self, images: Tensor, targets: Tensor, drawn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The images and their targets mixed so."""
        share, other = drawn
        certain = functional.one_hot(targets, self.n_classes).to(images.dtype)
        mixed = mix(images, other, share, self.amplitude_scale, self.decibel_range)
        return mixed, torch.lerp(certain[other], certain, share[:, None])


def shift_columns(images: Tensor, columns: Tensor) -> Tensor:
    """Images later by `columns` `(batch,)`; silence comes in."""
    width = images.shape[-1]
    source = torch.arange(width, device=images.device) - columns[:, None]
    is_there = (source >= 0) & (source < width)
    return _columns(images, source.clamp(0, width - 1)) * is_there[:, None, None].to(images.dtype)


def shift_rows(images: Tensor, rows: Tensor) -> Tensor:
    """Decibel images higher by `rows` `(batch,)`; what was beyond the edge is not known, and taken to be like it."""
    size = images.shape[2]
    source = (torch.arange(size, device=images.device) - rows[:, None]).clamp(0, size - 1)
    return _as_loud(_rows(images, source), images)


def stretch_columns(images: Tensor, speed: Tensor) -> Tensor:
    """Decibel images of the sounds at `speed` `(batch,)` times theirs; after their end comes silence."""
    last = images.shape[3] - 1
    centre = torch.arange(last + 1, device=images.device) + 0.5
    source = (centre * speed[:, None] - 0.5).clamp(min=0)
    below = source.floor().clamp(max=last - 1)
    first, second = (_columns(images, below.long() + more) for more in (0, 1))
    between, is_there = (each[:, None, None].to(images.dtype) for each in (source - below, source <= last))
    return _as_loud(torch.lerp(first, second, between) * is_there, images)


def tilt_rows(images: Tensor, most: Tensor) -> Tensor:
    """Decibel images whose highest row gained `most` `(batch,)` and whose lowest lost it, in shares of their range."""
    line = torch.linspace(-1, 1, images.shape[2], device=images.device)[:, None]
    tilted, sounding = images + most[:, None, None, None] * line, _sounding(images)
    loudest = tilted.add(sounding - 1, alpha=FAR_BELOW).amax((-2, -1), keepdim=True)
    return (tilted + (_loudest(images) - loudest)).clamp(min=0) * sounding


def hide(images: Tensor, hidden: Tensor, amplitude_scale: str) -> Tensor:
    """Images of the sounds without what lies where `hidden` (boolean, broadcast to the images) is true."""
    left = images * (~hidden).to(images.dtype)
    if amplitude_scale == "decibel":
        return _as_loud(left, images)
    return left * (_loudest(images) / _loudest(left).clamp(min=QUIET)) if amplitude_scale == "signed" else left


def mix(images: Tensor, other: Tensor, share: Tensor, amplitude_scale: str, decibel_range: float) -> Tensor:
    """Images of mixtures: `share` `(batch,)` of each sound, and the rest of `images[other]`, made as loud as it.

    Powers add, as they do on average for sounds whose phases have nothing to do with one another; `signed` images
    hold amplitudes, which always add.
    """
    share = share[:, None, None, None]
    if amplitude_scale == "magnitude":
        level = _loudest(images) / _loudest(images[other]).clamp(min=QUIET)
        return torch.hypot(share * images, (1 - share) * level * images[other])
    if amplitude_scale == "signed":
        mixed = torch.lerp(images[other], images, share)
        return mixed / _loudest(mixed).clamp(min=QUIET)
    nepers = decibel_range / 10 * math.log(10)  # from a power of 1, at zero, to the loudest
    # In place: fresh memory would cost as much as the sums.
    power = (nepers * images).exp_().mul_(images > ROUNDING)
    mixed = (share**2 * power).addcmul_((1 - share) ** 2, power[other])
    mixed /= _loudest(mixed).clamp(min=torch.finfo(mixed.dtype).tiny)
    return mixed.clamp_(min=math.exp(-nepers)).log_().div_(nepers).add_(1)


def _one_stretch(size: int, width: Tensor, place: Tensor, most: float) -> Tensor:
    """Which of the rows or columns are hidden, `(batch, size)`: a stretch of at most the share `most`.

    Its `width` and `place` `(batch, 1)` are shares of what is possible.
    """
    width = (width * (round(most * size) + 1)).floor()
    start = (place * (size - width + 1)).floor()
    position = torch.arange(size, device=width.device)
    return (position >= start) & (position < start + width)


def _as_loud(changed: Tensor, images: Tensor) -> Tensor:
    """Decibel images whose loudest is that of `images`; the rest rises with it, and silence stays."""
    return changed + (_loudest(images) - _loudest(changed)) * _sounding(changed)


def _sounding(images: Tensor) -> Tensor:
    """1 where there is sound and 0 in silence: many times faster on CPUs than with booleans."""
    return torch.gt(images, ROUNDING, out=torch.empty_like(images))


def _rows(images: Tensor, source: Tensor) -> Tensor:
    """The rows of each image in the order of `source` `(batch, rows)`."""
    batch, channels = (torch.arange(size, device=images.device) for size in images.shape[:2])
    return images[batch[:, None, None], channels[:, None], source[:, None]]


def _columns(images: Tensor, source: Tensor) -> Tensor:
    """The same for columns."""
    return _rows(images.mT, source).mT


def _loudest(images: Tensor) -> Tensor:
    """The largest absolute value of each image, `(batch, channels, 1, 1)`."""
    return images.abs().amax((-2, -1), keepdim=True)
