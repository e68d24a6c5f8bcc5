"""The main command on real files: what a run and a sweep leave behind, and what bad input gets."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from audioid.comparison.records import find_runs
from audioid.config import check_command_line, compose
from tests.conftest import RATE, Command, write_tones
from tests.test_program import stopped_in_the_sixth_epoch

ROOT = Path(__file__).parent.parent
QUICK = ["trainer.max_epochs=3", "model.width=4", "image.size=32", "data.batch_size=8", "trainer.accelerator=cpu"]
TRAIN = [sys.executable, "-u", str(ROOT / "train.py")]
CHANGING = ("seconds", "commit", "peak_memory_mib", "decode_ms_per_file", "transform_ms_per_clip")


def on(folder: Path, *more: str) -> list[str]:
    return ["data=folder", f"data.root={folder}", *QUICK, *more]


def metrics(run: Path) -> dict[str, object]:
    found = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def lasting(run: Path) -> dict[str, object]:
    return {key: value for key, value in metrics(run).items() if key not in CHANGING}


def test_a_run_leaves_its_whole_record(tones: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*on(tones, "hydra.run.dir=run", "trainer.max_epochs=40", "optimizer.lr=0.01")) == 0
    assert "24 recordings of 2 classes" in capsys.readouterr().out
    run = Path("run")

    found = metrics(run)
    assert found["classes"] == ["high", "low"]
    parts = [found[f"n_{part}"] for part in ("train", "val", "test")]
    assert sum(parts) == 24  # type: ignore[arg-type]
    assert found["epochs"] == 40
    assert found["test_accuracy"] > 0.7  # type: ignore[operator]
    assert set(found["seconds"]) == {"index", "decode", "transform", "fit", "test", "record", "total"}  # type: ignore[call-overload]

    table = pd.read_csv(run / "predictions.csv", keep_default_na=False)
    assert list(table.columns) == ["path", "label", "predicted", "group", "high", "low"]
    assert len(table) == found["n_test"]
    assert (table["label"] == table["predicted"]).mean() == pytest.approx(found["test_accuracy"])
    np.testing.assert_allclose(table[["high", "low"]].sum(axis=1), 1, atol=1e-5)
    named = np.where(table["high"] > table["low"], "high", "low")
    assert (named == table["predicted"]).all()
    picked = np.where(table["label"] == "high", table["high"], table["low"])
    assert -np.log(picked).mean() == pytest.approx(found["test_loss"], abs=1e-4)

    assert (run / "skipped.csv").read_text() == "path,reason\n"
    assert {"weights.safetensors", "model.json"} == {file.name for file in (run / "model").iterdir()}
    assert 0 <= found["test_ece"] < 0.3  # type: ignore[operator]
    assert {"best.ckpt", "last.ckpt"} == {file.name for file in (run / "checkpoints").iterdir()}
    assert (run / ".hydra" / "config.yaml").exists()
    assert not list(run.glob("**/*.part"))


def test_tensorboard_has_curves_pictures_sounds_and_choices(tones: Path, command: Command) -> None:
    assert command(*on(tones, "hydra.run.dir=run")) == 0
    assert len(list(Path("run").glob("events*"))) == 1
    events = EventAccumulator("run", size_guidance={"images": 0, "audio": 0}).Reload()
    tags = events.Tags()
    for tag in ("loss/train", "loss/val", "accuracy/train", "accuracy/val"):
        assert [event.step for event in events.Scalars(f"training/{tag}")] == [1, 2, 3]
    found = metrics(Path("run"))
    for part, name in (("test", "accuracy"), ("test", "macro_f1"), ("test", "loss"), ("val", "accuracy")):
        (score,) = events.Scalars(f"{part}/{name}")
        assert (score.step, score.value) == (3, pytest.approx(found[f"{part}_{name}"]))
    assert set(tags["images"]) == {"examples", "within classes/confusion"}
    assert set(tags["audio"]) == {"examples/high", "examples/low"}
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    chosen = set(HParamsPluginData.FromString(content).session_start_info.hparams)
    assert chosen == {"transform", "seed", "data"} | {text.partition("=")[0] for text in QUICK}
    assert "hp_metric" not in tags["scalars"]


@pytest.mark.slow
def test_runs_that_write_at_once_say_whose_line_it_is(tones: Path, tmp_path: Path) -> None:
    at_once = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep"]
    command = [*TRAIN, "-m", *on(tones, "transform=fft,cwt", "seed=0,1", *at_once)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    runs = {file.parent.name for file in (tmp_path / "sweep").glob("*/metrics.json")}
    assert len(runs) == 4
    lines = done.stdout.splitlines()
    for name in runs:
        own = [line.removeprefix(f"{name} | ") for line in lines if line.startswith(f"{name} | ")]
        assert own[0] == name
        assert own[-1].startswith("  test accuracy")
        assert sum(line.startswith("  epoch") for line in own) == 3
    assert not [line for line in lines if line.startswith("  epoch")]
    assert sum(line.startswith("sweep: ") for line in lines) >= 2


def test_a_first_look_trains_a_batch_and_records_nothing(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on(tones, "trainer.fast_dev_run=true", "hydra.run.dir=run")) == 0
    assert "nothing was recorded" in capsys.readouterr().out
    assert {path.name for path in Path("run").iterdir()} == {".hydra", "skipped.csv"}


def test_lightning_s_switches_do_what_they_say(tones: Path, command: Command) -> None:
    switches = ["precision=bf16-mixed", "gradient_clip_val=1", "limit_train_batches=1", "profiler=simple"]
    chosen = [f"trainer.{switch}" for switch in (*switches, "max_epochs=2", "best_by=val_accuracy")]
    assert command(*on(tones, *chosen, "logger=[tensorboard,csv]", "hydra.run.dir=run")) == 0
    assert "run_training_epoch" in Path("run/fit-profile.txt").read_text()
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2
    assert torch.bfloat16 not in {weights.dtype for weights in checkpoint["state_dict"].values()}
    table = pd.read_csv("run/csv/version_0/metrics.csv")
    assert table["test/accuracy"].dropna().tolist() == [pytest.approx(metrics(Path("run"))["test_accuracy"])]
    assert len(table["loss/train"].dropna()) == 2


def test_the_same_seed_gives_the_same_record(tones: Path, command: Command) -> None:
    for name in ("one", "two"):
        assert command(*on(tones, "transform=cwt", "augment=full", f"hydra.run.dir={name}", "seed=5")) == 0
    assert lasting(Path("one")) == lasting(Path("two"))
    assert Path("one/predictions.csv").read_bytes() == Path("two/predictions.csv").read_bytes()


def test_a_stopped_run_goes_on_to_the_very_result_of_an_unbroken_one(tones: Path, command: Command) -> None:
    assert command(*on(tones, "hydra.run.dir=whole", "trainer.max_epochs=60")) == 0
    at_once = "from audioid.training import callbacks; callbacks.FIRST_AFTER = 0.0"  # else it is not kept yet
    chosen = on(tones, "hydra.run.dir=stopped", "trainer.max_epochs=60")
    status, told = stopped_in_the_sixth_epoch(*chosen, folder=Path(), before=at_once)
    assert status == 130
    assert "; go on with: python train.py resume='" in told
    assert "Traceback" not in told
    assert not Path("stopped/metrics.json").exists()
    assert Path("stopped/checkpoints/last.ckpt").exists()
    assert command(f"resume={Path('stopped').absolute()}") == 0
    assert lasting(Path("stopped")) == lasting(Path("whole"))
    assert Path("stopped/curves.csv").read_bytes() == Path("whole/curves.csv").read_bytes()
    events = EventAccumulator("stopped").Reload()
    assert [event.step for event in events.Scalars("training/loss/train")] == list(range(1, 61))
    again = json.loads(Path("stopped/metrics.json").read_text())["seconds"]
    # Of a finished run nothing is trained again, but what it took is still known.
    Path("stopped/metrics.json").unlink()
    assert command(f"resume={Path('stopped').absolute()}") == 0
    assert json.loads(Path("stopped/metrics.json").read_text())["seconds"]["fit"] == pytest.approx(
        again["fit"], rel=0.2
    )


def test_a_run_that_reached_its_goal_is_not_repeated(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on(tones, "hydra.run.dir=run")) == 0
    before = (Path("run/metrics.json").stat().st_mtime_ns, Path("run/metrics.json").read_bytes())
    assert command("resume=run") == 0
    assert "done already" in capsys.readouterr().out
    assert (Path("run/metrics.json").stat().st_mtime_ns, Path("run/metrics.json").read_bytes()) == before
    assert command("resume=run", "trainer.max_epochs=4") == 0
    assert metrics(Path("run"))["epochs"] == 4


def test_a_run_that_goes_on_for_longer_has_the_patience_of_its_new_budget(tones: Path, command: Command) -> None:
    still = ["optimizer=sgd", "optimizer.lr=1e-30", "scheduler=constant", "augment=none"]  # soon no epoch is better
    assert command(*on(tones, *still, "hydra.run.dir=run", "trainer.patience=0.1", "trainer.max_epochs=30")) == 0
    before = 0
    for budget, patience in ((30, 3), (60, 6), (61, 6)):  # another budget, also where its patience is the same number
        assert command("resume=run", f"trainer.max_epochs={budget}") == 0
        best = int(pd.read_csv("run/curves.csv")["val_loss"].argmin()) + 1
        assert metrics(Path("run"))["epochs"] == max(best, before) + patience
        before = len(pd.read_csv("run/curves.csv"))


@pytest.mark.parametrize("more", [["model.width=8"], ["transform=cwt"], ["split.seed=5"], ["seed=1"]])
def test_a_run_s_folder_is_kept_from_other_settings(
    more: list[str], tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on(tones, "hydra.run.dir=run", "trainer.max_epochs=1")) == 0
    before = {file: file.read_bytes() for file in Path("run").rglob("*") if file.is_file()}
    for arguments in (["resume=run", "trainer.max_epochs=2", *more], on(tones, "hydra.run.dir=run", *more)):
        assert command(*arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert more[0].partition("=")[0] in line
    assert before == {file: file.read_bytes() for file in Path("run").rglob("*") if file.is_file()}


def test_a_run_does_not_go_on_over_other_recordings(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on(tones, "hydra.run.dir=run", "trainer.max_epochs=1")) == 0
    (tones / "low" / "kit0_0.wav").unlink()
    assert command("resume=run", "trainer.max_epochs=2") == 1
    assert "recordings have changed" in capsys.readouterr().err


def test_a_run_does_not_go_on_over_other_parts(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = on(tones, "hydra.run.dir=run", "split=grouped", "split.group=near_duplicates", "trainer.max_epochs=1")
    assert command(*chosen) == 0
    (kept,) = Path().rglob("near_duplicates/*.json")
    groups = json.loads(kept.read_text())
    assert command("resume=run", "trainer.max_epochs=2") == 0
    kept.write_text(json.dumps([number // 2 for number in range(len(groups))]))
    capsys.readouterr()
    assert command("resume=run", "trainer.max_epochs=3") == 1
    assert "parted otherwise" in capsys.readouterr().err


def test_a_diverged_training_is_an_error_and_no_record(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on(tones, "model=original", "optimizer=sgd", "optimizer.lr=100", "hydra.run.dir=run")) == 1
    assert "diverged" in capsys.readouterr().err.splitlines()[-1]
    assert not Path("run/metrics.json").exists()


@pytest.mark.parametrize("content", ["[]", "{}", '{"max_epochs": "x"}', "no json"])
def test_a_damaged_record_is_written_anew(content: str, tones: Path, command: Command) -> None:
    Path("run").mkdir()
    Path("run/metrics.json").write_text(content)
    for _ in range(2):  # the second time beside the configuration of the first
        assert command(*on(tones, "hydra.run.dir=run", "trainer.max_epochs=1")) == 0
        assert metrics(Path("run"))["epochs"] == 1
        Path("run/metrics.json").write_text(content)


def test_a_key_of_a_swept_option_reaches_its_runs(tones: Path, command: Command) -> None:
    chosen = ["transform=cwt,ssq", "transform.wavelet=gmw20-3", "trainer.max_epochs=1", "hydra.sweep.dir=sweep"]
    assert command("-m", *on(tones, *chosen)) == 0
    models = [json.loads(file.read_text()) for file in Path("sweep").glob("*/model/model.json")]
    assert {(model["transform"]["name"], model["transform"]["wavelet"]) for model in models} == {
        ("cwt", "gmw20-3"),
        ("ssq", "gmw20-3"),
    }


def test_a_signed_picture_of_the_default_wavelet_trains(tones: Path, command: Command) -> None:
    assert command(*on(tones, "transform=cwt", "image.amplitude_scale=signed", "trainer.max_epochs=1")) == 0


PIXEL = ["trainer.precision=bf16-mixed", "model.depth=7", "image.size=64"]  # 64, 32, 16, 8, 4, 2, 1, and one more


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ("trainer.accelerator=gpu", "trainer.accelerator"),
        ("trainer.devices=4096", "trainer.devices"),
        ("trainer.precision=16-mixed", "trainer.precision"),
        (PIXEL, "trainer.precision"),
        ("transform.wavelet=mexh", "transform.wavelet"),
    ],
)
def test_what_the_machine_or_the_choice_lacks_is_one_line(
    more: str | list[str], part: str, tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    if more in ("trainer.accelerator=gpu", PIXEL) and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert command(*on(tones), *([more] if isinstance(more, str) else more)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {part}: ")


def test_sigterm_ends_a_sweep_with_a_status_that_says_so(tones: Path, tmp_path: Path) -> None:
    arguments = ["-m", *on(tones, "seed=0,1", "trainer.max_epochs=2000", "hydra.sweep.dir=sweep")]
    with subprocess.Popen(
        [*TRAIN, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "epoch   1/" in line:
                process.send_signal(signal.SIGTERM)
                break
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert len([path for path in (tmp_path / "sweep").iterdir() if path.is_dir()]) == 1


def test_a_sweep_ends_in_a_comparison(tones: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", *on(tones, "transform=fft,cwt", "seed=0,1", "hydra.sweep.dir=sweep")) == 0
    told = capsys.readouterr().out
    runs = sorted(path.parent.name for path in Path("sweep").glob("*/metrics.json"))
    assert runs == [f"{transform} seed={seed}" for transform in ("cwt", "fft") for seed in (0, 1)]
    assert len({str(metrics(Path("sweep") / name)["index_digest"]) for name in runs}) == 1
    assert "fft" in told
    assert "cwt" in told
    assert "tensorboard" in told
    written = {"comparison.json", "comparison.csv", "report.html", "report.md", "figures", "comparison"}
    assert {path.name for path in Path("sweep").iterdir()} - set(runs) >= written
    # The same sweep again has nothing left to do.
    assert command("resume=sweep") == 0
    assert capsys.readouterr().out.count("done already") == 4


def test_progress_looks_where_the_runs_lie_whatever_their_names_refer_to(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = "hydra.sweep.dir='sweeps/${now:%f}'"  # microseconds: another name each time that it is made
    seeds = ["split.seed=0,1", "seed=${split.seed}"]  # the second is another one in each job
    assert command("-m", *on(tones, *seeds, "trainer.max_epochs=1", folder)) == 0
    assert len(list(Path("sweeps").iterdir())) == 1
    assert re.findall(r"^sweep: \d.*", capsys.readouterr().out, re.M)[-1] == "sweep: 2 of 2 done"


def test_a_key_of_one_arm_takes_part_in_one_sweep(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["transform=fft,cwt", "transform.wavelet=mexh,cmor1.5-1.0", "trainer.max_epochs=1"]
    assert command("-m", *on(tones, *chosen, "hydra.sweep.dir=sweep")) == 0
    runs = {path.parent.name: path.parent for path in Path("sweep").glob("*/metrics.json")}
    assert set(runs) == {"fft seed=0", "cwt wavelet=mexh seed=0", "cwt wavelet=cmor1.5-1.0 seed=0"}
    for name, run in runs.items():
        recorded = (run / ".hydra" / "overrides.yaml").read_text()
        assert ("transform.wavelet=" in recorded) == name.startswith("cwt")
        content = (
            EventAccumulator(str(run)).Reload().summary_metadata["_hparams_/session_start_info"].plugin_data.content
        )
        row = set(HParamsPluginData.FromString(content).session_start_info.hparams)
        assert ("transform.wavelet" in row) == name.startswith("cwt")
    lines = re.findall(r"^sweep: \d.*", capsys.readouterr().out, re.M)
    assert lines[0] == "sweep: 0 of 3 done, 3 to go"
    assert re.fullmatch(r"sweep: 2 of 3 done, 1 to go, about \d+ (s|min) left", lines[2])
    assert lines[3:] == ["sweep: 3 of 3 done"]
    # Only the one that is missing is done again.
    (runs["fft seed=0"] / "metrics.json").unlink()
    before = {run: (run / "metrics.json").stat().st_mtime_ns for name, run in runs.items() if name != "fft seed=0"}
    assert command("resume=sweep") == 0
    assert re.findall(r"^sweep: \d.*", capsys.readouterr().out, re.M) == [
        "sweep: 2 of 3 done, 1 to go",
        "sweep: 3 of 3 done",
    ]
    assert before == {run: (run / "metrics.json").stat().st_mtime_ns for run in before}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "first_and_last"),
    [
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], ["sweep: 0 of 2 done, 2 to go", "sweep: 2 of 2 done"]),
        (["hydra/sweeper=basic"], []),  # whose runs are not known here
    ],
)
def test_other_launchers_and_sweepers_take_the_same_sweep(
    more: list[str], first_and_last: list[str], tones: Path, tmp_path: Path
) -> None:
    chosen = ["transform=fft,cwt", "trainer.max_epochs=1", "hydra.sweep.dir=sweep"]
    done = subprocess.run([*TRAIN, "-m", *on(tones, *chosen, *more)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.parent.name for path in (tmp_path / "sweep").glob("*/metrics.json")} == {"fft seed=0", "cwt seed=0"}
    lines = re.findall(r"^sweep: \d.*", done.stdout, re.M)
    assert [*lines[:1], *lines[-1:]] == first_and_last


def test_the_protocol_is_an_experiment(tones: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["experiment=compare", "split.folds=3", "split.seed=0,7", "split.fold=2", "trainer.max_epochs=1"]
    assert command(*on(tones, *small, "hydra.sweep.dir=sweep")) == 0
    runs = {path.parent.name: metrics(path.parent) for path in Path("sweep").glob("*/metrics.json")}
    assert {(run["transform"], run["split_seed"], run["seed"], run["fold"]) for run in runs.values()} == {
        (transform, seed, 1000 * seed + 2, 2) for transform in ("fft", "cwt") for seed in (0, 7)
    }
    assert len(runs) == 4
    settings = yaml.safe_load(Path("sweep/fft split.seed=7 seed=7002/.hydra/config.yaml").read_text())
    assert (
        settings["split"] | {"seed": 0}
        == compose(["experiment=compare", "split.folds=3", "split.fold=2"]).split.model_dump()
    )
    assert command("resume=sweep") == 0
    assert capsys.readouterr().out.count("done already") == 4


@pytest.mark.parametrize(
    ("experiment", "key", "values", "figure"),
    [
        ("learning_curve", "split.train_per_class", ["2", "4"], "overview"),
        ("image_size", "image.size", ["32", "64"], "settings"),
        pytest.param("width", "model.width", ["2", "16"], "settings", marks=pytest.mark.slow),
        pytest.param("depth", "model.depth", ["1", "2"], "settings", marks=pytest.mark.slow),
    ],
)
def test_a_study_ends_in_a_plot_of_both_arms_along_its_axis(
    experiment: str, key: str, values: list[str], figure: str, tones: Path, command: Command
) -> None:
    own = [text for text in check_command_line([f"experiment={experiment}"]) if text.startswith(f"{key}=")]
    numbers = [int(value) for value in own[0].partition("=")[2].split(",")]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 4
    small = ["split.folds=3", "split.fold=0", f"{key}={','.join(values)}", "trainer.max_epochs=1"]
    assert command(*on(tones, f"experiment={experiment}", *small, "hydra.sweep.dir=sweep")) == 0
    found = {(run.transform, run.settings[key]) for run in find_runs(Path("sweep"))[0]}
    assert found == {(arm, value) for arm in ("fft", "cwt") for value in values}
    svg = Path("sweep", "figures", f"{figure}.svg").read_text()
    assert all(f">{text}</text>" in svg for text in (key, "cwt", "fft", "fitting / s a run", *values))
    assert Path("sweep", "figures", f"{figure}.png").is_file()
    assert f"figures/{figure}.png" in Path("sweep", "report.md").read_text()


def test_a_corpus_too_small_for_the_protocol_is_told_once(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in sorted((tones / "low").iterdir())[3:]:
        file.unlink()
    assert command(*on(tones, "experiment=compare", "split.seed=0", "hydra.sweep.dir=sweep")) == 1
    told = capsys.readouterr()
    assert "epoch" not in told.out
    assert "sweep: 0 of 10 done, 10 failed" in told.out
    (line,) = [line for line in told.err.splitlines() if line.startswith("error: 10 runs")]
    assert "label 'low': has 3 groups" in line
    assert "lower split.folds" in line


def test_a_failing_run_leaves_the_others_and_is_named_at_the_end(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        command("-m", *on(tones, "model=original", "optimizer=sgd", "optimizer.lr=0.001,100", "hydra.sweep.dir=sweep"))
        == 1
    )
    told = capsys.readouterr()
    assert "training diverged" in told.err
    assert len(list(Path("sweep").glob("*/metrics.json"))) == 1


def test_no_validation_part_is_said_and_keeps_the_last_epoch(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*on(tones, "split.val_fraction=0", "hydra.run.dir=run")) == 0
    assert "no validation part" in capsys.readouterr().out
    assert metrics(Path("run"))["val_accuracy"] is None
    assert metrics(Path("run"))["n_val"] == 0
    assert not Path("run/checkpoints/best.ckpt").exists()


@pytest.mark.parametrize("transform", ["fft", "cwt"])
def test_the_original_setting_trains(transform: str, tones: Path, command: Command) -> None:
    small = ["model.width=10", "trainer.max_epochs=1"]
    chosen = ["data=folder", f"data.root={tones}", "experiment=original", f"transform={transform}", *small]
    assert command(*chosen, "hydra.run.dir=run") == 0
    found = metrics(Path("run"))
    assert found["n_val"] == 0
    settings = json.loads(Path("run/model/model.json").read_text())
    assert settings["image"]["amplitude_scale"] == {"fft": "decibel", "cwt": "signed"}[transform]


@pytest.mark.parametrize(
    "more",
    [
        ["optimizer=sgd", "scheduler=plateau"],
        ["trainer.patience=0.5", "trainer.best_by=val_accuracy"],
        ["augment=specaugment", "scheduler=constant", "image.standardize=none"],
        ["split=grouped", "data.group_pattern=kit(\\d)"],
        ["split=kfold", "split.fold=1", "split.folds=3"],
    ],
)
def test_other_choices_train_too(more: list[str], tones: Path, command: Command) -> None:
    assert command(*on(tones, *more, "hydra.run.dir=run")) == 0
    assert metrics(Path("run"))["test_accuracy"] is not None


def test_odd_recordings_are_used_and_broken_ones_left_out(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    tone = np.sin(np.arange(9000) * 0.1)
    good, bad = tones / "low", tones / "high"
    soundfile.write(good / "clip of 3 ms.wav", tone[:66], RATE)
    soundfile.write(good / "silent.flac", np.zeros(4000), RATE)
    soundfile.write(good / "44101.WAV", tone, 44101)
    soundfile.write(good / "größe.mp3", tone, RATE)
    (bad / "empty.wav").write_bytes(b"")
    (bad / "text.wav").write_text("not a recording")
    soundfile.write(bad / "nan.wav", np.where(np.arange(9000) == 5, np.nan, tone), RATE, subtype="FLOAT")
    soundfile.write(bad / "infinite.wav", np.where(np.arange(9000) == 5, np.inf, tone), RATE, subtype="FLOAT")
    assert command(*on(tones, "hydra.run.dir=run")) == 0
    told = capsys.readouterr().out
    skipped = pd.read_csv("run/skipped.csv")
    assert set(skipped["path"]) == {f"high/{name}.wav" for name in ("empty", "text", "nan", "infinite")}
    assert skipped["reason"].str.len().min() > 5
    assert "28 recordings" in told
    assert "4 files left out" in told
    assert command(*on(tones, "hydra.run.dir=strict", "data.on_unreadable=fail")) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        ("empty", ["data", "no recordings"]),
        ("missing", ["data", "does not exist", "data.root"]),
        ("one class", ["one label only"]),
        ("one file", ["low"]),
        ("two cases", ["Low", "low"]),
    ],
)
def test_a_corpus_that_cannot_be_learnt_is_one_line(
    spoil: str, parts: list[str], tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    if spoil == "empty":
        root.mkdir()
    elif spoil != "missing":
        write_tones(root)
    if spoil == "one class":
        for file in (root / "high").iterdir():
            file.unlink()
    if spoil == "one file":
        for file in sorted((root / "low").iterdir())[1:]:
            file.unlink()
    if spoil == "two cases":
        (root / "more" / "Low").mkdir(parents=True)
        (root / "low" / "kit0_0.wav").rename(root / "more" / "Low" / "a.wav")
    assert command(*on(root, "hydra.run.dir=run")) == 1
    told = capsys.readouterr()
    assert "epoch" not in told.out
    (line,) = told.err.splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


def test_a_run_folder_that_cannot_be_written_is_one_line(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert command(*on(tones, f"hydra.run.dir={tmp_path}/file/run")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "file" in line
    assert "can be written" in line


def test_a_store_that_cannot_be_written_is_one_line(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    for root in (tmp_path / "file", tmp_path / "file" / "cache"):
        assert command(*on(tones, f"store.root={root}", "hydra.run.dir=run")) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {root}: ")
        assert line.endswith("set store.root to a folder elsewhere")


def test_the_configuration_says_what_the_budget_comes_to(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["data=folder", f"data.root={tones}"]  # 16 of 24 to learn from: 120 steps, of one batch each
    assert command("--cfg", "job", *chosen) == 0
    told = capsys.readouterr().out
    assert yaml.safe_load(told)["trainer"]["max_steps"] == "auto"
    assert "# trainer: 120 steps to train: 120 epochs of 1 batch, for 16 recordings to learn from" in told
    assert command("--cfg", "job", *chosen, "trainer.max_epochs=7") == 0
    assert "# trainer: 7 steps to train: 7 epochs of 1 batch" in capsys.readouterr().out
    Path("empty").mkdir()
    assert command("--cfg", "job", "data=folder", "data.root=empty") == 0
    assert "# trainer: how many steps there are cannot be said yet: empty" in capsys.readouterr().out
    assert command("--cfg", "job") == 0
    assert "these sounds are made by the first run" in capsys.readouterr().out
    assert not Path("outputs/cache/synthetic").exists()


def test_a_damaged_checkpoint_is_one_line(tones: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run/checkpoints").mkdir(parents=True)
    Path("run/checkpoints/last.ckpt").write_bytes(b"no checkpoint")
    assert command(*on(tones, "hydra.run.dir=run")) == 1
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"]])
def test_help_and_configuration_answer_at_once(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['train.py', *{arguments}]; import train; train.main();"
        "assert not {'torch', 'pytorch_lightning', 'matplotlib'} & set(sys.modules)"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "decibel_range" in done.stdout
    assert time.monotonic() - started < 30  # of a busy machine; the README's figure is 2 s
