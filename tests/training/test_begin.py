"""Runs that begin with trained weights, and what is left of that in their records."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from audioid import model_folder
from audioid.config import compose
from audioid.errors import AudioidError
from audioid.pipeline.recordings import Stopwatch, prepare_data
from audioid.pretrained import beginning_of
from audioid.training.build import begin_with, build
from tests.conftest import Command, Ship

SMALL = ["data=folder", "data.root=tones", "audio.seconds=0.25", "image.size=32", "model.width=4", "model.depth=2"]
SHORT = ["trainer.max_epochs=2", "trainer.accelerator=cpu", "hydra.run.dir=run"]


def metrics(run: str = "run") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(run) / "metrics.json").read_text())
    return found


@pytest.fixture
def shipped(ship: Ship) -> Path:
    return ship("fft", *SMALL)


def test_features_are_those_of_the_folder_and_all_else_is_as_without(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = compose([*SMALL, "seed=3"])
    prepared = prepare_data(settings, Stopwatch(), device="cpu")
    plain, begun = build(settings, prepared), build(settings, prepared)
    weights = beginning_of(settings).weights
    assert weights is not None
    state = torch.get_rng_state()
    begin_with(begun, weights)
    assert torch.equal(state, torch.get_rng_state())

    learned = load_file(shipped / "weights.safetensors")
    images = torch.randn(4, 1, 32, 32)
    for name, values in begun.state_dict().items():
        expected = learned[name] if name.startswith("network.features.") else plain.state_dict()[name]
        assert torch.equal(values, expected), name
    assert not torch.equal(learned["network.features.1.running_mean"], torch.zeros(4))
    given = model_folder.load(shipped).classifier.network.features(images)
    torch.testing.assert_close(begun.eval().network.features(images), given)


def test_the_record_says_what_a_run_began_with(
    tones: Path, command: Command, shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*SMALL, *SHORT) == 0
    assert "  begins with the shipped weights for fft (synthetic sounds)\n" in capsys.readouterr().out
    digest = json.loads((shipped / "model.json").read_text())["weights_sha256"]
    assert metrics()["pretrained"] == {"source": "synthetic", "sha256": digest}
    assert "pretrained" not in json.loads(Path("run/model/model.json").read_text())["model"]

    # A model of one's own is a beginning too.
    assert command(*SMALL, *SHORT, "hydra.run.dir=next", "model.pretrained=run", "model.dropout=0.0") == 0
    digest = json.loads(Path("run/model/model.json").read_text())["weights_sha256"]
    assert metrics("next")["pretrained"] == {"source": "run", "sha256": digest}

    assert command(*SMALL, *SHORT, "hydra.run.dir=none", "model.pretrained=none") == 0
    assert metrics("none")["pretrained"] is None


def test_a_run_that_is_stopped_goes_on_without_the_weights_it_began_with(
    tones: Path, command: Command, shipped: Path
) -> None:
    assert command(*SMALL, *SHORT, "scheduler=constant", "hydra.run.dir=unbroken", "trainer.max_epochs=4") == 0
    assert command(*SMALL, *SHORT, "scheduler=constant") == 0
    for file in shipped.iterdir():
        file.unlink()
    assert command("resume=run", "trainer.max_epochs=4") == 0
    assert metrics()["pretrained"] == metrics("unbroken")["pretrained"]
    assert metrics()["test_loss"] == metrics("unbroken")["test_loss"]
    rates = torch.load("run/checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert [group["lr"] for group in rates] == [0.002, 0.0005]


def test_a_checkpoint_from_before_there_was_a_choice_goes_on_from_scratch(
    tones: Path, command: Command, shipped: Path
) -> None:
    assert command(*SMALL, *SHORT, "model.pretrained=none") == 0
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    del checkpoint["course"]["pretrained"]
    torch.save(checkpoint, "run/checkpoints/last.ckpt")
    Path("run/.hydra/overrides.yaml").write_text(
        Path("run/.hydra/overrides.yaml").read_text().replace("- model.pretrained='none'\n", "")
    )
    config = Path("run/.hydra/config.yaml")
    config.write_text(config.read_text().replace("  pretrained: none\n", ""))
    assert command("resume=run", "trainer.max_epochs=3") == 0
    assert metrics()["pretrained"] is None
    assert metrics()["epochs"] == 3


def test_damaged_weights_end_the_run_with_one_line(
    tones: Path, command: Command, shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shipped / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert command(*SMALL, *SHORT) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "weights.safetensors: is damaged, or of another model" in line
    assert not Path("run").exists() or not any(Path("run").glob("metrics.json"))


def test_weights_that_do_not_go_with_their_description_are_told(
    tmp_path: Path, tones: Path, monkeypatch: pytest.MonkeyPatch, shipped: Path
) -> None:
    import hashlib

    monkeypatch.chdir(tmp_path)
    weights = load_file(shipped / "weights.safetensors")
    weights["network.features.0.weight"] = torch.zeros(5, 1, 5, 5)
    save_file(weights, shipped / "weights.safetensors")
    description = json.loads((shipped / "model.json").read_text())
    description["weights_sha256"] = hashlib.sha256((shipped / "weights.safetensors").read_bytes()).hexdigest()
    (shipped / "model.json").write_text(json.dumps(description))
    settings = compose(SMALL)
    chosen = beginning_of(settings).weights
    assert chosen is not None
    classifier = build(settings, prepare_data(settings, Stopwatch(), device="cpu"))
    with pytest.raises(AudioidError, match=r"features\.0\.weight is torch\.float32 \(5, 1, 5, 5\), not .*\(4,"):
        begin_with(classifier, chosen)


def test_a_sweep_over_what_runs_begin_with_compares_that(
    tones: Path, command: Command, ship: Ship, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("fft", "cwt"):
        ship(name, *SMALL, f"transform={name}")
    sweep = ["transform=fft,cwt", "model.pretrained=none,synthetic", "split.seed=0,1", "hydra.sweep.dir=sweep"]
    assert command("-m", *SMALL, *SHORT[:2], *sweep) == 0
    found = json.loads(Path("sweep/comparison.json").read_text())
    by_key = {each["key"]: each for each in found["comparisons"]}
    assert {arm["transform"] for arm in by_key["model.pretrained"]["transforms"]} == {
        "pretrained=none", "pretrained=synthetic"
    }  # fmt: skip
    names = [folder.parent.name for folder in Path("sweep").glob("*/metrics.json")]
    assert len(names) == 8
    assert any(name.startswith("cwt pretrained=synthetic") for name in names)


def test_fewer_recordings_to_learn_from(tones: Path, command: Command) -> None:
    assert command("-m", *SMALL, *SHORT[:2], "split.train_per_class=2,4,null", "hydra.sweep.dir=sweep") == 0
    runs = {(found := metrics(str(file.parent)))["n_train"]: found for file in Path("sweep").glob("*/metrics.json")}
    whole = max(runs)
    assert set(runs) == {4, 8, whole}
    assert len({found["n_test"] for found in runs.values()}) == 1
    assert runs[4]["n_val"] == 2
    tests = {
        tuple(np.loadtxt(file, str, delimiter=",", skiprows=1, usecols=0))
        for file in Path("sweep").glob("*/predictions.csv")
    }
    assert len(tests) == 1
