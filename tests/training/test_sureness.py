"""Fitting how sure answers are: what is known of simulated ones comes out, and runs tell of it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.special import log_softmax

from audioid.data.index import index_folder
from audioid.errors import AudioidError
from audioid.model_folder import load
from audioid.pipeline import background
from audioid.schema import FolderDataSettings
from audioid.training.sureness import (
    calibration_error,
    chosen_threshold,
    find_unknown,
    fitted_temperature,
    refuse_known,
)
from tests.conftest import RATE, Command, write_tones

SHORT = ["trainer.max_epochs=8", "model.width=8", "image.size=32", "data.batch_size=8", "trainer.accelerator=cpu"]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_the_temperature_that_answers_were_made_with_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(20_000, 5))
    truth = np.exp(log_softmax(logits / temperature, axis=1))
    targets = (truth.cumsum(1) < rng.random((20_000, 1))).sum(1)
    assert fitted_temperature(log_softmax(logits, axis=1), targets) == pytest.approx(temperature, rel=0.03)


def test_a_few_right_answers_make_no_model_as_sure_as_can_be() -> None:
    found = np.log([[0.9, 0.1]] * 10)
    temperature = fitted_temperature(found, np.zeros(10, int))
    assert 0.3 < temperature < 1
    assert fitted_temperature(np.empty((0, 2)), np.empty(0, int)) == 1


def test_calibration_error_is_the_gap_in_each_bin() -> None:
    # Two bins: 0.9 sure and 2 of 4 right; 0.6 sure and all 4 right.
    found = np.log([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 4)
    targets = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    assert calibration_error(found, targets) == pytest.approx((4 * 0.4 + 4 * 0.4) / 8)
    assert calibration_error(np.log(np.array([[1.0, 1e-9]])), np.array([0])) == pytest.approx(0, abs=1e-6)


def test_the_threshold_turns_away_the_chosen_share() -> None:
    known = np.random.default_rng(0).permutation(1000).astype(float)
    assert (known > chosen_threshold(known, np.empty(0), 0.05)).mean() == pytest.approx(0.05, abs=0.002)
    assert (known > chosen_threshold(known, np.empty(0), 0.5)).mean() == pytest.approx(0.5, abs=0.002)


def test_unknown_recordings_move_the_threshold_up_but_never_down() -> None:
    known = np.arange(100.0)
    assert chosen_threshold(known, np.full(50, 200.0), 0.05) == pytest.approx((99 + 200) / 2)  # in the gap
    for unknown in (np.full(50, 50.0), np.arange(90.0, 110), np.arange(96.0, 100)):
        assert chosen_threshold(known, unknown, 0.05) >= chosen_threshold(known, np.empty(0), 0.05)


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "noises").mkdir()
    for number in range(12):
        soundfile.write(tmp_path / "noises" / f"{number}.wav", 0.3 * rng.uniform(-1, 1, RATE // 4), RATE)
    return tmp_path / "noises"


def test_copies_of_unknown_recordings_count_once_and_known_ones_not_at_all(tmp_path: Path, noises: Path) -> None:
    """Else the threshold would rest on sounds that are in the background already."""
    for number in range(12):
        (noises / f"copy {number}.wav").write_bytes((noises / f"{number}.wav").read_bytes())
    data = FolderDataSettings(
        name="folder", root=".", group_pattern=None, unknown=str(noises), on_unreadable="skip", batch_size=1
    )
    found = find_unknown(data)
    assert len(found) == len({path.read_bytes() for path in found}) == 12
    corpus = tmp_path / "corpus"
    write_tones(corpus, per_class=2)
    index = index_folder(corpus)
    refuse_known(found, index)
    known = next(corpus.rglob("*.wav"))
    with pytest.raises(AudioidError, match=r"data\.unknown: 1 of its recordings have a label"):
        refuse_known([*found, known], index)


def test_a_run_says_how_sure_its_model_is(
    tmp_path: Path, noises: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(background, "MOST", 60)
    write_tones(tmp_path / "corpus", per_class=40)
    corpus = ["data=folder", "data.root=corpus", *SHORT, "unknown.false_rejections=0.1"]
    assert command(*corpus, "hydra.run.dir=plain") == 0
    assert command(*corpus, "hydra.run.dir=told", "data.unknown=noises") == 0
    plain, told = (json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("plain", "told"))
    assert plain["test_loss"] == told["test_loss"]  # the network is the same
    for metrics in (plain, told):
        assert 0.04 < metrics["temperature"] < 20
        assert metrics["test_ece"] < 0.2
        assert metrics["known_rejected"] < 0.4
        assert 0.5 < metrics["generated_rejected"] <= 1
    assert plain["unknown_rejected"] is None
    assert told["unknown_rejected"] == 1
    description = json.loads((tmp_path / "told" / "model" / "model.json").read_text())
    assert description["sureness"]["unknown_rejected"] == 1
    assert description["sureness"]["false_rejections"] == 0.1

    model = load(tmp_path / "plain" / "model")
    assert model.sureness
    assert model.known
    assert {each.label for each in model.known} == {"high", "low"}
    with (tmp_path / "plain" / "predictions.csv").open() as file:
        judged = {row["path"] for row in csv.DictReader(file)}
    assert not judged & {each.path for each in model.known}
    assert len(model.known) == plain["n_train"] == len(model.sureness.known)


def test_without_a_validation_part_nothing_is_called_unknown(
    tones: Path, noises: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tones.parent)
    assert command("data=folder", "data.root=tones", *SHORT, "split.val_fraction=0", "hydra.run.dir=run") == 0
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert (metrics["temperature"], metrics["known_rejected"], metrics["generated_rejected"]) == (1, None, None)
    model = load(Path("run/model"))
    assert model.sureness
    assert model.sureness.threshold == torch.inf


def test_a_folder_without_recordings_is_told_before_training(tmp_path: Path) -> None:
    data = FolderDataSettings(
        name="folder", root=".", group_pattern=None, unknown=str(tmp_path), on_unreadable="skip", batch_size=1
    )
    with pytest.raises(AudioidError, match=r"data\.unknown: .* holds fewer than 3 recordings"):
        find_unknown(data)
