import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audioid.config import compose
from audioid.data import synthetic
from audioid.errors import AudioidError

SCRIPT = Path(__file__).parents[2] / "scripts" / "synthesize.py"
RATE = 22050
SIZE: dict[str, Any] = {"per_class": 4, "kits": 2, "sample_rate": 8000, "seconds": 0.25}


def spectrum(label: str, kit: int, number: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    signal = synthetic.recording(label, kit=kit, number=number, seed=0, sample_rate=RATE, seconds=1.0)
    power = np.abs(np.fft.rfft(signal)) ** 2
    return signal, np.fft.rfftfreq(signal.size, 1 / RATE), power / power.sum()


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.wav"))}


def test_same_seed_same_bytes_and_another_seed_another_corpus(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthetic.write_corpus(tmp_path / name, seed=seed, **SIZE)
    first, again, other = (files(tmp_path / name) for name in "abc")
    assert first == again
    assert first.keys() == other.keys()
    assert not any(first[name] == other[name] for name in first)


def test_folders_are_labels_and_kits_take_turns(tmp_path: Path) -> None:
    synthetic.write_corpus(tmp_path / "corpus", seed=0, **SIZE)
    written = files(tmp_path / "corpus")
    assert Counter(Path(name).parent.name for name in written) == dict.fromkeys(synthetic.INSTRUMENTS, 4)
    for label in synthetic.INSTRUMENTS:
        kits = [re.search(r"kit(\d+)", name)[1] for name in written if name.startswith(f"{label}/")]  # type: ignore[index]
        assert Counter(kits) == {"00": 2, "01": 2}
    info = soundfile.info(tmp_path / "corpus" / "kick" / "kit01_0003.wav")
    assert (info.samplerate, info.frames, info.channels, info.subtype) == (8000, 2000, 1, "PCM_16")


def test_enough_classes() -> None:
    assert len(synthetic.INSTRUMENTS) >= 12


@pytest.mark.parametrize("label", sorted(synthetic.INSTRUMENTS))
def test_every_instrument_sounds_within_range_in_any_kit(label: str) -> None:
    for kit in range(8):
        signal, _, _ = spectrum(label, kit)
        assert signal.shape == (RATE,)
        assert np.isfinite(signal).all()
        assert 0.04 < np.abs(signal).max() <= 1
        assert abs(signal.mean()) < 0.01


def test_the_shortest_corpus_allowed_still_sounds(tmp_path: Path) -> None:
    synthetic.write_corpus(tmp_path / "corpus", seed=0, per_class=4, kits=4, sample_rate=8000, seconds=0.05)
    for path in tmp_path.rglob("*.wav"):
        assert np.abs(soundfile.read(path)[0]).max() > 0.01
    for seconds in (0.001, 0.00001):
        with pytest.raises(AudioidError, match=r"data\.seconds: .* must be at least 0\.05"):
            compose([f"data.seconds={seconds}"])


def test_kits_differ_more_than_takes_of_one_kit() -> None:
    """Distances of level-free log spectra in third octaves."""
    edges = 60 * 2 ** (np.arange(26) / 3)

    def bands(label: str, kit: int, number: int) -> np.ndarray:
        _, hertz, power = spectrum(label, kit, number)
        return np.log10(np.histogram(hertz, edges, weights=power)[0] + 1e-8)

    for label in ("snare", "bell", "open_hihat"):
        shape = np.array([[bands(label, kit, number) for number in range(4)] for kit in range(8)])
        within = shape.std(axis=1).mean()
        between = shape.mean(axis=1).std(axis=0).mean()
        assert between > within


def test_a_kick_is_low_and_a_hihat_high() -> None:
    time = np.arange(RATE) / RATE
    for kit in range(8):
        for label, where in (("kick", slice(0, 400)), ("closed_hihat", slice(1500, None))):
            take = synthetic.Take(time, RATE, np.random.default_rng(kit), np.random.default_rng(kit + 1))
            power = np.abs(np.fft.rfft(synthetic.INSTRUMENTS[label](take))) ** 2  # a bin is 1 Hz
            assert power[where].sum() > 0.75 * power.sum()


def test_tones_are_harmonic() -> None:
    time = np.arange(RATE) / RATE
    take = synthetic.Take(time, RATE, np.random.default_rng(0), np.random.default_rng(1))
    power = np.abs(np.fft.rfft(take.tone(np.full(RATE, 200.0), np.array([1.0, 0.5, 0.25]))))
    assert list(np.flatnonzero(power > 1000)) == [200, 400, 600]


def test_modes_ring_at_their_frequency_and_fall_by_60_db() -> None:
    time = np.arange(RATE) / RATE
    take = synthetic.Take(time, RATE, np.random.default_rng(0), np.random.default_rng(1))
    impulse = np.zeros(RATE)
    impulse[0] = 1
    ring = take.modes(impulse, np.array([500.0, 50_000.0]), np.array([0.5, 0.5]), np.array([1.0, 1.0]))
    closed_form = np.sin(2 * np.pi * 500 * (time + 1 / RATE)) * 10 ** (-3 * time / 0.5)
    np.testing.assert_allclose(ring, closed_form, atol=2e-3)


def test_refuses_a_folder_that_is_there_and_leaves_nothing_behind(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    (root / "keep.txt").write_text("precious")
    with pytest.raises(AudioidError, match=r"mine: is there already; name a new folder"):
        synthetic.write_corpus(root, seed=0, **SIZE)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "keep.txt"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioidError, match="Not a directory"):
        synthetic.write_corpus(tmp_path / "file" / "corpus", seed=0, **SIZE)


def test_a_killed_write_leaves_no_half_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "recording", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        synthetic.write_corpus(tmp_path / "corpus", seed=0, **SIZE)
    assert not list(tmp_path.iterdir())


def test_the_script_writes_what_is_asked_and_names_a_wrong_value(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)

    root = tmp_path / "my corpus"
    assert run(str(root), "--per-class", "1", "--kits", "1", "--seed", "5").returncode == 0
    assert len(files(root)) == len(synthetic.INSTRUMENTS)
    wrong = run(str(tmp_path / "other"), "--kits", "0")
    assert wrong.returncode == 1
    assert wrong.stderr == "error: data.kits: 0 is out of range; it must be at least 1\n"
