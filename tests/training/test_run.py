"""What a run's record tells, against the run itself: its model, its settings, its course, its cost."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from sklearn.metrics import f1_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from audioid import model_folder
from audioid.classifier import AudioClassifier
from audioid.comparison.records import find_runs
from audioid.data.clips import Clips, load_clips
from audioid.data.index import Index
from audioid.data.split import SplitIndices
from audioid.identification.identify import identify
from audioid.models import Network
from audioid.pipeline.recordings import PreparedData
from audioid.training.evaluate import evaluate
from audioid.training.run import tell_if_nothing_was_learned
from tests.conftest import Command

QUICK = ["trainer.max_epochs=3", "model.width=4", "image.size=32", "data.batch_size=8", "trainer.accelerator=cpu"]


def on(folder: Path, *more: str) -> list[str]:
    return ["data=folder", f"data.root={folder}", *QUICK, *more]


def metrics(run: str) -> dict[str, Any]:
    found = json.loads(Path(run, "metrics.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def config(run: str) -> dict[str, Any]:
    found = yaml.safe_load(Path(run, ".hydra", "config.yaml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("transform", "clips"),
    [("cwt", []), ("both", []), ("mfcc", []), ("fft", ["audio.seconds=0.06", "audio.windows=all"])],
)
def test_the_model_folder_gives_back_the_predictions(
    transform: str, clips: list[str], tones: Path, command: Command
) -> None:
    chosen = [f"transform={transform}", "audio.start=onset", "image.standardize=pixel", *clips]
    assert command(*on(tones, *chosen, "hydra.run.dir=run")) == 0
    table = pd.read_csv("run/predictions.csv").set_index("path")
    model = model_folder.load(Path("run/model"))
    for answer in identify(model, [tones / path for path in table.index], top=2):
        row = table.loc[answer.path.relative_to(tones).as_posix()]
        assert row["predicted"] == answer.names[0][0]
        for label, probability in answer.names:
            assert probability == pytest.approx(row[label], abs=1e-5)
    waveforms = [clip for clip in load_clips(answer.path, **model.audio) if clip is not None]
    assert len(waveforms) == (4 if clips else 1)
    waveform = torch.from_numpy(np.stack(waveforms))
    features = model.classifier.features(waveform)
    torch.testing.assert_close(model.classifier.network.head(features), model.classifier(waveform))


def test_features_are_those_of_the_recordings_in_the_order_of_the_predictions(tones: Path, command: Command) -> None:
    assert command(*on(tones, "hydra.run.dir=run")) == 0
    features = np.load("run/features.npy", allow_pickle=False)
    model = model_folder.load(Path("run/model"))
    paths = pd.read_csv("run/predictions.csv")["path"]
    clips = [clip for path in paths for clip in load_clips(tones / path, **model.audio) if clip is not None]
    waveforms = np.stack(clips)
    expected = model.classifier.features(torch.from_numpy(waveforms)).detach().numpy()
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, expected, rtol=2e-3, atol=1e-3)  # float16 has 11 binary digits


def test_a_recording_is_judged_by_all_of_its_clips(tones: Path, command: Command) -> None:
    assert command(*on(tones, "audio.seconds=0.06", "audio.windows=3", "hydra.run.dir=run")) == 0
    model, table = model_folder.load(Path("run/model")), pd.read_csv("run/predictions.csv")
    assert model.sureness
    features = np.load("run/features.npy", allow_pickle=False)
    for (_, row), embedding in zip(table.iterrows(), features, strict=True):
        clips = [clip for clip in load_clips(tones / row["path"], **model.audio) if clip is not None]
        assert len(clips) == 3
        waveforms = torch.from_numpy(np.stack(clips))
        # The geometric mean of the clips' probabilities, made to sum to one, at the temperature of the model.
        product = model.classifier(waveforms).softmax(1).prod(0) ** (1 / 3 / model.sureness.temperature)
        expected = (product / product.sum()).detach().numpy()
        np.testing.assert_allclose(row[model.labels].astype(float), expected, atol=2e-5)
        mean = model.classifier.features(waveforms).mean(0).detach().numpy()
        np.testing.assert_allclose(embedding, mean, rtol=2e-3, atol=1e-3)
    found = metrics("run")
    assert len(table) == found["n_test"]
    assert found["test_accuracy"] == pytest.approx((table["label"] == table["predicted"]).mean())
    assert pd.read_csv("run/curves.csv")["val_loss"].min() == pytest.approx(found["val_loss"], rel=1e-4)


def test_curves_are_what_the_epochs_gave(tones: Path, command: Command) -> None:
    chosen = ["scheduler.warmup=0", "optimizer.lr=0.01", "logger=csv", "hydra.run.dir=run"]
    assert command(*on(tones, *chosen)) == 0
    curves = pd.read_csv("run/curves.csv")
    logged = pd.read_csv("run/csv/version_0/metrics.csv").groupby("step").first()
    for part in ("train", "val"):
        for curve in ("loss", "accuracy"):
            assert curves[f"{part}_{curve}"].tolist() == pytest.approx(logged[f"{curve}/{part}"].tolist(), rel=1e-5)
    # Half a cosine over the steps of three epochs, at the first of each.
    assert curves["lr"].tolist() == pytest.approx([0.01, 0.01 * 0.75, 0.01 * 0.25], rel=1e-5)
    assert command(*on(tones, "split.val_fraction=0", "hydra.run.dir=no_val")) == 0
    assert pd.read_csv("no_val/curves.csv")[["val_loss", "val_accuracy"]].isna().all(axis=None)


def test_what_makes_figures_flatter_is_counted(tones: Path, command: Command) -> None:
    """Test recordings of a kit that was trained on, one that was trained on itself, and classes of unequal size."""
    copy, rate = soundfile.read(tones / "low" / "kit0_0.wav")
    soundfile.write(tones / "low" / "louder.wav", 0.5 * copy, rate)
    files = sorted((tones / "low").glob("*.wav")) + sorted((tones / "high").glob("kit[01]_[01].wav"))
    table = pd.DataFrame({"path": files, "label": [file.parent.name for file in files]})
    stems = table["path"].map(lambda file: file.stem)
    table["group"] = stems.map({"louder": "of its own", "kit3_3": "alone"}).fillna(stems.str[:4])
    table["split"] = np.where(stems.isin(["louder", "kit1_1", "kit1_5", "kit3_3"]), "test", "train")
    chosen = ["data=manifest", "data.file=list.csv", "split=given", "split.val_fraction=0", *QUICK]
    table.to_csv("list.csv", index=False)
    assert command(*chosen, "hydra.run.dir=run") == 0
    found = metrics("run")
    assert (found["n_train"], found["n_test"]) == (10, 5)
    assert found["n_test_group_in_train"] == 3  # kit 1 of either label
    assert found["n_test_near_duplicate_in_train"] == 1
    assert found["uneven_classes"] is True
    table[stems.isin(["kit0_0", "kit1_1"])].drop(columns="group").to_csv("list.csv", index=False)
    assert command(*chosen, "hydra.run.dir=bare") == 0
    found = metrics("bare")
    assert found["n_test_group_in_train"] is None
    assert found["n_test_near_duplicate_in_train"] == 0
    assert found["uneven_classes"] is False


def test_what_a_sweep_s_runs_share_is_logged_by_one_of_them(tones: Path, command: Command) -> None:
    assert command("-m", *on(tones, "transform=fft,cwt", "seed=0,1", "hydra.sweep.dir=sweep")) == 0
    tags = {}
    for run in ("fft seed=0", "fft seed=1", "cwt seed=0", "cwt seed=1"):
        found = EventAccumulator(f"sweep/{run}").Reload().Tags()
        tags[run] = (found["images"], found["audio"])
    sounds, confusion = ["examples/high", "examples/low"], ["within classes/confusion"]
    assert tags == {
        "fft seed=0": ([*confusion, "examples"], sounds),
        "fft seed=1": (confusion, []),
        "cwt seed=0": ([*confusion, "examples"], []),
        "cwt seed=1": (confusion, []),
    }


def test_the_record_of_a_run_that_is_done_stays_as_it_is(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on(tones, "hydra.run.dir=run")) == 0
    before = {file: file.read_bytes() for file in Path("run").rglob("*") if file.is_file()}
    assert command("resume=run", "trainer.max_epochs=2") == 0
    assert "done already" in capsys.readouterr().out
    assert command("resume=run", "trainer.max_epochs=2", "trainer.best_by=val_accuracy") == 1
    assert "has val_loss, not val_accuracy; leave it so" in capsys.readouterr().err
    assert before == {file: file.read_bytes() for file in Path("run").rglob("*") if file.is_file()}
    older = config("run")  # of before there were such keys: what they are by default was so
    del older["audio"]["windows"], older["trainer"]["class_weights"]
    Path("run/.hydra/config.yaml").write_text(yaml.safe_dump(older))
    assert command("resume=run") == 0
    assert command("resume=run", "audio.windows=all") == 1
    assert "audio.windows: the run in" in capsys.readouterr().err
    assert command("resume=run", "trainer.class_weights=balanced") == 1
    assert config("run")["trainer"]["max_epochs"] == metrics("run")["max_epochs"] == 3


def test_a_run_that_went_on_for_longer_is_compared_with_its_like(tones: Path, command: Command) -> None:
    """Its learning rate followed another curve than that of a run which was to be as long from the start."""
    assert command(*on(tones, "hydra.run.dir=runs/longer", "trainer.max_epochs=2")) == 0
    assert metrics("runs/longer")["earlier_max_epochs"] == []
    assert command("resume=runs/longer", "trainer.max_epochs=4") == 0
    assert command("resume=runs/longer", "trainer.max_epochs=5") == 0
    assert command(*on(tones, "hydra.run.dir=runs/whole", "trainer.max_epochs=5", "seed=1")) == 0
    assert command(*on(tones, "hydra.run.dir=runs/plain", "trainer.max_epochs=2", "scheduler=constant")) == 0
    assert command("resume=runs/plain", "trainer.max_epochs=5") == 0
    assert metrics("runs/longer")["earlier_max_epochs"] == [2, 4]
    assert metrics("runs/longer")["epochs"] == config("runs/longer")["trainer"]["max_epochs"] == 5
    assert metrics("runs/plain")["earlier_max_epochs"] == []
    runs, _ = find_runs(Path("runs"))
    epochs = {run.folder.name: run.settings["trainer.max_epochs"] for run in runs}
    assert epochs == {"longer": "2, then 4, then 5", "whole": "5", "plain": "5"}


def test_an_error_that_nobody_foresaw_leaves_its_traceback_and_one_line(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audioid.training.run.cost", lambda *_: dict[str, int]()["bins"])
    assert command("-m", *on(tones, "seed=0,1", "hydra.sweep.dir=sweep")) == 1
    (error, _) = sorted(Path("sweep").glob("*/error.txt"))
    first, empty, *traceback = error.read_text(encoding="utf-8").splitlines()
    assert (first, empty) == ("KeyError: 'bins'", "")
    assert traceback[0].startswith("Traceback")
    assert any("in run" in line for line in traceback)
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert f"error: 2 runs, such as {error.parent.name}: KeyError: 'bins'" in told


def test_what_a_run_costs_does_not_depend_on_what_ran_before(tones: Path, command: Command) -> None:
    for run in ("cold", "warm"):
        assert command(*on(tones, "model=original", "model.width=5", "transform=cqt", f"hydra.run.dir={run}")) == 0
    cold, warm = metrics("cold"), metrics("warm")
    # (32 - 4) / 2 = 14, (14 - 4) / 2 = 5: two convolutions of 5 x 5, then two linear layers.
    assert cold["multiply_adds"] == 28**2 * 16 * 25 + 10**2 * 32 * 16 * 25 + 32 * 25 * 5 + 5 * 2
    assert cold["parameters"] == 16 * 26 + 32 * (16 * 25 + 1) + (32 * 25 + 1) * 5 + 6 * 2
    for key in ("multiply_adds", "parameters"):
        assert cold[key] == warm[key]
    for key in ("decode_ms_per_file", "transform_ms_per_clip", "peak_memory_mib"):
        assert cold[key] >= 0
        assert warm[key] >= 0
    assert cold["decode_ms_per_file"] > 0
    assert cold["transform_ms_per_clip"] > 0


class Named(torch.nn.Module):
    """Gives each image the logits that it holds."""

    def features_and_logits(self, images: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, images


@pytest.mark.parametrize("predicted", [[0, 0, 1, 1], [0, 0, 1, 3], [0, 2, 1, 3]])
def test_macro_f1_is_over_all_classes(predicted: list[int]) -> None:
    targets = np.array([0, 0, 1, 1])  # two of the four classes have no recording in the test part
    logits = 9 * np.eye(4, dtype=np.float32)[predicted]
    rows = np.arange(4)
    labels = ["a", "b", "c", "d"]
    index = Index(Path(), pd.DataFrame({"label": [labels[target] for target in targets]}))
    index.__dict__["classes"] = labels
    parts, clips = SplitIndices(rows, rows[:0], rows), Clips(np.ones(4, dtype=np.intp))
    prepared = PreparedData(None, index, clips, parts, logits, logits)  # type: ignore[arg-type]
    found = evaluate(Named(), prepared, batch_size=2, device="cpu")  # type: ignore[arg-type]
    of_each = [f1_score(targets == each, np.array(predicted) == each, zero_division=0) for each in range(4)]
    assert found.test_macro_f1 == pytest.approx(np.mean(of_each))
    assert "val" not in found.accuracy
    assert found.confusion.shape == (4, 4)
    assert not found.shows_features
    np.testing.assert_array_equal(found.features["test"], logits)


def test_the_network_runs_once_for_each_recording() -> None:
    rows = np.arange(6)
    images = np.random.default_rng(0).random((6, 1, 4, 4), dtype=np.float32)
    index = Index(Path(), pd.DataFrame({"label": list("aabbab")}))
    parts, clips = SplitIndices(rows[:3], rows[3:4], rows[4:]), Clips(np.ones(6, dtype=np.intp))
    prepared = PreparedData(None, index, clips, parts, images, images)  # type: ignore[arg-type]
    network, seen = Network(torch.nn.Flatten(), torch.nn.Linear(16, 2)), list[int]()
    network.features.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    classifier = AudioClassifier(torch.nn.Identity(), torch.nn.Identity(), network)  # type: ignore[arg-type]
    found = evaluate(classifier, prepared, batch_size=2, device="cpu")
    assert sum(seen) == 6
    assert found.shows_features
    for part, here in (("train", images[:3]), ("val", images[3:4]), ("test", images[4:])):
        np.testing.assert_array_equal(found.features[part], here.reshape(len(here), 16))


def test_figures_stand_beside_the_choices_that_made_them(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run that had ended goes on for longer, and after it was refused or failed."""
    assert command(*on(tones, "hydra.run.dir=run")) == 0
    first = metrics("run")
    (tones / "low" / "kit0_0.wav").rename(tones / "gone.wav")
    assert command("resume=run", "trainer.max_epochs=9") == 1  # other recordings
    assert metrics("run") == first
    assert config("run")["trainer"]["max_epochs"] == 3
    (tones / "gone.wav").rename(tones / "low" / "kit0_0.wav")
    monkeypatch.setattr("audioid.training.run.cost", lambda *_: dict[str, int]()["bins"])
    with pytest.raises(KeyError):
        command("resume=run", "trainer.max_epochs=9")
    assert not Path("run/metrics.json").exists()
    assert json.loads(Path("run/earlier_metrics.json").read_text(encoding="utf-8")) == first
    monkeypatch.undo()


def test_what_was_trained_is_not_forgotten_where_nothing_is_left_to_train(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on(tones, "hydra.run.dir=run")) == 0
    assert command("resume=run", "trainer.max_epochs=5") == 0
    Path("run/metrics.json").unlink()  # as if it had been killed before
    assert command("resume=run") == 0
    assert (metrics("run")["epochs"], metrics("run")["earlier_max_epochs"]) == (5, [3])
    Path("run/metrics.json").unlink()
    assert command("resume=run", "trainer.max_epochs=4") == 1
    assert "trainer.max_epochs: 4 epochs are less than the 5 that" in capsys.readouterr().err


def test_a_run_that_ended_early_does_not_go_on(tones: Path, command: Command) -> None:
    chosen = ["trainer.max_epochs=60", "trainer.patience=0.01", "optimizer.lr=0.05"]
    assert command(*on(tones, *chosen, "hydra.run.dir=run")) == 0
    before = Path("run/predictions.csv").read_bytes()
    epochs = metrics("run")["epochs"]
    assert epochs < 60
    Path("run/metrics.json").unlink()
    assert command("resume=run") == 0
    assert metrics("run")["epochs"] == epochs
    assert Path("run/predictions.csv").read_bytes() == before


def test_arguments_of_a_network_may_not_change_on_the_way(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("nets_of_a_run.py").write_text(
        "from torch import nn\n"
        "def tiny(in_channels, n_classes, image_size, bias=True):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, n_classes, bias=bias))\n"
    )
    target = ["model=custom", "model.target=nets_of_a_run.tiny"]
    quick = [text for text in on(tones) if not text.startswith("model.")]
    assert command(*quick, *target, "hydra.run.dir=run") == 0
    (line,) = (command("resume=run", target[1]), capsys.readouterr().out.splitlines()[-1])[1:]
    assert "done already" in line
    assert command("resume=run", target[1], "model.arguments.bias=false", "trainer.max_epochs=5") == 1
    assert "model.arguments: the run in" in capsys.readouterr().err


def test_a_run_s_folder_does_not_lead_elsewhere(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(*on(tones, "hydra.run.dir=run")) == 0
    Path("run/.hydra").rename(tmp_path / "elsewhere")
    Path("run/.hydra").symlink_to(tmp_path / "elsewhere")
    assert command("resume=run", "trainer.max_epochs=5") == 1
    assert "is a link, which may lead elsewhere" in capsys.readouterr().err


def test_a_finished_sweep_is_not_made_another(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("-m", *on(tones, "seed=0,1", "hydra.sweep.dir=sweep")) == 0
    for more, told in (
        ("seed=0,1,2", "has seed=0,1; say the same"),
        ("model.width=8", "has model.width=4; say the same"),
        ("optimizer=sgd", "was started without optimizer; leave it out"),
    ):
        assert command("resume=sweep", more) == 1
        assert told in capsys.readouterr().err
    assert command("resume=sweep", "seed=0,1") == 0


@pytest.mark.parametrize(
    ("chosen", "key"),
    [
        (["split=given", "split.val_fraction=0", "scheduler=plateau"], "scheduler"),
        (["split=given", "split.val_fraction=0", "trainer.patience=0.5"], "trainer.patience"),
        (["split=given", "split.val_fraction=0", "trainer.best_by=val_accuracy"], "trainer.best_by"),
        (["split=given", "split.val_fraction=0", "trainer.limit_train_batches=0.001"], "trainer.limit_train_batches"),
    ],
)
def test_what_only_the_parts_can_tell_is_one_line(
    chosen: list[str], key: str, tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(tones.rglob("*.wav"))
    rows = [f"{file},{file.parent.name},{'test' if number % 3 else 'train'}" for number, file in enumerate(files)]
    Path("list.csv").write_text("\n".join(["path,label,split", *rows]))
    assert command("data=manifest", "data.file=list.csv", *QUICK, *chosen) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {key}: ")


@pytest.mark.parametrize(("epochs", "is_told"), [(1, True), (20, False)])
def test_a_network_that_learned_nothing_is_told(
    epochs: int, tones: Path, command: Command, capsys: pytest.CaptureFixture[str], *, is_told: bool
) -> None:
    """After two steps it still gives every recording one name."""
    assert command(*on(tones, "hydra.run.dir=run", f"trainer.max_epochs={epochs}", "augment=none")) == 0
    assert ("nothing was learned" in capsys.readouterr().out) == is_told


def test_a_network_that_knows_each_label_a_little_has_learned(capsys: pytest.CaptureFixture[str]) -> None:
    """With balanced classes: it is right less often than the commonest label, which nine of ten recordings have."""
    targets = np.repeat([0, 1], [90, 10])
    prepared: Any = SimpleNamespace(index=SimpleNamespace(targets=targets), split=SimpleNamespace(train=np.arange(100)))
    for named, is_told in ((np.where(np.arange(100) < 15, 1, targets), False), (np.zeros(100, int), True)):
        evaluation: Any = SimpleNamespace(log_probabilities={"train": np.eye(2)[named]})
        tell_if_nothing_was_learned(prepared, evaluation)
        assert ("nothing was learned" in capsys.readouterr().out) == is_told
