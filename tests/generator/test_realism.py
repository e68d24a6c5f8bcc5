"""The measures of `scripts/realism.py`, against sounds of which they are known, and its judges, against chance."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from numpy.random import default_rng

RATE = 22050
TIME = np.arange(RATE) / RATE


@pytest.fixture(scope="module")
def realism() -> ModuleType:
    spec = importlib.util.spec_from_file_location("realism", Path(__file__).parents[2] / "scripts" / "realism.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_damped_sine_measures_as_its_formula_says(realism: ModuleType) -> None:
    fall = 60.0  # decibels a second
    wave = 0.5 * np.sin(2 * np.pi * 640 * TIME) * 10 ** (-fall * TIME / 20)
    found = realism.measured(np.concatenate([np.zeros(2205), wave])[:RATE].astype(np.float32))
    assert found["peak (dB)"] == pytest.approx(-6.02, abs=0.1)
    assert found["start (ms)"] == pytest.approx(100, abs=5)
    assert 2 ** found["to -20 dB (oct s)"] == pytest.approx(20 / fall, abs=0.01)
    assert 2 ** found["to -40 dB (oct s)"] == pytest.approx(40 / fall, abs=0.01)
    assert 2 ** found["length 99 % (oct s)"] == pytest.approx(0.1 + 20 / fall, abs=0.01)
    assert 2 ** found["centroid (oct Hz)"] == pytest.approx(640, rel=0.02)
    assert found["glide (oct)"] == pytest.approx(0, abs=0.01)


def test_noise_is_flat_and_a_falling_tone_glides(realism: ModuleType) -> None:
    noise = realism.measured(default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32))
    assert noise["flatness (dB)"] == pytest.approx(-2.51, abs=0.2)  # Euler's constant in decibels
    octave_down = np.sin(2 * np.pi * np.cumsum(1000 * 2.0 ** -(TIME / 0.1)) / RATE) * (TIME < 0.3)
    assert realism.measured(octave_down.astype(np.float32))["glide (oct)"] == pytest.approx(1, abs=0.1)


def sounds(rng: np.random.Generator, pitch: float, count: int = 24) -> np.ndarray:
    tones = [np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * TIME) * 10 ** (-3 * TIME) for _ in range(count)]
    return np.array([tone + 0.001 * rng.standard_normal(RATE) for tone in tones], np.float32)


@pytest.mark.slow
def test_judges_tell_what_differs_and_guess_where_nothing_does(
    realism: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realism, "EPOCHS", 8)
    rng, labels = default_rng(0), np.array(["tone"] * 24)
    real, alike, other = sounds(rng, 500), sounds(rng, 500), sounds(rng, 1500)
    judge = realism.Judge(labels, np.array([f"maker {number // 2}" for number in range(24)]))
    tables = {name: realism.table(some) for name, some in (("real", real), ("alike", alike), ("other", other))}
    assert judge.accuracy(judge.by_measures(tables["other"], tables["real"]), "tone") == 1
    assert 0.25 < judge.accuracy(judge.by_measures(tables["alike"], tables["real"]), "tone") < 0.75
    assert judge.area(judge.by_pictures(other, real), "tone") > 0.95
    assert 0.2 < judge.area(judge.by_pictures(alike, real), "tone") < 0.8
    name, made, wanted, apart, distance = realism.distances(tables["other"], tables["real"], labels == "tone")[0]
    assert (name, distance) == ("centroid (oct Hz)", 1)
    assert made - wanted == pytest.approx(np.log2(3), abs=0.1)
    assert apart > 5


def test_halves_share_no_maker_and_leave_none_out(realism: ModuleType, tmp_path: Path) -> None:
    for number in range(20):
        file = tmp_path / "bd" / f"maker{number} hit.wav"
        file.parent.mkdir(exist_ok=True)
        soundfile.write(file, sounds(default_rng(number), 60, 1)[0], RATE)
    every = {"group_pattern": r"/(\S+) ", "same_as": {"bd": "kick"}}
    whole, *halves = ({*realism.recordings(tmp_path, half=half, **every)[2]} for half in (None, 0, 1))
    assert len(whole) == 20
    assert halves[0] | halves[1] == whole
    assert not halves[0] & halves[1]
    assert "maker4" in halves[0]
