import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audioid.data.audio import Unreadable, load
from audioid.data.clip_length import LONGEST, SHORTEST, clip_seconds, sounding_seconds

RATE = 22050


def decaying(path: Path, tau: float, *, silence: float = 0.0, sample_rate: int = RATE) -> Path:
    """Noise of the level `exp(-t / tau)` after `silence`, for 3 s."""
    time = np.arange(3 * sample_rate) / sample_rate
    noise = np.random.default_rng(0).normal(size=len(time)) * np.exp(-time / tau)
    soundfile.write(path, np.concatenate([np.zeros(round(silence * sample_rate)), 0.1 * noise]), sample_rate, "FLOAT")
    return path


@pytest.mark.parametrize("tau", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("sample_rate", [8000, RATE, 44101])
def test_a_decay_sounds_until_a_twentieth_of_its_energy_is_left(tmp_path: Path, tau: float, sample_rate: int) -> None:
    # The energy that is left at t is exp(-2 t / tau).
    found = sounding_seconds(decaying(tmp_path / "a.wav", tau, sample_rate=sample_rate), start="beginning")
    assert found == pytest.approx(tau * math.log(20) / 2, rel=0.1)


def test_silence_before_does_not_count(tmp_path: Path) -> None:
    file = decaying(tmp_path / "a.wav", 0.1, silence=0.7)
    sound = 0.1 * math.log(20) / 2
    for start in ("beginning", "onset", "loudest", "random"):
        assert sounding_seconds(file, start=start) == pytest.approx(sound, abs=0.02)


@pytest.mark.parametrize("lead", [0.3, 0.7, 4.0])
def test_clips_as_long_as_recordings_sound_hold_the_sound_after_dither(tmp_path: Path, lead: float) -> None:
    rng = np.random.default_rng(1)
    sound = 0.8 * rng.uniform(-1, 1, RATE // 5) * np.exp(-np.arange(RATE // 5) / 1000)
    dither = rng.integers(-1, 2, round(lead * RATE)) / 2**15
    soundfile.write(tmp_path / "a.wav", np.concatenate([dither, sound]), RATE, "PCM_16")
    for start in ("beginning", "onset", "loudest"):
        seconds = clip_seconds([sounding_seconds(tmp_path / "a.wav", start=start)])
        found = load(
            tmp_path / "a.wav",
            sample_rate=RATE,
            seconds=seconds,
            start=start,
            padding="end",
            remove_dc=False,
            level="none",
        )
        assert (found**2).sum() > 0.9 * (sound**2).sum()


def test_an_even_sound_sounds_nearly_to_its_end_and_an_offset_is_no_sound(tmp_path: Path) -> None:
    tone = 0.3 * np.sin(np.arange(2 * RATE))
    soundfile.write(tmp_path / "tone.wav", tone, RATE)
    assert sounding_seconds(tmp_path / "tone.wav", start="beginning") == pytest.approx(0.95 * 2, abs=0.01)
    soundfile.write(tmp_path / "offset.wav", 0.5 + np.where(np.arange(2 * RATE) < RATE / 2, tone, 0), RATE)
    assert sounding_seconds(tmp_path / "offset.wav", start="beginning") == pytest.approx(0.95 * 0.5, abs=0.01)


@pytest.mark.parametrize("frames", [1, 60, RATE])
def test_silence_and_a_few_samples_have_a_length_too(tmp_path: Path, frames: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(frames), RATE)
    assert 0 < sounding_seconds(tmp_path / "a.wav", start="onset") <= 1


def test_what_is_unreadable_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(Unreadable, match=r"a\.wav"):
        sounding_seconds(tmp_path / "a.wav", start="beginning")


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=50))
def test_nine_of_ten_recordings_fit_into_a_clip_but_for_its_limits(sounding: list[float]) -> None:
    found = clip_seconds(sounding)
    assert SHORTEST <= found <= LONGEST
    assert found == LONGEST or np.mean(np.array(sounding) <= found * 1.001) >= 0.9 * (1 - 1 / len(sounding))
    # No longer than a step of the scale needs.
    assert found == SHORTEST or found / math.sqrt(2) <= np.quantile(sounding, 0.9) * 1.001


def test_lengths_are_halves_of_octaves() -> None:
    assert clip_seconds([1.0]) == 1.0
    assert clip_seconds([1.01]) == 1.414
    assert clip_seconds([0.5] * 20 + [30.0]) == 0.5
