"""The network for use learns from all recordings, after one that was judged."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from audioid import load_model, model_folder
from tests.conftest import Command

SHORT = ["trainer.max_epochs=6", "model.width=4", "image.size=32", "data.batch_size=8", "trainer.accelerator=cpu"]


def on(*more: str) -> list[str]:
    return ["data=folder", "data.root=tones", *SHORT, *more]


def test_it_stands_beside_the_judged_one_which_is_the_same_as_without(tones: Path, command: Command) -> None:
    assert command(*on("hydra.run.dir=plain")) == 0
    assert command(*on("hydra.run.dir=run", "fit=everything")) == 0
    plain, run = (json.loads(Path(folder, "metrics.json").read_text()) for folder in ("plain", "run"))
    for key in ("test_accuracy", "test_loss", "val_loss", "temperature", "known_rejected"):
        assert plain[key] == run[key]
    judged, whole = model_folder.load(Path("run/model")), model_folder.load(Path("run/everything/model"))
    assert judged.known
    assert whole.known
    assert judged.sureness
    assert whole.sureness
    assert len(judged.known) == run["n_train"]
    assert len(whole.known) == 24 == len({each.path for each in whole.known})
    tested = set(pd.read_csv("run/predictions.csv")["path"])
    assert tested <= {each.path for each in whole.known}
    assert float(whole.sureness.temperature) == float(judged.sureness.temperature)
    assert float(whole.sureness.threshold) == float(judged.sureness.threshold)
    waveforms = torch.randn(2, 22050)
    assert not torch.equal(judged.classifier(waveforms), whole.classifier(waveforms))
    for place, count in (("run/model", run["n_train"]), ("run/everything/model", 24)):
        trained_on = json.loads(Path(place, "model.json").read_text())["trained_on"]
        assert (trained_on["recordings"], trained_on["index_digest"]) == (count, run["index_digest"])
    # A run that is named stands for the model that is for use.
    assert load_model("run").predict_proba(list(waveforms)) == pytest.approx(
        load_model("run/everything/model").predict_proba(list(waveforms))
    )


def test_it_takes_as_many_steps_as_were_asked_for(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["trainer.max_epochs=null", "trainer.max_steps=5", "data.batch_size=2", "hydra.run.dir=run"]
    chosen += ["trainer.best_by=val_accuracy", "trainer.patience=0.5"]  # of the judged one alone
    assert command(*on("fit=everything", *chosen)) == 0
    assert capsys.readouterr().out.count("5 steps to train: 1 epoch of 5 batches") == 2
    for place in ("run", "run/everything"):
        assert torch.load(Path(place, "checkpoints", "last.ckpt"), weights_only=True)["global_step"] == 5


def test_a_run_that_was_judged_alone_learns_from_everything_later(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on("hydra.run.dir=run")) == 0
    before = json.loads(Path("run/metrics.json").read_text())
    assert command("resume=run") == 0
    assert not Path("run/everything").exists()
    capsys.readouterr()
    assert command("resume=run", "fit=everything") == 0
    assert "now from all 24 recordings" in capsys.readouterr().out
    assert Path("run/everything/model/model.json").exists()
    after = json.loads(Path("run/metrics.json").read_text())
    assert after["test_loss"] == before["test_loss"]
    made = Path("run/everything/model/weights.safetensors").read_bytes()
    assert command("resume=run", "fit=everything") == 0
    assert Path("run/everything/model/weights.safetensors").read_bytes() == made
    # Of a network that is judged anew nothing else stays that would answer for it.
    assert command("resume=run", "fit=judged", "unknown.false_rejections=0.5") == 0
    again = json.loads(Path("run/metrics.json").read_text())
    assert again["test_loss"] == before["test_loss"]
    assert again["known_rejected"] > before["known_rejected"]
    assert not Path("run/everything").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["trainer.parallel_seeds=2"], "error: fit: everything is learned by one network on one device"),
        (["scheduler=plateau"], "error: fit: with everything to learn from there is no validation part"),
    ],
)
def test_what_does_not_go_with_it_is_told(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert command(*on("fit=everything", *more)) == 1
    assert capsys.readouterr().err.startswith(message)
