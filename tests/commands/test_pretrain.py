"""scripts/pretrain.py: from generated sounds to a folder of weights, in one go or in several."""

import hashlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audioid import model_folder
from audioid.commands import pretrain
from audioid.errors import AudioidError
from audioid.generator.generator import Generator
from audioid.generator.kinds import KINDS

TINY = [
    *("data.count=520", "data.batch_size=32", "audio.seconds=0.25", "image.size=32", "model.width=4"),
    *("optimizer.lr=0.01", "trainer.accelerator=cpu", "store.shards=2"),
]
Pretrain = Callable[..., Path]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretrain:
    """Pretrains in a folder of this name below an empty one, and returns what `--out` says, or is by default."""

    def work(where: str, *arguments: str) -> Path:
        folder = tmp_path / where
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["pretrain.py", *arguments, *TINY])
        pretrain.work()
        return folder / "out"

    return work


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_leaves_a_model_of_the_kinds_and_a_card(weights: Pretrain) -> None:
    out = weights("a", "transform=cwt", "--out", "out", "trainer.max_epochs=12")
    assert set(content(out)) == {"model.json", "weights.safetensors", "card.md"}
    model = model_folder.load(out)
    assert model.labels == sorted(kind.model.__name__ for kind in KINDS)

    card = (out / "card.md").read_text(encoding="utf-8")
    assert hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest() in card
    assert "| command | `python scripts/pretrain.py transform=cwt trainer.max_epochs=12 data.count=520 " in card
    assert "store.shards" not in card  # says where files go
    run = out.parent / "outputs/pretraining" / pretrain.weights_name("cwt", 0, ["trainer.max_epochs=12", *TINY])
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert f"{metrics['test_accuracy']:.1%} of {metrics['n_test']} sounds" in card
    assert metrics["n_test_group_in_train"] == 0
    assert metrics["decode_ms_per_file"] is None

    # Of other makers than those of the run, it knows more than chance.
    numbers = torch.arange(1000, 1000 + 10 * len(KINDS))
    kinds = numbers % len(KINDS)
    sounds = Generator(seed=0, sample_rate=22050, seconds=0.25).sounds(kinds, numbers, torch.zeros_like(numbers))
    named = model.classifier(sounds).argmax(1)
    heard = [KINDS[kind].model.__name__ for kind in kinds]
    assert np.mean([model.labels[place] == name for place, name in zip(named, heard, strict=True)]) > 5 / len(KINDS)


@pytest.mark.slow
def test_says_so_where_all_is_done(weights: Pretrain, capsys: pytest.CaptureFixture[str]) -> None:
    out = weights("a", "--out", "out", "trainer.max_epochs=1")
    with (out / "card.md").open("a", encoding="utf-8") as card:
        card.write("\n## What it was measured to give\n")
    before = content(out)
    weights("a", "--out", "out", "trainer.max_epochs=1")
    assert "out: has these weights already" in capsys.readouterr().out
    assert content(out) == before
    (out / "card.md").unlink()  # as if it had been stopped just before
    weights("a", "--out", "out", "trainer.max_epochs=1")
    assert (out / "card.md").exists()


@pytest.mark.slow
def test_the_same_settings_give_the_same_weights(weights: Pretrain) -> None:
    one, two = (weights(where, "--out", "out", "trainer.max_epochs=2") for where in "ab")
    assert content(one)["weights.safetensors"] == content(two)["weights.safetensors"]
    other = weights("c", "--out", "out", "trainer.max_epochs=2", "data.seed=1")
    assert content(one)["weights.safetensors"] != content(other)["weights.safetensors"]


@pytest.mark.slow
def test_killed_it_goes_on_to_the_very_weights_of_an_unbroken_one(weights: Pretrain, tmp_path: Path) -> None:
    whole = weights("whole", "--out", "out", "trainer.max_epochs=40")
    (tmp_path / "killed").mkdir()
    at_once = "from audioid.training import callbacks; callbacks.FIRST_AFTER = 0.0"  # else it is not kept yet
    code = f"import sys; {at_once}; from audioid.commands.pretrain import main; sys.exit(main())"
    arguments = [sys.executable, "-u", "-c", code, "--out", "out", "trainer.max_epochs=40", *TINY]
    with subprocess.Popen(arguments, cwd=tmp_path / "killed", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if re.search(r"epoch +4/", line):
                process.send_signal(signal.SIGKILL)
                break
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert list((tmp_path / "killed").rglob("last.ckpt"))
    assert not list((tmp_path / "killed").rglob("metrics.json"))

    out = weights("killed", "--out", "out", "trainer.max_epochs=40")
    assert content(out)["weights.safetensors"] == content(whole)["weights.safetensors"]
    curves = [next((tmp_path / run).rglob("curves.csv")).read_bytes() for run in ("whole", "killed")]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "model.width=128",
            r"model: the weights would take .* MB, and 4 is the most; lower model.width",
        ),
        ("data=synthetic", r"data: weights are of generated sounds alone; leave out data=synthetic"),
        ("data.count=100", r"data\.count: 100 sounds are too few for 79 kinds; make it 375 or more"),
        ("transform=fft,cwt", r"transform: weights are of one picture; name one at a time, not transform=fft,cwt"),
        ("trainer.devices=2", r"trainer: weights are trained on one device"),
    ],
)
def test_what_is_no_weights_for_others_is_refused_at_once(
    argument: str, message: str, weights: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["pretrain.py", argument])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AudioidError, match=message):
        pretrain.work()
    assert not list(tmp_path.iterdir())  # before any sound was made


@pytest.mark.slow
def test_weights_of_an_earlier_generator_are_not_taken_for_todays(weights: Pretrain) -> None:
    out = weights("a", "--out", "out", "trainer.max_epochs=1")
    (file,) = out.parent.rglob("metrics.json")
    file.write_text(file.read_text(encoding="utf-8").replace('"index_digest": "', '"index_digest": "0'))
    with pytest.raises(AudioidError, match="learned from what an earlier generator made; remove it, and start again"):
        weights("a", "--out", "out", "trainer.max_epochs=1")


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "cwt"),
        (["transform=cwt"], "cwt"),
        (["transform=cwt", "data.count=100", "seed=0"], "cwt count=100 seed=0"),
    ],
)
def test_a_name_is_the_transform_and_what_was_chosen(overrides: list[str], name: str) -> None:
    assert pretrain.weights_name("cwt", 0, overrides) == name
