"""Near duplicates: copies that the tests make, and sounds that are alike but not the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from numpy.random import default_rng
from numpy.typing import NDArray

from audioid.data import near_duplicates, resemblance
from audioid.data.index import index_folder
from audioid.data.near_duplicates import near_duplicate_groups, near_duplicate_pairs
from audioid.data.resemblance import CANDIDATES
from audioid.data.synthetic import recording

RATE = 44100
Signal = NDArray[np.float64]


def write(root: Path, name: str, signal: Signal, rate: int = RATE, **how: object) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal, rate, **how)


def sound(label: str, number: int = 0, kit: int = 0) -> Signal:
    return 0.8 * recording(label, kit=kit, number=number, seed=5, sample_rate=RATE, seconds=0.7)


def noisy(signal: Signal) -> Signal:
    return signal + 10**-1.5 * np.sqrt(np.mean(signal**2)) * default_rng(0).standard_normal(signal.size)


def late(signal: Signal) -> Signal:
    return np.concatenate([np.zeros(RATE // 2), signal])


CHANGES: dict[str, Callable[[Signal], Signal]] = {
    "quieter": lambda signal: 0.1 * signal,
    "trimmed": lambda signal: signal[RATE // 25 :],
    "turned": lambda signal: -signal,
    "noisy": noisy,
    "late": late,
    "stereo": lambda signal: np.stack([signal, signal], axis=1),
    "tail cut": lambda signal: signal[: int(0.8 * signal.size)],
}
LABELS = ("snare", "closed_hihat", "bar", "plucked_string", "flute")


def joined(root: Path) -> set[frozenset[str]]:
    index = index_folder(root)
    pairs = near_duplicate_pairs(index)
    assert (pairs["first"] < pairs["second"]).all()
    return {
        frozenset(index.table["path"].iloc[[first, second]])
        for first, second in zip(pairs["first"], pairs["second"], strict=True)
    }


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(tmp_path: Path, change: str) -> None:
    for label in LABELS:
        write(tmp_path, f"{label}/a.wav", sound(label))
        write(tmp_path, f"{label}/b.wav", CHANGES[change](sound(label)))
    assert joined(tmp_path) == {frozenset({f"{label}/a.wav", f"{label}/b.wav"}) for label in LABELS}


def test_codecs_and_rates_are_seen_through(tmp_path: Path) -> None:
    for label in LABELS:
        signal = sound(label)
        write(tmp_path, f"{label}/a.wav", signal)
        write(tmp_path, f"{label}/b.ogg", signal)
        write(tmp_path, f"{label}/c.mp3", signal, bitrate_mode="CONSTANT", compression_level=0.777)
        write(tmp_path, f"{label}/d.wav", soxr.resample(signal, RATE, 22050), 22050)
    index = index_folder(tmp_path)
    groups = near_duplicate_groups(index)
    assert (groups == np.repeat(np.arange(len(LABELS)), 4)).all()


def test_a_large_corpus_has_the_same_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for label in LABELS:
        for number in range(6):
            write(tmp_path, f"{label}/{number}.wav", sound(label, number))
        for change in CHANGES:
            write(tmp_path, f"{label}/0 {change}.wav", CHANGES[change](sound(label)))
    index = index_folder(tmp_path)
    every = near_duplicate_pairs(index)
    assert len(every) >= len(LABELS) * len(CHANGES)
    monkeypatch.setattr(resemblance, "ALL_WITH_ALL", 10)
    pd.testing.assert_frame_equal(near_duplicate_pairs(index), every)


def test_processes_find_the_same_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        write(tmp_path, f"a/{number}.wav", sound("snare", number // 2) * (1 + number % 2) / 2)
    index = index_folder(tmp_path)
    whole = near_duplicate_pairs(index)
    assert len(whole) == 3
    monkeypatch.setattr(near_duplicates, "COMPARED", 2)
    pd.testing.assert_frame_equal(near_duplicate_pairs(index), whole)
    monkeypatch.setattr(near_duplicates, "MANY", 1)
    pd.testing.assert_frame_equal(near_duplicate_pairs(index), whole)


@pytest.mark.parametrize("cells", [False, True])
def test_sounds_far_above_full_scale_hide_no_others(
    cells: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cells:
        monkeypatch.setattr(resemblance, "ALL_WITH_ALL", 2)
    for number in range(CANDIDATES + 2):  # floating-point files that hold the integers of 24 bits
        write(tmp_path, f"loud/{number}.wav", 2.0**23 * sound("snare", number), subtype="FLOAT")
    write(tmp_path, "a/loud again.wav", sound("snare", 0))
    write(tmp_path, "a/flute.wav", sound("flute"))
    write(tmp_path, "a/flute again.wav", 0.3 * sound("flute"))
    pairs = {("loud/0.wav", "a/loud again.wav"), ("a/flute.wav", "a/flute again.wav")}
    assert joined(tmp_path) == set(map(frozenset, pairs))


def test_clips_of_one_sample_are_compared(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path, f"click/{number}.wav", np.array([0.5 + number / 4]), 16000)
    assert len(near_duplicate_groups(index_folder(tmp_path))) == 2


def test_other_strokes_of_the_same_instrument_stay_apart(tmp_path: Path) -> None:
    for label in LABELS:
        for number in range(4):
            write(tmp_path, f"{label}/{number}.wav", sound(label, number))
    assert joined(tmp_path) == set()


def test_tones_a_hertz_apart_are_not_one(tmp_path: Path) -> None:
    time = np.arange(2 * RATE) / RATE
    for frequency in (440, 441, 466):
        write(tmp_path, f"tone/{frequency}.wav", 0.5 * np.sin(2 * np.pi * frequency * time))
    write(tmp_path, "tone/440 again.wav", 0.3 * np.sin(2 * np.pi * 440 * time + 1))
    assert joined(tmp_path) == {frozenset({"tone/440.wav", "tone/440 again.wav"})}


def test_very_short_clips(tmp_path: Path) -> None:
    random = default_rng(3)
    clicks = [random.standard_normal(RATE * 3 // 1000) * np.geomspace(0.3, 0.01, RATE * 3 // 1000) for _ in range(3)]
    for number, click in enumerate(clicks):
        write(tmp_path, f"click/{number}.wav", click)
    write(tmp_path, "click/again.wav", -0.5 * clicks[1])
    assert joined(tmp_path) == {frozenset({"click/1.wav", "click/again.wav"})}


def test_a_long_recording_trimmed_at_its_start(tmp_path: Path) -> None:
    random = default_rng(1)
    # A slowly changing hum with strokes: 80 s at a low rate.
    strokes = sum(np.roll(np.pad(sound("bar", k)[::4], (0, 80 * 11025 - 7718)), 11025 * k * 9) for k in range(8))
    signal = 0.5 * strokes / np.abs(strokes).max() + 1e-3 * random.standard_normal(80 * 11025)
    write(tmp_path, "hall/a.wav", signal, 11025)
    write(tmp_path, "hall/b.wav", signal[400:], 11025)
    write(tmp_path, "hall/c.wav", signal[::-1], 11025)
    assert joined(tmp_path) == {frozenset({"hall/a.wav", "hall/b.wav"})}


def test_equal_files_are_exact_and_stand_for_one_another(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path, f"x/{name}.wav", sound("snare"))
    write(tmp_path, "y/d.wav", -sound("snare"))
    index = index_folder(tmp_path)
    pairs = near_duplicate_pairs(index)
    assert pairs["exact"].tolist() == [True, True, False]
    assert pairs[["first", "second"]].values.tolist() == [[0, 1], [0, 2], [0, 3]]
    assert near_duplicate_groups(index).tolist() == [0, 0, 0, 0]


def test_silent_and_unreadable_recordings_are_groups_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "x/a.wav", np.zeros(1000))
    write(tmp_path, "x/b.wav", np.zeros(2000))
    write(tmp_path, "x/c.wav", sound("bell"))
    index = index_folder(tmp_path)
    (tmp_path / "x/c.wav").write_bytes(b"gone")
    assert near_duplicate_groups(index).tolist() == [0, 1, 2]


def test_more_copies_than_candidates_are_still_one_group(tmp_path: Path) -> None:
    copies = 2 * CANDIDATES + 5
    for number in range(copies):
        write(tmp_path, f"x/{number:02d}.wav", sound("bar") * (1 - number / copies / 2))
    assert set(near_duplicate_groups(index_folder(tmp_path))) == {0}
