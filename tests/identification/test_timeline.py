"""Timelines, by a model in closed form: which of three tones is the loudest in a clip."""

import csv
import json
import runpy
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from torch import Tensor

from audioid.data.audio import Unreadable, Waveform
from audioid.errors import AudioidError
from audioid.identification import builtin
from audioid.identification import timeline as timeline_module
from audioid.identification.onsets import Onsets
from audioid.identification.picture import COLUMNS, spectrogram
from audioid.identification.tails import window_length, without_tail
from audioid.identification.timeline import (
    Segment,
    hits,
    merged,
    parts_between_onsets,
    timeline,
    windows,
)
from audioid.sureness import Sureness
from audioid.transforms.image import TimeFrequencyTransform

SCRIPT = Path(__file__).parents[2] / "scripts" / "identify.py"
RATE = 8000
PITCHES = {"high": 2000.0, "low": 250.0, "mid, dle": 1000.0}
CLIP = 0.5


class Loudest:
    """Features are the shares of the three tones, each an eighth of an octave wide, in the amplitude of a clip."""

    @property
    def pictures(self) -> list[TimeFrequencyTransform]:
        return []

    def judge(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        spectrum = torch.fft.rfft(waveform).abs()
        frequencies = torch.fft.rfftfreq(waveform.shape[1], 1 / RATE)
        bands = [(torch.log2(frequencies / pitch).abs() < 1 / 16) for pitch in PITCHES.values()]
        power = torch.stack([spectrum[:, band].square().sum(1) for band in bands], 1)
        features = (power / (power.sum(1, keepdim=True) + 1e-12)).sqrt()
        return features, 20 * features


@dataclass(frozen=True)
class Model:
    labels: list[str] = field(default_factory=lambda: list(PITCHES))
    audio: dict[str, Any] = field(
        default_factory=lambda: {
            "sample_rate": RATE, "seconds": CLIP, "start": "beginning", "padding": "end", "remove_dc": True,
            "level": "peak",
        }
    )  # fmt: skip
    classifier: Loudest = field(default_factory=Loudest)
    sureness: Sureness | None = None


def knowing() -> Model:
    """The model that turns away what is not nearly one of its tones alone."""
    return Model(
        sureness=Sureness(
            temperature=1.0, basis=torch.eye(3), known=torch.eye(3), background=torch.zeros(0, 3), threshold=-1.0
        )
    )


def tone(label: str, seconds: float, amplitude: float = 0.3) -> Waveform:
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * PITCHES[label] * time)).astype(np.float32)


def silence(seconds: float) -> Waveform:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, amplitude: float) -> Waveform:
    return (amplitude * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def written(path: Path, *sounds: Waveform, rate: int = RATE) -> Path:
    wave = np.concatenate(sounds)
    soundfile.write(path, wave, rate, **({} if path.suffix == ".flac" else {"subtype": "FLOAT"}))
    return path


def cut_up(wave: Waveform, size: int) -> Iterator[Waveform]:
    return (wave[start : start + size] for start in range(0, len(wave), size))


def clicks(seconds: list[float], length: float, sizes: list[float] | None = None) -> Waveform:
    """Bursts of noise that die away within some 20 ms, at these times, over faint noise."""
    rng, wave = np.random.default_rng(1), noise(length, 1e-4)
    for at, size in zip(seconds, sizes or [0.5] * len(seconds), strict=True):
        time = np.arange(round(0.1 * RATE)) / RATE
        burst = size * rng.uniform(-1, 1, len(time)) * np.exp(-time / 0.02)
        start = round(at * RATE)
        wave[start : start + len(burst)] += burst[: len(wave) - start].astype(np.float32)
    return wave


TIMES = [0.3, 0.5, 0.6, 1.1, 1.2, 2.0]


# How windows become segments


@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 60), st.integers(1, 500))
def test_windows_are_where_they_are_said_and_stand_for_all_of_the_recording(
    length: int, time: int, hop: int, size: int
) -> None:
    hop = min(hop, time)
    wave = np.arange(length, dtype=np.float32)
    parts = list(windows(cut_up(wave, size), time, hop))
    starts = [0]
    while starts[-1] + time < length:
        starts.append(starts[-1] + hop)
    assert len(parts) == len(starts)
    for start, part in zip(starts, parts, strict=True):
        assert_array_equal(part.about, wave[start : start + time])
        assert_array_equal(part.own, wave[part.start : part.end])
    ends = [start + (time + hop) // 2 for start in starts[:-1]]
    assert [part.start for part in parts] == [0, *ends]
    assert [part.end for part in parts] == [*ends, length]


def test_neighbours_of_one_name_are_one_segment() -> None:
    a, b = (lambda start, p: Segment(start, start + 1, "a", p)), (lambda start, p: Segment(start, start + 1, "b", p))
    rows = [None, a(1, 0.25), a(2, 1.0), a(3, 1.0), b(4, 0.5), None, None, b(7, 0.5), a(9, 0.7), None]
    assert list(merged(rows)) == [
        Segment(1, 4, "a", 0.75),
        Segment(4, 5, "b", 0.5),
        Segment(7, 8, "b", 0.5),
        Segment(9, 10, "a", 0.7),
    ]
    assert list(merged([])) == list(merged([None])) == []


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_tones_are_found_where_they_are(tmp_path: Path, rate: int) -> None:
    """To a hop: the tone that fills more of a window gives it its name, and silence about its middle has none."""
    time = np.arange(4 * rate) / rate
    pitch = np.select([time < 1, time < 2, time < 3], [250.0, 2000.0, 0.0], 1000.0)
    file = written(tmp_path / "a.wav", (0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), rate=rate)
    found = list(timeline(Model(), file, window=0.2, hop=0.05))
    assert [segment.label for segment in found] == ["low", "high", "mid, dle"]
    assert_allclose([segment.start for segment in found], [0, 1, 3], atol=0.05)
    assert_allclose([segment.end for segment in found], [1, 2, 4], atol=0.05)
    assert found[0].start == 0
    assert found[-1].end == 4


def test_a_hop_alone_means_clips_and_a_window_alone_one_after_another(tmp_path: Path) -> None:
    file = written(tmp_path / "a.wav", tone("low", 1.0), tone("high", 1.0))
    by_hop = list(timeline(Model(), file, window=None, hop=0.1))
    assert by_hop == list(timeline(Model(), file, window=CLIP, hop=0.1))
    by_window = list(timeline(Model(), file, window=0.25, hop=None))
    assert [(each.start, each.end, each.label) for each in by_window] == [(0, 1, "low"), (1, 2, "high")]


def test_a_window_is_named_as_a_recording_of_its_own(tmp_path: Path) -> None:
    """Filled up, and without the silence that it begins with: the model of one clip hears nothing else."""
    heard: list[Waveform] = []

    class Listening(Loudest):
        def judge(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
            heard.extend(waveform.numpy())
            return super().judge(waveform)

    file = written(tmp_path / "a.wav", silence(0.1), tone("low", 0.2))
    list(timeline(Model(classifier=Listening()), file, window=0.2, hop=0.2))
    first, second = heard
    expected = tone("low", 0.2, 1.0)
    assert first.shape == second.shape == (round(CLIP * RATE),)
    assert_allclose(first[: RATE // 10], expected[: RATE // 10], atol=2e-3)
    assert_allclose(second[: RATE // 10], expected[RATE // 10 :], atol=2e-3)
    assert not first[RATE // 10 + 1 :].any()


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_silence_and_what_is_unknown_are_left_out(tmp_path: Path, gain: float) -> None:
    sounds = [noise(1, 1e-5), tone("low", 1), noise(1, 1e-4), tone("high", 1, 0.01), tone("low", 1) + tone("high", 1)]
    file = written(tmp_path / "a.wav", *(np.float32(gain) * sound for sound in sounds))
    found = list(timeline(knowing(), file, window=0.25, hop=0.25))
    assert [(each.start, each.end, each.label) for each in found] == [(1, 2, "low"), (3, 4, "high")]
    unaware = list(timeline(Model(), file, window=0.25, hop=0.25))
    assert unaware[-1].end == 5


def test_lengths_that_cannot_be_are_told(tmp_path: Path) -> None:
    file = written(tmp_path / "a.wav", tone("low", 1.0))
    for window, hop, told in (
        (0.6, None, "--window: 0.6 s is longer than the clips that the model has learned from (0.5 s); "),
        (0.1, 0.2, "--hop: 0.2 s is longer than the window (0.1 s)"),
        (None, 0.0, "--hop: 0 s is not as long as a sample at 8000 Hz; make it longer"),
        (float("nan"), None, "--window: nan s is not"),
        (float("inf"), None, "--window: inf s is longer"),
        (-1.0, None, "--window: -1 s is not"),
    ):
        with pytest.raises(AudioidError) as error:
            timeline(Model(), file, window=window, hop=hop)
        assert str(error.value).startswith(told)


# Onsets and hits


@pytest.mark.parametrize("level", [1.0, 0.03])
@pytest.mark.parametrize("size", [100, 4000, 10**6])
def test_clicks_are_found_where_they_are(level: float, size: int) -> None:
    onsets, found = Onsets(RATE), []
    sizes = [0.5, 0.125, 0.5, 0.25, 0.125, 0.5]  # 12 dB
    for block in cut_up(np.float32(level) * clicks(TIMES, 2.5, sizes), size):
        before = onsets.decided
        now = onsets.push(block)
        assert all(before <= onset < onsets.decided for onset in now)
        found += now
    assert_allclose(np.array(found + onsets.finish()) / RATE, TIMES, atol=0.01)


def test_neither_silence_nor_a_steady_sound_has_onsets() -> None:
    for wave, expected in ((silence(2), []), (np.concatenate([silence(0.5), tone("low", 1.5)]), [0.5])):
        onsets = Onsets(RATE)
        assert_allclose(np.array(onsets.push(wave) + onsets.finish()) / RATE, expected, atol=0.015)


@pytest.mark.parametrize("size", [50, 3000, 10**6])
def test_a_hit_goes_from_its_onset_to_the_next(size: int) -> None:
    wave = clicks(TIMES, 2.5)
    parts = list(parts_between_onsets(cut_up(wave, size), RATE, round(0.4 * RATE)))
    assert_allclose([part.start / RATE for part in parts], TIMES, atol=0.01)
    expected = np.minimum([part.start + 0.4 * RATE for part in parts], [*(part.start for part in parts[1:]), len(wave)])
    assert_array_equal([part.end for part in parts], expected)
    for part in parts:  # 100 ms after a click its tail is faint
        here = wave[part.start : part.end]
        assert np.square(part.own - here).sum() < 0.003 * np.square(here).sum()


def test_a_recording_that_begins_and_ends_in_a_hit() -> None:
    wave = np.concatenate([tone("low", 0.3), tone("high", 0.01)])
    parts = list(parts_between_onsets(cut_up(wave, 1000), RATE, RATE))
    assert parts[0].start == 0
    assert parts[-1].end == len(wave)
    assert list(parts_between_onsets([], RATE, RATE)) == []
    assert list(parts_between_onsets([wave[:10]], RATE, RATE)) == []


def test_a_tail_is_taken_out_and_nothing_else() -> None:
    length = window_length(RATE)
    burst = clicks([0.0], 0.5)
    assert_allclose(without_tail(burst, np.zeros(length, np.float32)), burst, atol=1e-6)
    hum = tone("low", 1.0)
    mixed = hum[length:][: len(burst)] + burst
    clean = without_tail(mixed, hum[:length])
    assert np.square(clean - burst).sum() < 0.1 * np.square(mixed - burst).sum()
    quiet = without_tail(hum[length:], hum[:length])
    assert quiet.std() < 0.05 * hum.std()


def test_hits_are_named_below_the_tails_of_others(tmp_path: Path) -> None:
    def hit(label: str, amplitude: float) -> Waveform:
        sound = tone(label, 0.6, amplitude)
        return sound * np.linspace(1, 0, len(sound), dtype=np.float32) ** 3

    wave = noise(2.5, 1e-5)
    played = [(0.2, "low", 0.5), (0.4, "high", 0.2), (0.6, "low", 0.3), (0.8, "mid, dle", 0.15), (1.8, "high", 0.15)]
    for at, label, amplitude in played:
        wave[round(at * RATE) :][: round(0.6 * RATE)] += hit(label, amplitude)
    found = list(hits(Model(), written(tmp_path / "a.wav", wave)))
    assert [segment.label for segment in found] == [label for _, label, _ in played]
    assert_allclose([segment.start for segment in found], [at for at, *_ in played], atol=0.015)


# What must hold for any length


@pytest.mark.parametrize("way", ["windows", "hits", "picture"])
def test_memory_does_not_grow_with_the_recording(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "BATCH_SIZE", 4)  # or else a short recording would not fill what may wait
    peaks = []
    for seconds in (15, 15, 120):  # the first loads what is needed
        starts = np.arange(0.1, seconds - 0.5, 0.5).tolist()
        file = written(tmp_path / "a.wav", clicks(starts, seconds))
        tracemalloc.start()
        match way:
            case "windows":
                count = sum(1 for _ in timeline(Model(), file, window=0.25, hop=0.05))
            case "hits":
                count = sum(1 for _ in hits(Model(), file))
                assert count == len(starts)
            case "picture":
                spectrogram(file, sample_rate=RATE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1] + 2**20


def test_what_precedes_a_break_is_named(tmp_path: Path) -> None:
    sounds = [tone("low", 2) + noise(2, 0.01), tone("high", 8) + noise(8, 0.01)]
    file = written(tmp_path / "a.flac", *sounds)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    found = timeline(Model(), file, window=0.5, hop=0.25)
    assert next(found).label == "low"
    assert next(found).label == "high"
    with pytest.raises(Unreadable, match="beyond"):
        next(found)


def test_the_spectrogram_shows_tones_at_their_frequencies_and_times(tmp_path: Path) -> None:
    for seconds in (1, 60):
        file = written(tmp_path / "a.wav", tone("low", seconds), tone("high", 2 * seconds), silence(0.05))
        power, times, edges = spectrogram(file, sample_rate=RATE)
        assert power.shape == (len(edges) - 1, len(times) - 1)
        assert len(times) <= 2 * COLUMNS + 1
        assert times[-1] == pytest.approx(3 * seconds + 0.05)
        assert (np.diff(times) > 0).all()
        loudest = power.argmax(axis=0)
        for at, pitch in ((0.5 * seconds, 250.0), (0.95 * seconds, 250.0), (1.05 * seconds, 2000.0)):
            band = loudest[np.searchsorted(times, at) - 1]
            assert edges[band] <= pitch <= edges[band + 1]


# The command


class Done(NamedTuple):
    status: object
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the script with the model of this file."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(builtin, "load", lambda *_, **__: knowing())
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "model", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        if isinstance(end.value.code, str):  # as the interpreter does
            print(end.value.code, file=sys.stderr)
        return Done(end.value.code, *capfd.readouterr())

    return run


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    (tmp_path / "other").mkdir()
    return [
        written(tmp_path / "a, b.wav", tone("low", 1.0), silence(0.5), tone("mid, dle", 1.0)),
        written(tmp_path / "c.wav", silence(1.0)),
        written(tmp_path / "other" / "a, b.wav", tone("high", 0.75)),
    ]


WINDOWS = ("--window", 0.25, "--hop", 0.125)
EXPECTED = [("a, b.wav", "low"), ("a, b.wav", "mid, dle"), ("other/a, b.wav", "high")]


def test_formats_tell_the_same(run: Run, recordings: list[Path], tmp_path: Path) -> None:
    table = run(*recordings, *WINDOWS)
    assert (table.status, table.err) == (0, "")
    rows = list(csv.DictReader(run(*recordings, *WINDOWS, "--format", "csv").out.splitlines()))
    assert list(rows[0]) == ["path", "start", "end", "label", "probability"]
    assert [(str(Path(row["path"]).relative_to(tmp_path)), row["label"]) for row in rows] == EXPECTED
    assert (rows[0]["start"], rows[1]["end"], rows[2]["end"]) == ("0.000", "2.500", "0.750")
    objects = json.loads(run(*recordings, *WINDOWS, "--format", "json").out)
    assert [{key: type(value)(row[key]) for key, value in one.items()} for one, row in zip(objects, rows, strict=True)]
    for line, row, one in zip(table.out.splitlines(), rows, objects, strict=True):
        assert line.split()[:2] == [row["start"], row["end"]]
        assert row["label"] in line
        assert line.endswith(row["path"])
        assert (one["path"], one["label"]) == (row["path"], row["label"])
        for key in ("start", "end", "probability"):
            assert one[key] == float(row[key])
    assert json.loads(run(recordings[1], *WINDOWS, "--format", "json").out) == []
    assert run(recordings[0], *WINDOWS, "--format", "csv", "--out", tmp_path / "rows.csv").out == ""
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 3


def test_label_tracks(run: Run, recordings: list[Path], tmp_path: Path) -> None:
    def read(text: str) -> list[str]:
        rows = [line.split("\t") for line in text.splitlines()]
        assert all(float(start) < float(end) for start, end, _ in rows)
        return [name for _, _, name in rows]

    assert read(run(recordings[0], *WINDOWS, "--format", "audacity").out) == ["low", "mid, dle"]
    assert run(recordings[0], *WINDOWS, "--format", "audacity", "--out", tmp_path / "one.txt").out == ""
    assert read((tmp_path / "one.txt").read_text()) == ["low", "mid, dle"]
    (tmp_path / "text.wav").write_text("no sound")
    some = run(*recordings, tmp_path / "text.wav", *WINDOWS, "--format", "audacity", "--out", tmp_path / "tracks")
    assert (some.status, some.out, some.err.count("\n")) == (0, "", 1)
    tracks = {file.name: read(file.read_text()) for file in (tmp_path / "tracks").iterdir()}
    assert tracks == {"a, b.txt": ["low", "mid, dle"], "c.txt": [], "a, b-2.txt": ["high"]}
    several = run(*recordings, *WINDOWS, "--format", "audacity")
    assert several.err == (
        "error: --format audacity: a track is of one recording; name a folder for several, --out DIR\n"
    )


def test_a_picture_of_one_recording(run: Run, recordings: list[Path], tmp_path: Path) -> None:
    done = run(recordings[0], *WINDOWS, "--picture", tmp_path / "new" / "a.png")
    assert (done.status, done.err, len(done.out.splitlines())) == (0, "", 2)
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height > 300
    assert run(recordings[1], *WINDOWS, "--picture", tmp_path / "silent.png").status == 0
    several = run(*recordings, *WINDOWS, "--picture", tmp_path / "b.png")
    assert several.err == "error: --picture: shows one recording, and there are more; name one\n"


def test_hits_by_the_command(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path / "a.wav", silence(0.5), tone("low", 0.3), tone("high", 0.7))
    rows = list(csv.DictReader(run(file, "--onsets", "--format", "csv").out.splitlines()))
    assert [row["label"] for row in rows] == ["low", "high"]
    assert_allclose([float(row["start"]) for row in rows], [0.5, 0.8], atol=0.015)


def test_arguments_that_do_not_go_together_are_told_in_a_line(run: Run, recordings: list[Path], tmp_path: Path) -> None:
    for arguments, told in (
        (("--onsets", "--hop", 1), "--onsets: cuts where sounds begin"),
        (("--picture", "a.png"), "--picture: is for timelines; add --window SECONDS, or --onsets"),
        (("--format", "audacity"), "--format audacity: is for timelines; "),
        (("--window", 2), "--window: 2 s is longer than the clips that the model has learned from (0.5 s); "),
    ):
        done = run(recordings[0], *arguments)
        assert str(done.status).startswith("error: ")
        assert done.out == ""
        assert done.err.startswith(f"error: {told}")
        assert done.err.count("\n") == 1


def test_what_cannot_be_read_is_told_and_fails(run: Run, recordings: list[Path], tmp_path: Path) -> None:
    file = written(tmp_path / "a.flac", tone("low", 2) + noise(2, 0.01), tone("high", 8) + noise(8, 0.01))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    (tmp_path / "none").mkdir()
    broken = run(file, tmp_path / "none", *WINDOWS, "--format", "csv")
    assert [line.split(",")[3] for line in broken.out.splitlines()] == ["label", "low", "high"]
    first, second, last = broken.err.splitlines()
    assert first.startswith(f"{file}: cannot be read beyond ")
    assert second == f"{tmp_path}/none: holds no recordings"
    assert last == "No recording could be read to its end."
    assert broken.status == last
    assert run(file, recordings[0], *WINDOWS).status == 0
