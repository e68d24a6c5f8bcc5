"""Changes of the training part's sounds and images, drawn anew for each recording in each batch.

All draws come from torch's global generator, so a seed repeats them. The functions below take their values
explicitly, one per recording; the modules draw them.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional
from torchaudio.functional import add_noise, fftconvolve
from torchaudio.transforms import FrequencyMasking, TimeMasking

WINDOW_SECONDS = 0.046  # of the phase vocoder
FILTER_POINTS = 6
OVERSAMPLING = 4
EDGE = 256  # samples of silence between the end of a clip and its start, which meet in a Fourier transform


class Augment(nn.Module):
    """A training batch `(rows, targets)` to images `(batch, 1, size, size)` and targets.

    Where `of_sound` is true, rows are waveforms `(batch, time)`, of which `picture` makes images once they are
    changed; else they are images already. Class numbers `(batch,)` become probabilities `(batch, classes)` by mixup.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        picture: nn.Module,
        *,
        image: Mapping[str, Any],
        sample_rate: int,
        classes: int,
    ) -> None:
        super().__init__()
        size, share = image["size"], settings["p"]
        self.sound = nn.Sequential()
        if settings["pitch_semitones"] or settings["speed"]:
            self.sound.append(PitchAndSpeed(share, settings["pitch_semitones"], settings["speed"], sample_rate))
        if settings["eq_db"]:
            self.sound.append(Filter(share, settings["eq_db"], sample_rate))
        if settings["reverb_seconds"]:
            self.sound.append(Room(share, settings["reverb_seconds"], sample_rate))
        if settings["min_snr_db"] is not None:
            self.sound.append(Noise(share, settings["min_snr_db"]))
        self.image = nn.Sequential()
        if settings["time_shift"]:
            self.image.append(TimeShift(settings["time_shift"]))
        if settings["gain_db"]:
            self.image.append(Gain(settings["gain_db"], image["amplitude_scale"], image["decibel_range"]))
        # torchaudio draws widths below the parameter and rounds down.
        if settings["frequency_mask"]:
            self.image.append(FrequencyMasking(round(settings["frequency_mask"] * size) + 1, iid_masks=True))
        if settings["time_mask"]:
            self.image.append(TimeMasking(round(settings["time_mask"] * size) + 1, iid_masks=True))
        self.of_sound = len(self.sound) > 0
        self.picture = picture if self.of_sound else nn.Identity()
        self.mixup, self.classes = settings["mixup"], classes

    @torch.no_grad()
    def forward(self, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        images = self.image(self.picture(self.sound(rows)))
        return mixup(images, targets, self.mixup, self.classes) if self.mixup else (images, targets)


class WaveformAugmentation(nn.Module):
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


class PitchAndSpeed(WaveformAugmentation):
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


class Filter(WaveformAugmentation):
    """Another microphone: a smooth response within `decibel` of flat."""

    def __init__(self, share: float, decibel: float, sample_rate: int) -> None:
        super().__init__(share)
        self.decibel, self.sample_rate = decibel, sample_rate

    def changed(self, waveform: Tensor) -> Tensor:
        decibel = _uniform(waveform, -self.decibel, self.decibel, FILTER_POINTS)
        return equalize(waveform, decibel, self.sample_rate)


class Room(WaveformAugmentation):
    """A room whose answer falls by 60 dB within at most `seconds`, 0 to 20 dB below the direct sound."""

    def __init__(self, share: float, seconds: float, sample_rate: int) -> None:
        super().__init__(share)
        self.seconds, self.sample_rate = seconds, sample_rate

    def changed(self, waveform: Tensor) -> Tensor:
        seconds = _uniform(waveform, 0.2 * self.seconds, self.seconds)
        level = _uniform(waveform, -20, 0)
        length = round(self.seconds * self.sample_rate)
        return reverberate(waveform, room_response(seconds, level, length, self.sample_rate))


class Noise(WaveformAugmentation):
    """Noise, from white to brown, at a signal-to-noise ratio of `least` to `least` + 30 decibels."""

    def __init__(self, share: float, least: float) -> None:
        super().__init__(share)
        self.least = least

    def changed(self, waveform: Tensor) -> Tensor:
        noise = colored_noise(waveform, _uniform(waveform, 0, 2))
        return add_noise(waveform, noise, _uniform(waveform, self.least, self.least + 30))


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

    def __init__(self, most: float, amplitude_scale: str, decibel_range: float) -> None:
        super().__init__()
        self.most, self.amplitude_scale, self.decibel_range = most, amplitude_scale, decibel_range

    def forward(self, images: Tensor) -> Tensor:
        return change_level(images, _uniform(images, -self.most, self.most), self.amplitude_scale, self.decibel_range)


def shift_pitch(waveform: Tensor, semitones: Tensor, sample_rate: int) -> Tensor:
    """Waveforms `(batch, time)` with every frequency times `2 ** (semitones / 12)`, `semitones` `(batch,)`.

    A phase vocoder (Flanagan and Golden 1966) makes the sound longer, then it is played faster.
    """
    factor = 2 ** (semitones / 12)
    n_fft = 2 ** round(math.log2(WINDOW_SECONDS * sample_rate))
    window = torch.hann_window(n_fft, device=waveform.device)
    hop_length = n_fft // 4
    # Silence after the end gives the shortest clip several frames.
    padded = functional.pad(waveform, (0, n_fft))
    spectrum = torch.stft(padded, n_fft, hop_length, window=window, pad_mode="constant", return_complex=True)
    magnitude, angle = spectrum.abs(), spectrum.angle()  # (batch, bins, frames)
    frames = spectrum.shape[2]

    count = math.ceil(frames * float(factor.max()))
    position = torch.arange(count, device=waveform.device) / factor[:, None]  # (batch, count), in frames
    before = position.floor().long().clamp(max=frames - 2)
    share = (position - before)[:, None]
    index = before[:, None].expand(-1, spectrum.shape[1], -1)  # (batch, bins, count)
    magnitude = torch.lerp(magnitude.gather(2, index), magnitude.gather(2, index + 1), share)
    magnitude = torch.where(share <= 1, magnitude, 0)
    # Both hops are the same length, so the phase advances as from one frame of the original to the next.
    # It is summed as whole numbers: exact, and in the same order on any device.
    turn = 2**24 / (2 * math.pi)
    advance = (angle.diff(dim=2) * turn).round().long().gather(2, index).cumsum(2)
    phase = angle[..., :1] + (functional.pad(advance[..., :-1], (1, 0)) & (2**24 - 1)) / turn
    longer = torch.istft(torch.polar(magnitude, phase), n_fft, hop_length, window=window)
    return _resampled(longer, factor, waveform.shape[1])


def change_speed(waveform: Tensor, factor: Tensor) -> Tensor:
    """Waveforms `(batch, time)` played `factor` `(batch,)` times as fast, so pitch changes too (Ko et al. 2015)."""
    return _resampled(waveform, factor, waveform.shape[1])


def _resampled(waveform: Tensor, factor: Tensor, length: int) -> Tensor:
    """The values at `factor` times 0 to `length` - 1, `(batch, length)`; silence beyond the end.

    Band-limited: oversampled by a Fourier transform that drops what would be above half the sample rate, then
    Catmull and Rom's cubic.
    """
    n_fft = next_fast_len(waveform.shape[1] + EDGE)
    spectrum = torch.fft.rfft(waveform, n_fft)
    frequency = torch.fft.rfftfreq(n_fft, device=waveform.device)
    kept = frequency < 0.5 / factor.clamp(min=1)[:, None]
    fine = torch.fft.irfft(spectrum * kept, OVERSAMPLING * n_fft) * OVERSAMPLING
    # Positions in fixed point: float32 would be a sample off after some seconds.
    step = (factor * OVERSAMPLING * 2**24).long()
    position = torch.arange(length, device=waveform.device) * step[:, None]
    whole, share = position >> 24, (position & (2**24 - 1)) / 2**24
    a, b, c, d = (fine.gather(1, (whole + shift) % fine.shape[1]) for shift in (-1, 0, 1, 2))
    value = b + share / 2 * (c - a + share * (2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a)))
    return torch.where(whole < OVERSAMPLING * waveform.shape[1], value, 0)


def equalize(waveform: Tensor, decibel: Tensor, sample_rate: int) -> Tensor:
    """Waveforms `(batch, time)` with gains `decibel` `(batch, points)` at frequencies log-spaced from 50 Hz up.

    Linear on the logarithmic axis between points, of zero phase, and level below the first.
    """
    n_fft = next_fast_len(waveform.shape[1] + EDGE)
    frequency = torch.fft.rfftfreq(n_fft, 1 / sample_rate, device=waveform.device).clamp(min=50)
    position = torch.log(frequency / 50) / math.log(sample_rate / 2 / 50) * (decibel.shape[1] - 1)
    before = position.long().clamp(max=decibel.shape[1] - 2)
    gain = torch.lerp(decibel[:, before], decibel[:, before + 1], (position - before)[None])
    spectrum = torch.fft.rfft(waveform, n_fft) * 10 ** (gain / 20)
    return torch.fft.irfft(spectrum, n_fft)[:, : waveform.shape[1]]


def room_response(seconds: Tensor, level: Tensor, length: int, sample_rate: int) -> Tensor:
    """Responses `(batch, length)` of energy 1: the direct sound, then noise that falls by 60 dB in `seconds`.

    `level` is the energy of the noise in decibels relative to the direct sound's; both `(batch,)`.
    """
    time = torch.arange(1, length, device=seconds.device) / sample_rate
    noise = torch.randn(len(seconds), length - 1, device=seconds.device) * 10 ** (-3 * time / seconds[:, None])
    noise = functional.normalize(noise) * 10 ** (level[:, None] / 20)
    return functional.normalize(functional.pad(noise, (1, 0), value=1.0))


def reverberate(waveform: Tensor, response: Tensor) -> Tensor:
    """Waveforms `(batch, time)` in rooms with these responses `(batch, length)`; what rings on is cut."""
    return fftconvolve(waveform, response)[:, : waveform.shape[1]]


def colored_noise(like: Tensor, slope: Tensor) -> Tensor:
    """Noise of the shape `(batch, time)` whose power falls with the frequency to the power `slope` `(batch,)`."""
    spectrum = torch.fft.rfft(torch.randn_like(like))
    number = torch.arange(spectrum.shape[1], device=like.device).clamp(min=1)
    return torch.fft.irfft(spectrum * number ** (-slope[:, None] / 2), like.shape[1])


def shift_columns(images: Tensor, columns: Tensor) -> Tensor:
    """Images `(batch, channel, rows, columns)` later by `columns` `(batch,)`; silence, zero, comes in."""
    width = images.shape[-1]
    source = torch.arange(width, device=images.device) - columns[:, None]  # (batch, columns)
    inside = ((source >= 0) & (source < width))[:, None, None]
    index = source.clamp(0, width - 1)[:, None, None].expand_as(images)
    return torch.where(inside, images.gather(3, index), 0)


def change_level(images: Tensor, decibel: Tensor, amplitude_scale: str, decibel_range: float) -> Tensor:
    """Images `(batch, channel, rows, columns)` of sounds `decibel` `(batch,)` louder, clipped to the scale's range."""
    decibel = decibel[:, None, None, None]
    if amplitude_scale == "decibel":  # at zero nobody knows how far below the range a value was
        return torch.where(images > 0, (images + decibel / decibel_range).clamp(0, 1), 0)
    louder = images * 10 ** (decibel / 20)
    return louder.clamp(-1, 1) if amplitude_scale == "signed" else louder


def mixup(images: Tensor, targets: Tensor, alpha: float, classes: int) -> tuple[Tensor, Tensor]:
    """Each image mixed with another of the batch, and the probabilities `(batch, classes)` likewise.

    The shares come from Beta(alpha, alpha) (Zhang et al. 2018), here one for each image.
    """
    share = Beta(alpha, alpha).sample(targets.shape).to(images.device)
    other = torch.randperm(len(images), device=images.device)
    certain = functional.one_hot(targets, classes).to(images.dtype)
    mixed = torch.lerp(images[other], images, share[:, None, None, None])
    return mixed, torch.lerp(certain[other], certain, share[:, None])


def _uniform(like: Tensor, low: float, high: float, *shape: int) -> Tensor:
    """A draw `(batch, *shape)` for each of the batch, on the same device."""
    return torch.empty(len(like), *shape, device=like.device).uniform_(low, high)
