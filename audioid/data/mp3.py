"""Sounds for a page to play."""

import io

import numpy as np
import soundfile
import soxr

from audioid.data.audio import Waveform

SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # that MP3 has
# Some decoders give nothing for less than two frames.
SHORTEST = 0.2  # seconds


def encode_mp3(wave: Waveform, sample_rate: int) -> bytes:
    """The waveform `(time,)`, samples from -1 to 1, as a mono MP3, of 32 kHz where MP3 lacks its sample rate."""
    if sample_rate not in SAMPLE_RATES:
        wave, sample_rate = soxr.resample(wave, sample_rate, 32000), 32000
    wave = np.pad(wave, (0, max(0, round(SHORTEST * sample_rate) - len(wave))))
    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), sample_rate, format="MP3", subtype="MPEG_LAYER_III")
    return file.getvalue()
