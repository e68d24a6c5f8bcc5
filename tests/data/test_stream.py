import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.testing import assert_array_equal

from audioid.data.audio import Unreadable, Waveform
from audioid.data.stream import stream

RATE = 22050


def noise(seconds: float, rate: int, channels: int = 1) -> Waveform:
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, (round(seconds * rate), channels)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 44101, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_are_what_decoding_and_resampling_the_whole_gives(tmp_path: Path, rate: int, channels: int) -> None:
    samples = noise(2.9, rate, channels)
    soundfile.write(tmp_path / "a.wav", samples, rate, "FLOAT")
    blocks = list(stream(tmp_path / "a.wav", sample_rate=RATE))
    assert len(blocks) > 2
    assert all(block.dtype == np.float32 for block in blocks)
    assert_array_equal(np.concatenate(blocks), soxr.resample(samples.mean(axis=1), rate, RATE, quality="HQ"))


def test_what_precedes_a_break_is_heard_and_the_break_is_told(tmp_path: Path) -> None:
    file, samples = tmp_path / "a.flac", noise(10, RATE)
    soundfile.write(file, samples, RATE, "PCM_24")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    heard = []

    def listen() -> None:
        for block in stream(file, sample_rate=RATE):
            heard.append(block)

    with pytest.raises(Unreadable, match=r": cannot be read beyond 4\.500 s, since it is damaged, .*; export it again"):
        listen()
    np.testing.assert_allclose(np.concatenate(heard), samples[: round(4.5 * RATE), 0], atol=1e-6)


def test_what_cannot_be_read_at_all_is_told_as_ever(tmp_path: Path) -> None:
    for name, content in (("none.wav", None), ("empty.wav", b""), ("text.wav", b"no sound")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(Unreadable) as told:
            next(stream(tmp_path / name, sample_rate=RATE))
        assert "beyond" not in str(told.value)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    with pytest.raises(Unreadable, match="no numbers"):
        next(stream(tmp_path / "nan.wav", sample_rate=RATE))


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    peaks = []
    for seconds in (4, 4, 60):  # the first loads what is needed
        soundfile.write(tmp_path / "a.wav", noise(seconds, 44100), 44100)
        tracemalloc.start()
        length = sum(len(block) for block in stream(tmp_path / "a.wav", sample_rate=RATE))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert length == seconds * RATE
    assert peaks[2] < 1.1 * peaks[1] + 2**16
