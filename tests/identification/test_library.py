"""Trained models in Python: the same answers as for files, from any thread."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

import audioid
from audioid import load_model, model_folder
from audioid.data.audio import Unreadable
from audioid.errors import AudioidError
from audioid.identification.identify import identify
from audioid.identification.together import Together, together
from tests.identification.conftest import LABELS, RATE, tone


@pytest.fixture
def waves() -> list[np.ndarray]:
    """Tones and a noise, shorter, as long as and longer than a clip, and as loud as they come."""
    rng = np.random.default_rng(7)
    tones = [tone(label, rng).astype(np.float32) for label in LABELS]
    long = np.concatenate([np.zeros(200, np.float32), tones[0], tones[1]])
    return [tones[0][:900], 1e-3 * tones[1], long, rng.standard_normal(RATE).astype(np.float32)]


def test_waveforms_are_answered_as_their_files_are(sure: Path, waves: list[np.ndarray], tmp_path: Path) -> None:
    model = load_model(sure)
    assert (model.sample_rate, model.seconds, list(model.classes_)) == (RATE, 0.25, LABELS)
    files = [tmp_path / f"{number}.wav" for number in range(len(waves))]
    for file, wave in zip(files, waves, strict=True):
        soundfile.write(file, wave, RATE, "FLOAT")
    expected = list(identify(model_folder.load(sure), files, top=3))
    found = [model.identify(wave, RATE) for wave in waves]
    probabilities = model.predict_proba(waves)
    assert list(model.predict(waves)) == [answer.names[0][0] for answer in expected]
    for answer, other, row in zip(expected, found, probabilities, strict=True):
        assert dict(other.names) == pytest.approx(dict(answer.names), abs=1e-6)
        assert {label: row[LABELS.index(label)] for label in LABELS} == pytest.approx(dict(answer.names), abs=1e-6)
        assert other.unknown_score == pytest.approx(answer.unknown_score, abs=1e-3)
        assert other.unknown == answer.unknown
    assert found[-1].unknown
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)


def test_channels_and_rates_are_brought_to_the_models_own(sure: Path, waves: list[np.ndarray]) -> None:
    model, wave = load_model(str(sure)), waves[2]
    plain = model.identify(wave, RATE)
    both = model.identify(np.stack([1.5 * wave, 0.5 * wave]), RATE)
    assert dict(both.names) == pytest.approx(dict(plain.names), abs=1e-5)
    other = model.identify(soxr.resample(wave, RATE, 3 * RATE, quality="VHQ"), 3 * RATE)
    assert dict(other.names) == pytest.approx(dict(plain.names), abs=0.02)
    assert model.predict_proba([soxr.resample(wave, RATE, 3 * RATE)], 3 * RATE).argmax() == LABELS.index(
        plain.names[0][0]
    )


def test_what_is_no_sequence_of_waveforms_is_told(sure: Path, waves: list[np.ndarray]) -> None:
    model = load_model(sure)
    with pytest.raises(AudioidError, match=r"give one as \[waveform\]"):
        model.predict_proba(waves[0])  # type: ignore[arg-type]
    with pytest.raises(Unreadable, match=r"such as waveform\.T"):
        model.identify(np.zeros((900, 2)), RATE)
    with pytest.raises(Unreadable, match="no real numbers"):
        model.identify(np.array(["a", "b"]), RATE)
    with pytest.raises(AudioidError, match="name a model"):
        load_model()


def test_one_of_several_models_counts_as_those_it_consists_of(sure: Path, waves: list[np.ndarray]) -> None:
    one, other = model_folder.load(sure), model_folder.load(sure)
    nested = together({"pair": together({"one": one, "other": other}), "third": one})
    assert isinstance(nested, Together)
    assert nested.models == [one, other, one]


def test_models_of_before_a_key_have_what_was_so_then(sure: Path) -> None:
    model = model_folder.load(sure)
    old = replace(model, audio={key: value for key, value in model.audio.items() if key != "windows"})
    new = replace(model, audio=model.audio | {"windows": "all"})
    assert isinstance(together({"old": old, "same": model}), Together)
    for pair in ({"old": old, "new": new}, {"new": new, "old": old}):
        with pytest.raises(AudioidError, match=r"audio\.windows"):
            together(pair)


def test_embeddings_are_near_for_what_sounds_alike(sure: Path) -> None:
    rng, model = np.random.default_rng(8), load_model(sure)
    embedded = [model.embed(tone(label, rng), RATE) for label in ("low", "low", "high")]
    assert embedded[0].ndim == 1
    directions = [each / np.linalg.norm(each) for each in embedded]
    assert directions[0] @ directions[1] > directions[0] @ directions[2]


def test_threads_do_not_disturb_one_another(sure: Path, waves: list[np.ndarray]) -> None:
    model = load_model(sure)
    alone = [model.identify(wave, RATE) for wave in waves]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: model.identify(waves[number % 4], RATE), range(64)))
    for number, each in enumerate(found):
        assert dict(each.names) == pytest.approx(dict(alone[number % 4].names), abs=1e-6)


def test_several_models_and_none_at_all(trained: Path, sure: Path, waves: list[np.ndarray]) -> None:
    both = load_model(trained, sure)
    assert both.identify(waves[0], RATE).unknown is False
    assert load_model(trained).identify(waves[0], RATE).unknown is None
    assert both.predict_proba([]).shape == (0, 3)
    with pytest.raises(AudioidError, match=r"nowhere.*No such file"):
        load_model("nowhere")


@pytest.mark.parametrize(
    ("wave", "rate", "message"),
    [
        (np.zeros(0), RATE, "waveform: holds no samples"),
        (np.full(100, np.nan), RATE, "waveform: holds samples that are no numbers"),
        (np.zeros((2, 2, 100)), RATE, r"waveform: is of shape \(2, 2, 100\)"),
        (np.zeros((4000, 2)), RATE, r"waveform: is of shape \(4000, 2\); give \(time,\) or \(channels, time\)"),
        (np.zeros(100), 0, "waveform: has a sample rate of 0 Hz"),
        (np.zeros(100), 8000.5, "waveform: has a sample rate of 8000.5 Hz"),
    ],
)
def test_what_is_no_waveform_is_told(sure: Path, wave: np.ndarray, rate: int, message: str) -> None:
    with pytest.raises(AudioidError, match=message):
        load_model(sure).identify(wave, rate)


def test_the_package_itself_is_light() -> None:
    code = "import audioid, sys; print(audioid.load_model.__name__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "load_model False\n"
    assert audioid.__all__ == ["load_model"]
