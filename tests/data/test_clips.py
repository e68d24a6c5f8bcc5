from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from audioid.data.audio import Unreadable, load
from audioid.data.clips import Clips, Windows, count_clips, load_clips

RATE = 8000
PLAIN: dict[str, Any] = {
    "sample_rate": RATE, "seconds": 0.5, "start": "beginning", "padding": "end", "remove_dc": False, "level": "none"
}  # fmt: skip


def written(path: Path, *levels: float, sample_rate: int = RATE) -> Path:
    """Half a second of noise at each of these levels."""
    rng = np.random.default_rng(0)
    noise = [level * rng.uniform(-1, 1, round(0.5 * sample_rate)) for level in levels]
    soundfile.write(path, np.concatenate(noise), sample_rate, "FLOAT")
    return path


def test_one_clip_is_what_load_gives(tmp_path: Path) -> None:
    file = written(tmp_path / "a.wav", 0.1, 0.5, 0.2, sample_rate=11025)
    for start in ("beginning", "onset", "loudest", "random"):
        for chosen in ({}, {"windows": 1}):
            (clip,) = load_clips(file, **PLAIN | chosen | {"start": start})
            assert clip is not None
            assert_array_equal(clip, load(file, **PLAIN | {"start": start}))


@pytest.mark.parametrize(("windows", "count"), [(2, 2), (3, 3), (9, 4), ("all", 4)])
@pytest.mark.parametrize("sample_rate", [RATE, 22050])
def test_clips_are_the_recording_one_after_another(
    tmp_path: Path, windows: Windows, count: int, sample_rate: int
) -> None:
    file = written(tmp_path / "a.wav", 0.1, 0.5, 0.2, 0.3, sample_rate=sample_rate)
    clips = load_clips(file, **PLAIN, windows=windows)
    assert len(clips) == count
    whole = load(file, **PLAIN | {"seconds": 0.5 * count})
    assert_allclose(np.concatenate([clip for clip in clips if clip is not None]), whole, atol=1e-6)


def test_several_clips_are_of_the_part_that_start_says(tmp_path: Path) -> None:
    file = written(tmp_path / "a.wav", 0.1, 0.1, 0.9, 0.8, 0.1)
    found = load_clips(file, **PLAIN | {"start": "loudest", "windows": 2})
    expected = load(file, **PLAIN | {"start": "loudest", "seconds": 1.0})
    assert_array_equal(np.concatenate([clip for clip in found if clip is not None]), expected)


def test_pauses_are_no_clips_but_silence_alone_is(tmp_path: Path) -> None:
    found = load_clips(written(tmp_path / "a.wav", 0.5, 0.002, 0.006), **PLAIN, windows="all")
    assert [clip is None for clip in found] == [False, True, False]
    found = load_clips(written(tmp_path / "a.wav", 0.0, 0.5, 0.002, 0.006), **PLAIN, windows="all")
    assert [clip is None for clip in found] == [False, True, False, True]  # silence before a sound is no part of it
    found = load_clips(written(tmp_path / "b.wav", 0.0, 0.0), **PLAIN, windows="all")
    assert [clip is None for clip in found] == [False, False]


@pytest.mark.parametrize("windows", [1, "all"])
def test_a_sample_that_resampling_leaves_nothing_of_is_a_clip(tmp_path: Path, windows: Windows) -> None:
    soundfile.write(tmp_path / "a.wav", [0.5], 192_000)
    (clip,) = load_clips(tmp_path / "a.wav", **PLAIN, windows=windows)
    assert clip is not None
    assert not clip.any()


def test_each_clip_has_the_level_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path / "a.wav", 0.1, 0.5)
    for clip in load_clips(file, **PLAIN | {"level": "peak", "windows": 2}):
        assert clip is not None
        assert np.abs(clip).max() == pytest.approx(1)


def test_what_is_left_over_is_filled_up_where_it_is_half_a_clip(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(round(0.76 * RATE), 0.5), RATE)
    first, second = load_clips(tmp_path / "a.wav", **PLAIN, windows="all")
    assert first is not None
    assert second is not None
    assert np.count_nonzero(first) == RATE // 2
    assert np.count_nonzero(second) == round(0.26 * RATE)
    soundfile.write(tmp_path / "a.wav", np.full(round(0.74 * RATE), 0.5), RATE)
    assert len(load_clips(tmp_path / "a.wav", **PLAIN, windows="all")) == 1


def test_what_is_unreadable_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(Unreadable, match=r"a\.wav"):
        load_clips(tmp_path / "a.wav", **PLAIN, windows="all")


@given(st.floats(0.001, 1000), st.floats(0.01, 100), st.integers(1, 100))
def test_a_recording_has_as_many_clips_as_it_is_long(duration: float, seconds: float, most: int) -> None:
    every = count_clips(duration, seconds=seconds, windows="all")
    assert every >= 1
    assert every == 1 or abs(every - duration / seconds) <= 0.5 + 1e-9
    assert count_clips(duration, seconds=seconds, windows=most) == min(every, most)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.data())
def test_rows_and_owners_belong_together(counts: list[int], data: st.DataObject) -> None:
    clips = Clips(np.array(counts))
    every = [(number, clip) for number, count in enumerate(counts) for clip in range(count)]
    chosen = data.draw(st.lists(st.sampled_from(range(len(counts)))))
    expected = [(number, clip) for number in chosen for clip in range(counts[number])]
    assert [every[row] for row in clips.rows(np.array(chosen, dtype=np.intp))] == expected
    assert [number for number, _ in every] == clips.owners.tolist()
