import hashlib
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from audioid.data import audio
from audioid.data.audio import Sounding, Unreadable, Waveform, count_frames, load, open_recording
from audioid.data.clips import load_clips

RATE = 16000


def read(path: Path, **changes: Any) -> Waveform:
    plain: dict[str, Any] = {"start": "beginning", "padding": "end", "remove_dc": False, "level": "none"}
    return load(path, **({"sample_rate": RATE, "seconds": 1.0} | plain | changes))


def tone(frequency: float, sample_rate: int, seconds: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(sample_rate * seconds)) / sample_rate)


def written(path: Path, samples: np.ndarray, sample_rate: int = RATE, **kind: str) -> Path:
    soundfile.write(path, samples, sample_rate, **({"subtype": "FLOAT"} if path.suffix == ".wav" else {}) | kind)
    return path


def test_samples_come_back_as_written(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, RATE).astype(np.float32)
    wave = read(written(tmp_path / "a.wav", samples))
    assert wave.dtype == np.float32
    assert_array_equal(wave, samples)


@pytest.mark.parametrize("rate", [1000, 8000, 22050, 44000, 44100, 44101, 96000, 768000])
def test_a_tone_keeps_its_frequency_phase_and_level_at_any_rate(tmp_path: Path, rate: int) -> None:
    wave = read(written(tmp_path / "a.wav", tone(300, rate, 1.2), rate))
    assert wave.shape == (RATE,)
    # The filter rings for a few ms after the sudden beginning; the end is no edge, since the tone goes on.
    assert_allclose(wave[RATE // 10 :], tone(300, RATE, 1.0)[RATE // 10 :], atol=2e-3)


def test_what_lies_above_the_new_nyquist_frequency_does_not_fold_back(tmp_path: Path) -> None:
    wave = read(written(tmp_path / "a.wav", tone(15000, 44100, 1.0), 44100))
    assert np.abs(wave[1000:-1000]).max() < 1e-4


def test_cutting_before_resampling_changes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 3 * 44101), 44101)
    assert_allclose(read(path), read(path, seconds=3.0)[:RATE], atol=1e-5)


@pytest.mark.parametrize("channels", [2, 5, 32])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (RATE, channels)).astype(np.float32)
    assert_allclose(read(written(tmp_path / "a.wav", samples)), samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3", "aiff", "au", "caf", "w64"])
def test_every_format_sounds_the_same(tmp_path: Path, suffix: str) -> None:
    kind = {"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}
    samples = np.stack([tone(400, 48000, 1.0), tone(700, 48000, 1.0)], axis=1)
    path = written(tmp_path / f"a.{suffix}", samples, 48000, **kind)
    wave = read(path, sample_rate=48000)
    # Not sample by sample: lossy codecs may shift and colour.
    spectrum = np.abs(np.fft.rfft(wave * scipy.signal.windows.hann(wave.size)))
    assert set(np.argsort(spectrum)[-2:]) == {400, 700}
    assert f".{suffix}" in audio.AUDIO_SUFFIXES


@pytest.mark.parametrize("frames", [1, 48, 132])
def test_clips_of_a_few_samples_are_padded(tmp_path: Path, frames: int) -> None:
    wave = read(written(tmp_path / "a.wav", np.ones(frames), 44100))
    assert wave.shape == (RATE,)
    assert not wave[100:].any()


def test_padding_goes_where_it_should(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", np.array([0.25, 0.5, 0.75]))
    eight = {"seconds": 8 / RATE}
    assert_array_equal(read(path, **eight), [0.25, 0.5, 0.75, 0, 0, 0, 0, 0])
    assert_array_equal(read(path, **eight, padding="center"), [0, 0, 0.25, 0.5, 0.75, 0, 0, 0])
    assert_array_equal(read(path, **eight, padding="repeat"), [0.25, 0.5, 0.75, 0.25, 0.5, 0.75, 0.25, 0.5])


@pytest.mark.parametrize("level", ["none", "peak", "rms"])
@pytest.mark.parametrize("padding", ["end", "center", "repeat"])
def test_silence_stays_silence(tmp_path: Path, level: str, padding: str) -> None:
    path = written(tmp_path / "a.wav", np.full(1000, 0.1))
    wave = read(path, remove_dc=True, level=level, padding=padding)
    assert wave.shape == (RATE,)
    assert np.abs(wave).max() < 1e-6


def test_level_and_dc_are_those_of_the_recording_without_its_padding(tmp_path: Path) -> None:
    samples = 0.3 + 0.01 * np.random.default_rng(0).standard_normal(RATE // 2)
    path = written(tmp_path / "a.wav", samples)
    centred = read(path, remove_dc=True)[: RATE // 2]
    assert abs(centred.mean()) < 1e-7
    assert_allclose(centred, samples - samples.mean(), atol=1e-6)
    assert np.abs(read(path, remove_dc=True, level="peak")).max() == pytest.approx(1)
    raised = read(path, remove_dc=True, level="rms")
    assert np.sqrt(np.mean(raised[: RATE // 2] ** 2)) == pytest.approx(0.1, rel=1e-5)
    assert not raised[RATE // 2 :].any()


@pytest.mark.parametrize("kind", [{}, {"suffix": "flac"}, {"suffix": "ogg"}, {"suffix": "mp3"}, {"subtype": "GSM610"}])
def test_start_finds_the_onset_and_the_loudest_part(tmp_path: Path, kind: dict[str, str]) -> None:
    # 1.5 s of faint noise and DC (GSM would make a thump of it), a soft tone from 1.5 s, a loud one from 3 to 3.5 s
    samples = 0.1 * (kind.get("subtype") != "GSM610") + 1e-4 * np.random.default_rng(0).standard_normal(5 * 8000)
    samples[12000:] += 0.3 * tone(400, 8000, 3.5)
    samples[24000:28000] += tone(700, 8000, 0.5)
    suffix = kind.get("suffix", "wav")
    path = written(
        tmp_path / f"a.{suffix}", samples, 8000, **({"subtype": kind["subtype"]} if "subtype" in kind else {})
    )
    options = {"sample_rate": 8000, "seconds": 1.0, "remove_dc": True}
    onset = read(path, start="onset", **options)
    assert int(np.argmax(np.abs(onset) > 0.05)) < 0.03 * 8000  # codecs may add a little before
    assert np.std(onset) == pytest.approx(0.3 * 0.5 / np.sqrt(2), rel=0.1)
    loudest = read(path, start="loudest", **options)
    assert np.std(loudest) == pytest.approx(
        np.std(read(written(tmp_path / "b.wav", samples[22000:30000], 8000), **options)), rel=0.1
    )
    assert np.abs(np.fft.rfft(loudest))[700] > 900


@pytest.mark.parametrize("start", ["onset", "loudest", "random"])
def test_a_start_never_costs_sound(tmp_path: Path, start: str) -> None:
    samples = np.full(RATE + 300, 0.5)
    samples[:RATE] *= 1e-3  # all that is loud comes in the last 19 ms
    assert read(written(tmp_path / "a.wav", samples), start=start)[-300:].any()
    short = written(tmp_path / "b.wav", samples[-300:])
    assert_array_equal(read(short, start=start), read(short))


@pytest.mark.parametrize("start", ["beginning", "onset"])
@pytest.mark.parametrize("before", [1, 700, RATE, 3 * RATE + 11])
def test_silence_before_a_sound_is_no_part_of_it(tmp_path: Path, start: str, before: int) -> None:
    sound = np.random.default_rng(0).normal(size=RATE // 2) * np.exp(-np.arange(RATE // 2) / 1000) * 0.1
    alone = read(written(tmp_path / "a.wav", sound), start=start)
    hiss = 5e-6 * np.random.default_rng(1).uniform(-1, 1, before)  # as of a converter; the sound is 0.3 at most
    for silence in (np.zeros(before), hiss):
        found = read(written(tmp_path / "b.wav", np.concatenate([silence, sound])), start=start)
        shift = min((0, 1), key=lambda k: np.abs(np.roll(found, -k) - alone)[:-1].max())  # it may rise from zero
        assert_allclose(np.roll(found, -shift)[:-1], alone[:-1], atol=1e-5)


@pytest.mark.parametrize("after", [1, 700, RATE // 4, 3 * RATE + 11])
@pytest.mark.parametrize("level", ["none", "peak", "rms"])
@pytest.mark.parametrize("padding", ["end", "center", "repeat"])
def test_silence_after_a_sound_is_no_part_of_it(tmp_path: Path, after: int, level: str, padding: str) -> None:
    sound = 0.05 + np.random.default_rng(0).normal(size=RATE // 2) * np.exp(-np.arange(RATE // 2) / 1000) * 0.1
    hiss = 1e-6 * np.random.default_rng(1).normal(size=after)
    alone, followed, hissing = (
        read(written(tmp_path / "a.wav", np.concatenate([sound, *rest])), level=level, padding=padding)
        for rest in ([], [np.zeros(after)], [hiss])
    )
    assert_allclose(followed, alone, atol=1e-6)
    assert_allclose(hissing, alone, atol=1e-6)


def test_where_a_sound_begins_does_not_hang_on_its_level(tmp_path: Path) -> None:
    sound = np.concatenate([np.zeros(99), np.sin(np.arange(3000) / 9) * np.linspace(0, 1, 3000)])
    loud, soft = (read(written(tmp_path / f"{gain}.wav", gain * sound)) for gain in (1.0, 1e-3))
    assert_allclose(1e-3 * loud, soft, atol=1e-9)
    assert loud[:20].any()


def test_silence_alone_stays_silence(tmp_path: Path) -> None:
    for length in (10, RATE, 3 * RATE):
        assert not read(written(tmp_path / "a.wav", np.zeros(length))).any()


def test_random_start_hangs_on_the_content_alone(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 20 * RATE)
    one, copy = written(tmp_path / "a.wav", ramp), tmp_path / "other name.wav"
    copy.write_bytes(one.read_bytes())
    begins = {float(read(path, start="random")[0]) for path in (one, one, copy)}
    assert len(begins) == 1
    others = [read(written(tmp_path / f"{n}.wav", ramp * (1 - n / 100)), start="random")[0] for n in range(1, 30)]
    assert np.std(others) > 0.15  # spread over the recording: 0.29 if even
    samples = soundfile.read(one, dtype="float32")[0]
    expected = int.from_bytes(hashlib.blake2b(samples[: 2**14].tobytes(), digest_size=8).digest(), "big") % (
        19 * RATE + 1
    )
    assert list(begins) == [pytest.approx(ramp[expected], abs=1e-6)]
    # A waveform in no file is heard from where its file is, also at another time.
    plain: dict[str, Any] = {"padding": "end", "remove_dc": False, "level": "none", "seconds": 1.0}
    (sounding,) = load_clips(Sounding(samples, RATE), sample_rate=RATE, start="random", **plain)
    assert sounding is not None
    assert list(begins) == [pytest.approx(float(sounding[0]), abs=1e-6)]


def open_length(path: Path) -> Path:
    """A FLAC as recorders write it to a pipe: the 36 bits that count its samples are zero."""
    content = bytearray(path.read_bytes())
    content[18:26] = (int.from_bytes(content[18:26], "big") >> 36 << 36).to_bytes(8, "big")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("start", ["beginning", "onset", "loudest", "random"])
@pytest.mark.parametrize("seconds", [0.2, 1.0, 2.0, 3.0])
def test_flac_with_open_length_is_read_to_its_end(tmp_path: Path, start: str, seconds: float) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE)
    known = written(tmp_path / "a.flac", samples, subtype="PCM_24")
    unknown = open_length(written(tmp_path / "b.flac", samples, subtype="PCM_24"))
    wave = read(unknown, start=start, seconds=seconds)
    if start == "random":  # the bytes differ, and so does the start
        assert wave.all() == (seconds <= 2)
    else:
        assert_array_equal(wave, read(known, start=start, seconds=seconds))
    with open_recording(unknown) as file:
        assert count_frames(file) == 2 * RATE


def test_blocks_of_a_long_recording_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (3 * RATE, 2))
    path = written(tmp_path / "a.wav", samples)
    whole = [read(path, start=start, seconds=2) for start in ("beginning", "onset", "loudest")]
    monkeypatch.setattr(audio, "BLOCK_VALUES", 2 * 777)
    for start, wave in zip(("beginning", "onset", "loudest"), whole, strict=True):
        assert_array_equal(read(path, start=start, seconds=2), wave)


def wav_of(path: Path, value: float) -> None:
    written(path, np.array([[0.1, 0.1], [value, -value]] * 50))


def truncated(path: Path) -> None:
    content = written(path, np.random.default_rng(0).uniform(-1, 1, RATE), format="FLAC").read_bytes()
    path.write_bytes(content[: len(content) // 3])


BROKEN = {
    "missing.wav": (lambda path: None, "is not a file"),
    "zero bytes.mp3": (lambda path: path.touch(), "0 bytes"),
    "text.wav": (lambda path: path.write_text("not a sound " * 99), "is damaged, or no sound"),
    "text.mp3": (lambda path: path.write_text("not a sound " * 99), r"decoded \(no known format is found in it\)"),
    "no samples.wav": (lambda path: written(path, np.empty(0)), "no samples"),
    "nan.wav": (lambda path: wav_of(path, np.nan), "no numbers"),
    "infinite.wav": (lambda path: wav_of(path, np.inf), "no numbers"),
    "huge.wav": (lambda path: wav_of(path, 1e30), "far too large"),
    "rate.wav": (lambda path: written(path, np.zeros(9), 2**31 - 1), "sample rate"),
    "truncated.flac": (truncated, "lost sync"),
    "pipe.wav": (os.mkfifo, "is not a file"),
    "folder.wav": (lambda path: path.mkdir(), "is not a file"),
    "loop.wav": (lambda path: path.symlink_to(path), "is not a file"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("start", ["beginning", "loudest"])
def test_unusable_files_say_why(tmp_path: Path, name: str, start: str) -> None:
    make, reason = BROKEN[name]
    make(tmp_path / name)
    with pytest.raises(Unreadable, match=reason) as raised:
        read(tmp_path / name, start=start)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert "\n" not in str(raised.value)
    again = pickle.loads(pickle.dumps(raised.value))  # it may come from another process
    assert (again.path, again.reason) == (tmp_path / name, raised.value.reason)


def test_a_flac_that_breaks_off_between_two_reads_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truncated(tmp_path / "a.flac")
    monkeypatch.setattr(audio, "BLOCK_VALUES", 4096)  # as many as a FLAC frame holds
    with pytest.raises(Unreadable, match="breaks off before the end"):
        read(tmp_path / "a.flac")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all files")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    written(tmp_path / "a.wav", np.zeros(9)).chmod(0)
    with pytest.raises(Unreadable):
        read(tmp_path / "a.wav")


def test_an_error_of_the_system_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.wav", np.zeros(9))

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(soundfile, "SoundFile", fail)
    with pytest.raises(Unreadable, match="Permission denied"):
        read(path)


def test_a_truncated_mp3_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp3", tone(400, 44100, 1.0), 44100)
    whole = read(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    wave = read(path)
    assert_allclose(wave[1000:4500], whole[1000:4500], atol=1e-3)
    assert not wave[-5000:].any()


def test_a_header_cut_to_nothing_decodes_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.wav", np.zeros(9))
    monkeypatch.setattr(audio, "mono_blocks", lambda *_: iter([]))
    with pytest.raises(Unreadable, match="breaks off"):
        read(path)


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [written(tmp_path / f"{n}.wav", rng.normal(0, 0.1, 5000 + n), 44100 + n) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert_array_equal(list(pool.map(read, paths)), [read(path) for path in paths])


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(1, 9000),
    rate=st.sampled_from([1000, 8000, 44100, 44101, 192000]),
    seconds=st.floats(0.001, 0.5),
    start=st.sampled_from(["beginning", "onset", "loudest", "random"]),
    padding=st.sampled_from(["end", "center", "repeat"]),
    level=st.sampled_from(["none", "peak", "rms"]),
)
def test_the_length_is_always_as_promised(
    tmp_path_factory: pytest.TempPathFactory,
    frames: int,
    rate: int,
    seconds: float,
    start: str,
    padding: str,
    level: str,
) -> None:
    samples = np.random.default_rng(frames).uniform(-1, 1, frames)
    path = written(tmp_path_factory.mktemp("length") / "a.wav", samples, rate)
    wave = read(path, seconds=seconds, start=start, padding=padding, level=level)
    assert wave.shape == (round(RATE * seconds),)
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()
