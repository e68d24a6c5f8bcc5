"""Changes of waveforms: other instruments, players, rooms and microphones.

The functions below take their values explicitly, one per recording; the modules draw them.
"""

import math
from abc import abstractmethod

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import add_noise, fftconvolve

WINDOW_SECONDS = 0.046  # of the phase vocoder
EQ_POINTS = 6
OVERSAMPLING = 4
EDGE = 256  # samples of silence between the end of a clip and its start, which meet in a Fourier transform


class WaveformAugmentation(nn.Module):
    """Changes waveforms `(batch, time)`, each with the probability `p`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, waveform: Tensor) -> Tensor:
        chosen = torch.rand(len(waveform), device=waveform.device) < self.p
        if not chosen.any():
            return waveform
        changed = waveform.clone()
        changed[chosen] = self.changed(waveform[chosen])
        return changed

    @abstractmethod
    def changed(self, waveform: Tensor) -> Tensor:
        """All of these waveforms changed."""


class PitchAndSpeed(WaveformAugmentation):
    """Pitch up or down by at most `pitch_semitones`; faster or slower by at most the share `speed`."""

    def __init__(self, p: float, pitch_semitones: float, speed: float, sample_rate: int) -> None:
        super().__init__(p)
        self.pitch_semitones, self.speed, self.sample_rate = pitch_semitones, speed, sample_rate

    def changed(self, waveform: Tensor) -> Tensor:
        if self.pitch_semitones:
            semitones = _uniform(waveform, -self.pitch_semitones, self.pitch_semitones)
            waveform = shift_pitch(waveform, semitones, self.sample_rate)
        if self.speed:
            waveform = change_speed(waveform, _uniform(waveform, 1 - self.speed, 1 + self.speed))
        return waveform


class Equalizer(WaveformAugmentation):
    """Another microphone: a smooth response within `eq_db` of flat."""

    def __init__(self, p: float, eq_db: float, sample_rate: int) -> None:
        super().__init__(p)
        self.eq_db, self.sample_rate = eq_db, sample_rate

    def changed(self, waveform: Tensor) -> Tensor:
        return equalize(waveform, _uniform(waveform, -self.eq_db, self.eq_db, EQ_POINTS), self.sample_rate)


class Reverb(WaveformAugmentation):
    """A room whose response falls by 60 dB within at most `seconds`, 0 to 20 dB below the direct sound."""

    def __init__(self, p: float, seconds: float, sample_rate: int) -> None:
        super().__init__(p)
        self.seconds, self.sample_rate = seconds, sample_rate

    def changed(self, waveform: Tensor) -> Tensor:
        seconds = _uniform(waveform, 0.2 * self.seconds, self.seconds)
        level_db = _uniform(waveform, -20, 0)
        length = round(self.seconds * self.sample_rate)
        return reverberate(waveform, room_response(seconds, level_db, length, self.sample_rate))


class AddNoise(WaveformAugmentation):
    """Noise, from white to brown, at a signal-to-noise ratio of `min_snr_db` to 30 dB more."""

    def __init__(self, p: float, min_snr_db: float) -> None:
        super().__init__(p)
        self.min_snr_db = min_snr_db

    def changed(self, waveform: Tensor) -> Tensor:
        noise = colored_noise(waveform, _uniform(waveform, 0, 2))
        return add_noise(waveform, noise, _uniform(waveform, self.min_snr_db, self.min_snr_db + 30))


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


def equalize(waveform: Tensor, gain_db: Tensor, sample_rate: int) -> Tensor:
    """Waveforms `(batch, time)` with gains `gain_db` `(batch, points)` at frequencies log-spaced from 50 Hz up.

    Linear on the logarithmic axis between points, of zero phase, and level below the first.
    """
    n_fft = next_fast_len(waveform.shape[1] + EDGE)
    frequency = torch.fft.rfftfreq(n_fft, 1 / sample_rate, device=waveform.device).clamp(min=50)
    position = torch.log(frequency / 50) / math.log(sample_rate / 2 / 50) * (gain_db.shape[1] - 1)
    before = position.long().clamp(max=gain_db.shape[1] - 2)
    gain = torch.lerp(gain_db[:, before], gain_db[:, before + 1], (position - before)[None])
    spectrum = torch.fft.rfft(waveform, n_fft) * 10 ** (gain / 20)
    return torch.fft.irfft(spectrum, n_fft)[:, : waveform.shape[1]]


def room_response(seconds: Tensor, level_db: Tensor, length: int, sample_rate: int) -> Tensor:
    """Responses `(batch, length)` of energy 1: the direct sound, then noise that falls by 60 dB in `seconds`.

    `level_db` is the energy of the noise relative to the direct sound's; both `(batch,)`.
    """
    time = torch.arange(1, length, device=seconds.device) / sample_rate
    noise = torch.randn(len(seconds), length - 1, device=seconds.device) * 10 ** (-3 * time / seconds[:, None])
    noise = functional.normalize(noise) * 10 ** (level_db[:, None] / 20)
    return functional.normalize(functional.pad(noise, (1, 0), value=1.0))


def reverberate(waveform: Tensor, response: Tensor) -> Tensor:
    """Waveforms `(batch, time)` in rooms with these responses `(batch, length)`; what rings on is cut."""
    return fftconvolve(waveform, response)[:, : waveform.shape[1]]


def colored_noise(like: Tensor, slope: Tensor) -> Tensor:
    """Noise of the shape `(batch, time)` whose power falls with the frequency to the power `slope` `(batch,)`."""
    spectrum = torch.fft.rfft(torch.randn_like(like))
    number = torch.arange(spectrum.shape[1], device=like.device).clamp(min=1)
    return torch.fft.irfft(spectrum * number ** (-slope[:, None] / 2), like.shape[1])


def _uniform(like: Tensor, low: float, high: float, *shape: int) -> Tensor:
    """A draw `(batch, *shape)` for each of the batch, on the same device."""
    return torch.empty(len(like), *shape, device=like.device).uniform_(low, high)
