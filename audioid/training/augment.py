"""Changes of the training part's sounds and images, drawn anew for each recording in each batch.

All draws come from torch's global generator, so a seed repeats them. The functions below take their values
explicitly, one per recording; the modules draw them.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.transforms import FrequencyMasking, TimeMasking

SOUND = ("pitch", "speed", "filter", "room", "noise")
WINDOW_SECONDS = 0.046  # of the phase vocoder
FILTER_POINTS = 6
OVERSAMPLING = 4
EDGE = 256  # samples of silence between the end of a clip and its start, which meet in a Fourier transform


def of_sound(settings: Mapping[str, Any]) -> bool:
    """Whether the settings change sounds, so that images must be made of the changed ones in each batch."""
    return any(settings[key] for key in SOUND)


class Augment(nn.Module):
    """A training batch `(rows, targets)` to images `(batch, 1, size, size)` and targets.

    Rows are waveforms `(batch, time)` where `of_sound(settings)`, which `picture` turns into images; else images.
    Targets, class numbers `(batch,)`, become probabilities `(batch, classes)` where mixup is on.
    """

    def __init__(
        self, settings: Mapping[str, Any], picture: nn.Module, *, image: Mapping[str, Any], sample_rate: int, classes: int
    ) -> None:
        super().__init__()
        size, share = image["size"], settings["share"]
        self.sound = nn.Sequential()
        if settings["pitch"] or settings["speed"]:
            self.sound.append(PitchAndSpeed(share, settings["pitch"], settings["speed"], sample_rate))
        if settings["filter"]:
            self.sound.append(Filter(share, settings["filter"], sample_rate))
        if settings["room"]:
            self.sound.append(Room(share, settings["room"], sample_rate))
        if settings["noise"]:
            self.sound.append(Noise(share, *settings["noise"]))
        self.image = nn.Sequential()
        if settings["time_shift"]:
            self.image.append(TimeShift(settings["time_shift"]))
        if settings["gain"]:
            self.image.append(Gain(settings["gain"], image["scale"], image["decibel_range"]))
        # torchaudio draws widths below the parameter and rounds down.
        if settings["frequency_mask"]:
            self.image.append(FrequencyMasking(round(settings["frequency_mask"] * size) + 1, iid_masks=True))
        if settings["time_mask"]:
            self.image.append(TimeMasking(round(settings["time_mask"] * size) + 1, iid_masks=True))
        self.picture = picture if of_sound(settings) else nn.Identity()
        self.mixup, self.classes = settings["mixup"], classes

    @torch.no_grad()
    def forward(self, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        images = self.image(self.picture(self.sound(rows)))
        return mixup(images, targets, self.mixup, self.classes) if self.mixup else (images, targets)


class Change(nn.Module):
    """Changes a share of the waveforms `(batch, time)`, each with its own chance."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, waveform: Tensor) -> Tensor:
        chosen = torch.rand(len(waveform), device=waveform.device) < self.share
        if not chosen.any():
            return waveform
        changed = waveform.clone()
        changed[chosen] = self.changed(waveform[chosen])
        return changed

    @abstractmethod
    def changed(self, waveform: Tensor) -> Tensor:
        """All of these waveforms changed."""


class PitchAndSpeed(Change):
    """Pitch up or down by at most `pitch` semitones; faster or slower by at most the share `speed`."""

    def __init__(self, share: float, pitch: float, speed: float, sample_rate: int) -> None:
        super().__init__(share)
        self.pitch, self.speed, self.sample_rate = pitch, speed, sample_rate

    def changed(self, waveform: Tensor) -> Tensor:
        if self.pitch:
            semitones = _uniform(waveform, -self.pitch, self.pitch)
            waveform = shift_pitch(waveform, semitones, self.sample_rate)
        if self.speed:
            waveform = change_speed(waveform, _uniform(waveform, 1 - self.speed, 1 + self.speed))
        return waveform


class Filter(Change):
    """Another microphone: a smooth response within `decibel` of flat."""

    def __init__(self, share: float, decibel: float, sample_rate: int) -> None:
        super().__init__(share)
        self.decibel, self.sample_rate = decibel, sample_rate

    def changed(self, waveform: Tensor) -> Tensor:
        decibel = _uniform(waveform, -self.decibel, self.decibel, FILTER_POINTS)
        return equalize(waveform, decibel, self.sample_rate)


class Room(Change):
    """A room whose answer falls by 60 dB within at most `seconds`, 0 to 20 dB below the direct sound."""

    def __init__(self, share: float, seconds: float, sample_rate: int) -> None:
        super().__init__(share)
        self.seconds, self.sample_rate = seconds, sample_rate

    def changed(self, waveform: Tensor) -> Tensor:
        seconds = _uniform(waveform, 0.2 * self.seconds, self.seconds)
        level = _uniform(waveform, -20, 0)
        return convolve(waveform, room_response(seconds, level, round(self.seconds * self.sample_rate), self.sample_rate))


class Noise(Change):
    """Noise, from white to brown, at a signal-to-noise ratio of `least` to `most` decibels."""

    def __init__(self, share: float, least: float, most: float) -> None:
        super().__init__(share)
        self.least, self.most = least, most

    def changed(self, waveform: Tensor) -> Tensor:
        noise = colored_noise(waveform, _uniform(waveform, 0, 2))
        return add_noise(waveform, noise, _uniform(waveform, self.least, self.most))


class TimeShift(nn.Module):
    """Images earlier or later by at most the share `most` of their columns."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        columns = _uniform(images, -self.most, self.most) * images.shape[-1]
        return shift_columns(images, columns.round().long())


class Gain(nn.Module):
    """Images of sounds louder or softer by at most `most` decibels."""

    def __init__(self, most: float, scale: str, decibel_range: float) -> None:
        super().__init__()
        self.most, self.scale, self.decibel_range = most, scale, decibel_range

    def forward(self, images: Tensor) -> Tensor:
        return change_level(images, _uniform(images, -self.most, self.most), self.scale, self.decibel_range)


def shift_pitch(waveform: Tensor, semitones: Tensor, sample_rate: int) -> Tensor:
    """Waveforms `(batch, time)` with every frequency times `2 ** (semitones / 12)`, `semitones` `(batch,)`.

    A phase vocoder (Flanagan and Golden 1966) makes the sound longer, then it is played faster.
    """
    factor = 2 ** (semitones / 12)
    n_fft = 2 ** round(math.log2(WINDOW_SECONDS * sample_rate))
    window = torch.hann_window(n_fft, device=waveform.device)
    hop_length = n_fft // 4
    spectrum = torch.stft(waveform, n_fft, hop_length, window=window, pad_mode="constant", return_complex=True)
    frames = spectrum.shape[-1]

    count = math.ceil(frames * float(factor.max()))
    position = torch.arange(count, device=waveform.device) / factor[:, None]  # (batch, count), in frames
    before = position.floor().long().clamp(max=frames - 2)
    share = (position - before)[:, None]
    index = before[:, None].expand(-1, spectrum.shape[1], -1)  # (batch, bins, count)
    earlier, later = spectrum.gather(2, index), spectrum.gather(2, index + 1)
    magnitude = torch.where(share <= 1, torch.lerp(earlier.abs(), later.abs(), share), 0)
    # Both hops are the same length, so the phase advances as from one frame of the original to the next.
    advance = later.angle() - earlier.angle()
    start = spectrum[..., :1].angle()
    phase = torch.cat([start, start + advance.cumsum(2)[..., :-1]], dim=2)
    longer = torch.istft(torch.polar(magnitude, phase), n_fft, hop_length, window=window)
    return change_speed(functional.pad(longer, (0, max(0, waveform.shape[1] - longer.shape[1]))), factor)[
        :, : waveform.shape[1]
    ]
