"""Sounds of all kinds, by which it is tried whether two programs give the same answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from audioid.data.audio import Sounding, Waveform
from audioid.data.clips import load_clips
from audioid.generator.generator import Generator
from audioid.generator.kinds import TURNS

SEED = 2  # other sounds than those that shipped weights have learned, and than those of a background


def trial_clips(count: int, audio: Mapping[str, Any]) -> list[Waveform]:
    """`count` clips `(samples,)` as the arguments `audio` of `load_clips` make them.

    The first are the odd ones: silence, impulses, noises, tones, a recording of 3 ms; the others are of the generator's
    kinds, which take turns.
    """
    rate = audio["sample_rate"]
    odd = _odd_sounds(rate, audio["seconds"])[:count]
    makers = torch.arange(count - len(odd))
    generator = Generator(seed=SEED, sample_rate=rate, seconds=audio["seconds"])
    made = generator.sounds(torch.tensor(TURNS)[makers % len(TURNS)], makers, torch.zeros_like(makers)).numpy()
    clips = (load_clips(Sounding(wave, rate), **{**audio, "windows": 1}) for wave in [*odd, *made])
    return [clip for (clip,) in clips if clip is not None]


def _odd_sounds(rate: int, seconds: float) -> list[Waveform]:
    rng, time = np.random.default_rng(0), np.arange(max(4, round(rate * seconds))) / rate
    noise = rng.standard_normal(time.size)
    impulse, last = np.zeros(time.size), np.zeros(time.size)
    impulse[:2], last[-1] = [1.0, -0.5], 1.0
    sweep = np.sin(np.pi * rate / 2 / time[-1] * time**2)
    tones = [0.5 * np.sin(2 * np.pi * pitch * time) for pitch in rate * np.array([0.003, 0.02, 0.11, 0.4])]
    short = rng.uniform(-1, 1, max(4, round(0.003 * rate)))
    sounds = [np.zeros(time.size), impulse, last, 0.2 * noise, 1e-5 * noise, 0.5 + 0.01 * noise, np.sign(noise), sweep]
    sounds += [*tones, tones[0] * tones[2], noise * np.exp(-20 * time / seconds), short, 0.3 + 0.5 * short]
    return [sound.astype(np.float32) for sound in sounds]
