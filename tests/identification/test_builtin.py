import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from audioid import model_folder, pretrained
from audioid.classifier import build_classifier
from audioid.commands.identify import main
from audioid.config import compose
from audioid.errors import AudioidError
from audioid.generator.kinds import KINDS
from audioid.identification import builtin
from audioid.identification.answers import only
from audioid.identification.identify import identify
from audioid.model_description import SECTIONS

LABELS = ["bell", "kick", "snare"]
PICTURES = {"fft": 1, "cwt": 2}  # and the seeds of their networks


def stand_in(folder: Path, picture: str, labels: list[str], *, sample_rate: int = 8000) -> None:
    """A model folder with random weights."""
    overrides = ["image.size=32", "image.f_max=3500", "model.width=4", "model.depth=2", "audio.seconds=0.25"]
    settings = compose([f"transform={picture}", f"audio.sample_rate={sample_rate}", *overrides])
    groups: dict[str, Any] = {name: getattr(settings, name).model_dump() for name in SECTIONS}
    torch.manual_seed(PICTURES[picture])
    classifier = build_classifier(**groups, n_classes=len(labels))
    with torch.no_grad():
        next(classifier.network.head.parameters()).mul_(20)
    model_folder.save(folder, classifier, labels=labels, **groups)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "weights"
    monkeypatch.setattr(pretrained, "SHIPPED", root)
    for picture in PICTURES:
        stand_in(root / picture, picture, LABELS)
    return root


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    file = tmp_path / "sound.wav"
    soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, 2000), 8000)
    return file


def probabilities(name: str, sound: Path, **arguments: Any) -> dict[str, float]:
    model = builtin.load(name)
    if arguments:
        model = only(model, arguments["labels"])
    (answer,) = identify(model, [sound], top=len(model.labels))
    return dict(answer.names)


def test_both_pictures_answer_by_the_mean_of_their_log_probabilities(shipped: Path, sound: Path) -> None:
    fft, cwt = (probabilities(f"builtin:{picture}", sound) for picture in PICTURES)
    product = {label: np.sqrt(fft[label] * cwt[label]) for label in LABELS}
    wanted = {label: value / sum(product.values()) for label, value in product.items()}
    assert fft != pytest.approx(cwt, abs=0.05)
    assert probabilities("builtin", sound) == pytest.approx(wanted, abs=1e-5)


def test_models_are_called_by_their_picture_or_their_run(shipped: Path, tmp_path: Path) -> None:
    assert builtin.names_of("builtin") == ["builtin:cwt", "builtin:fft"]
    assert builtin.names_of("builtin:fft") == ["builtin:fft"]
    for folder in (tmp_path / "runs" / "cwt width=8" / "model", tmp_path / "runs" / "both" / "everything" / "model"):
        stand_in(folder, "fft", LABELS)
        assert builtin.names_of(str(folder)) == [folder.relative_to(tmp_path / "runs").parts[0]]
    assert builtin.names_of(str(tmp_path / "runs" / "both")) == ["both"]


def test_one_picture_is_the_model_folder_that_is_shipped(shipped: Path, sound: Path) -> None:
    assert probabilities("builtin:cwt", sound) == pytest.approx(probabilities(str(shipped / "cwt"), sound), abs=1e-6)


def test_features_of_both_pictures_stand_side_by_side(shipped: Path) -> None:
    waves = torch.rand(3, 2000)
    every = [model_folder.load(shipped / picture).classifier.features(waves) for picture in sorted(PICTURES)]
    torch.testing.assert_close(builtin.load("builtin").classifier.judge(waves)[0], torch.cat(every, 1))


def test_kinds_of_the_generator_answer_with_their_common_label(shipped: Path, sound: Path) -> None:
    kinds = [kind.model.__name__ for kind in KINDS if kind.label in ("kick", "cymbal")]
    for picture in PICTURES:
        stand_in(shipped / picture, picture, kinds)
    fine, joint = probabilities(str(shipped / "fft"), sound), probabilities("builtin:fft", sound)
    label_of = {kind.model.__name__: kind.label for kind in KINDS}
    assert joint == pytest.approx(
        {label: sum(fine[kind] for kind in kinds if label_of[kind] == label) for label in ("kick", "cymbal")}, abs=1e-5
    )
    assert builtin.load("builtin").labels == ["cymbal", "kick"]


def test_only_the_labels_that_are_asked_for_are_answered_renormalised(shipped: Path, sound: Path) -> None:
    for name in ("builtin", str(shipped / "fft")):
        every = probabilities(name, sound)
        some = probabilities(name, sound, labels=["snare", "bell"])
        total = every["snare"] + every["bell"]
        assert some == pytest.approx({label: every[label] / total for label in ("snare", "bell")}, abs=1e-5)


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> list[dict[str, Any]]:
    monkeypatch.setattr(sys, "argv", ["identify", *map(str, arguments), "--format", "json"])
    assert main() == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_the_command_takes_builtin_and_labels(
    shipped: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = told(monkeypatch, capsys, "builtin", sound, "--labels", "kick, snare")
    assert {name["label"] for name in row["names"]} == {"kick", "snare"}
    assert sum(name["probability"] for name in row["names"]) == pytest.approx(1, abs=1e-5)


def test_a_folder_called_builtin_is_reached_by_a_path(
    shipped: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(sound.parent / "builtin", "fft", ["mine", "yours"])
    monkeypatch.chdir(sound.parent)
    (ours,), (theirs,) = told(monkeypatch, capsys, "builtin", sound), told(monkeypatch, capsys, "./builtin", sound)
    assert {name["label"] for name in ours["names"]} == {*LABELS}
    assert {name["label"] for name in theirs["names"]} == {"mine", "yours"}


def test_what_cannot_be_answered_is_told_in_one_line(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        AudioidError, match=r"^builtin:mfcc: there is none; choose builtin or builtin:cwt or builtin:fft$"
    ):
        builtin.load("builtin:mfcc")
    model = builtin.load("builtin")
    with pytest.raises(
        AudioidError, match=r"^--labels: the model does not know 'kik'; did you mean kick\? it knows bell"
    ):
        only(model, ["kick", "kik"])
    with pytest.raises(
        AudioidError, match=r"^--labels: fewer than two names leave no choice; name several of bell, kick, snare$"
    ):
        only(model, [])
    stand_in(shipped / "cwt", "cwt", ["kick", "snare"])
    with pytest.raises(AudioidError, match="do not belong together; install audioid again"):
        builtin.load("builtin")
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "nothing")
    with pytest.raises(AudioidError, match=r"^builtin: no model comes with this installation; name the model folder"):
        builtin.load("builtin")


def test_the_command_ends_with_that_line(sound: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "identify.py"
    done = subprocess.run([sys.executable, script, "", sound], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: '': is no path; name a file or a folder\n")
