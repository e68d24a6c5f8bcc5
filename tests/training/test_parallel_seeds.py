"""Runs that are trained as one, against the same runs one after the other."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from pytorch_lightning import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from audioid.classifier import AudioClassifier
from audioid.comparison.records import find_runs
from audioid.config import check_command_line, compose
from audioid.errors import AudioidError
from audioid.schema import FREE_ON_RESUME
from audioid.training.parallel import run as parallel_run
from audioid.training.parallel.callbacks import EachRun
from audioid.training.run import run as run_alone
from audioid.training.run_folder import Plan
from tests.conftest import Command, Ship

SMALL = ["model.width=4", "image.size=32", "data.batch_size=6", "trainer.accelerator=cpu"]
STEPS = ["optimizer=sgd", "optimizer.lr=0.05", "trainer.max_epochs=1"]  # by the gradient itself, and not by its sign
CHANGING = {"seconds", "commit", "peak_memory_mib", "decode_ms_per_file", "transform_ms_per_clip", "parallel_seeds"}


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than these runs."""
    monkeypatch.setattr("audioid.comparison.report.compare", lambda *_, **__: "")


def both_ways(tones: Path, *chosen: str, seeds: int = 2) -> None:
    """The same runs in the folders `alone` and `together`."""
    plans = []
    for seed in range(seeds):
        overrides = ["data=folder", f"data.root={tones}", *SMALL, *chosen, f"seed={seed}"]
        plans.append(Plan(compose(overrides), Path(f"together/seed={seed}"), overrides))
        run_alone(plans[-1].settings, Path(f"alone/seed={seed}"), overrides)
    assert parallel_run.run(plans) == [None] * seeds


def pairs() -> list[tuple[Path, Path]]:
    """The folders of each run, alone and together."""
    alone, together = (sorted(path.parent for path in Path(way).glob("*/.hydra")) for way in ("alone", "together"))
    assert [path.name for path in alone] == [path.name for path in together]
    return list(zip(alone, together, strict=True))


def checkpoint(run: Path, name: str = "last") -> dict[str, Any]:
    found = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    assert isinstance(found, dict)
    found.get("course", {}).pop("seconds", None)  # which no two runs have alike
    return found


def metrics(run: Path) -> dict[str, Any]:
    found = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def agree(one: object, other: object, tolerance: float) -> None:
    """Plain values, and tensors of them, that are the same but for rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for key in one:
            agree(one[key], other[key], tolerance)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        assert len(one) == len(other)
        for each, its in zip(one, other, strict=True):
            agree(each, its, tolerance)
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        assert one.stride() == other.stride()
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    elif isinstance(one, float):
        assert other == pytest.approx(one, rel=tolerance, abs=tolerance)
    else:
        assert one == other


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "chosen",
    [
        ["augment=none", "model.dropout=0"],
        ["augment=auto", "model.dropout=0.5", "model.blocks=1", "transform=both"],
        ["augment=full", "augment.p=0.5"],
        ["model=original", "image.standardize=pixel", "split.val_fraction=0"],
        ["trainer.gradient_clip_val=0.5", "trainer.accumulate_grad_batches=2"],
        ["model.pretrained=weights/fft"],
    ],
    ids=lambda chosen: chosen[0],
)
def test_a_first_epoch_ends_in_the_checkpoints_of_the_runs_alone(
    chosen: list[str], tones: Path, at_work: None, ship: Ship
) -> None:
    """Weights, running statistics and the state of the optimizer after three steps, with all that is drawn."""
    ship("fft", "model.width=4", "image.size=32")
    both_ways(tones, *STEPS, *chosen)
    weights = []
    for alone, together in pairs():
        agree(checkpoint(alone), checkpoint(together), 1e-4)
        if (alone / "checkpoints" / "best.ckpt").exists():
            agree(checkpoint(alone, "best"), checkpoint(together, "best"), 1e-4)
        weights.append(checkpoint(together)["state_dict"]["network.1.head.weight"])
    assert not torch.equal(weights[0], weights[1])


def test_rows_that_are_not_kept_in_memory_are_the_same(
    tones: Path, at_work: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audioid.data.datamodule.IN_MEMORY", 0)
    both_ways(tones, *STEPS)
    for alone, together in pairs():
        agree(checkpoint(alone), checkpoint(together), 1e-4)


def test_each_run_leaves_the_record_that_it_leaves_alone(tones: Path, at_work: None) -> None:
    both_ways(tones, "trainer.max_epochs=8", "optimizer.lr=0.01", "logger=[tensorboard,csv]")
    for alone, together in pairs():
        files = [
            sorted(str(path.relative_to(run)) for path in run.rglob("*") if not path.name.startswith("events"))
            for run in (alone, together)
        ]
        assert files[0] == files[1]
        for name in (".hydra/config.yaml", ".hydra/overrides.yaml", "skipped.csv"):
            assert (alone / name).read_text() == (together / name).read_text()
        found = metrics(together)
        assert list(found) == list(metrics(alone))
        lasting = [{key: metrics(run)[key] for key in found.keys() - CHANGING} for run in (alone, together)]
        agree(lasting[0], lasting[1], 1e-4)
        for table in ("curves.csv", "predictions.csv", "csv/version_0/metrics.csv"):
            pd.testing.assert_frame_equal(pd.read_csv(alone / table), pd.read_csv(together / table), rtol=1e-3)
        one, other = (np.load(run / "features.npy") for run in (alone, together))
        np.testing.assert_allclose(one, other, rtol=0.02, atol=0.02)
        scalars = []
        for run in (alone, together):
            events = EventAccumulator(str(run)).Reload()
            tags = events.Tags()
            content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
            scalars.append(
                {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in sorted(tags["scalars"])}
                | {"images": tags["images"], "audio": tags["audio"]}
                | {"choices": sorted(HParamsPluginData.FromString(content).session_start_info.hparams)}
            )
        agree(scalars[0], scalars[1], 1e-3)
        assert (metrics(alone)["parallel_seeds"], found["parallel_seeds"]) == (1, 2)
    assert max(metrics(run)["test_accuracy"] for _, run in pairs()) > 0.7
    runs, left_out = find_runs(Path("together"))
    assert (len(runs), left_out) == (2, [])
    assert len({tuple(run.settings.items()) for run in [*runs, *find_runs(Path("alone"))[0]]}) == 1


def test_each_run_ends_early_by_its_own_validation(tones: Path, at_work: None) -> None:
    chosen = ["trainer.max_epochs=40", "trainer.patience=0.05", "optimizer.lr=0.03", "trainer.best_by=val_accuracy"]
    both_ways(tones, *chosen, seeds=4)
    epochs = []
    for alone, together in pairs():
        agree(checkpoint(alone, "best"), checkpoint(together, "best"), 1e-3)
        agree(checkpoint(alone), checkpoint(together), 1e-3)
        assert checkpoint(together)["course"]["ended_early"]
        assert metrics(together)["epochs"] == metrics(alone)["epochs"] == len(pd.read_csv(together / "curves.csv"))
        epochs.append(metrics(together)["epochs"])
    assert len(set(epochs)) > 1
    assert max(epochs) < 40


def test_a_run_goes_on_for_longer_by_itself(tones: Path, command: Command) -> None:
    both_ways(tones, "trainer.max_epochs=2")
    for way in ("alone", "together"):
        assert command(f"resume='{way}/seed=1'", "trainer.max_epochs=4") == 0
    (_, (alone, together)) = pairs()
    assert metrics(together)["earlier_max_epochs"] == [2]
    agree(checkpoint(alone), checkpoint(together), 1e-3)


def test_a_run_that_diverges_fails_alone(
    tones: Path, command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = parallel_run.with_other_seed

    def spoilt(classifier: AudioClassifier, settings: Any, prepared: Any) -> AudioClassifier:
        made = build(classifier, settings, prepared)
        if settings.seed == 1:
            torch.nn.init.constant_(next(made.network.parameters()), torch.nan)
        return made

    chosen = ["-m", "data=folder", f"data.root={tones}", *SMALL, *STEPS, "seed=0,1,2", "trainer.parallel_seeds=3"]
    assert command(*chosen, "hydra.sweep.dir=whole") == 0
    monkeypatch.setattr(parallel_run, "with_other_seed", spoilt)
    assert command(*chosen, "hydra.sweep.dir=sweep") == 1
    assert "optimizer.lr: training diverged" in Path("sweep/fft seed=1/error.txt").read_text()
    assert not Path("sweep/fft seed=1/metrics.json").exists()
    for name in ("fft seed=0", "fft seed=2"):
        assert not Path("sweep", name, "error.txt").exists()
        agree(checkpoint(Path("whole", name)), checkpoint(Path("sweep", name)), 0)
    assert "sweep: 2 of 3 done, 1 failed" in capsys.readouterr().out


def test_a_sweep_that_was_stopped_trains_what_is_not_done(
    tones: Path, command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of five seeds, three at a time: the second lot is stopped, and begins again without the first."""
    chosen = ["data=folder", f"data.root={tones}", *SMALL, "trainer.max_epochs=3", "transform=cwt"]
    begun = EachRun.on_train_epoch_start

    def stop(self: EachRun, trainer: Trainer, *rest: Any) -> None:
        begun(self, trainer, *rest)
        if len(self.runs) == 2 and trainer.current_epoch == 1:
            raise SystemExit(143)

    with monkeypatch.context() as during:
        during.setattr(EachRun, "on_train_epoch_start", stop)
        assert command(*chosen, "seed=3", "trainer.parallel_seeds=3", "hydra.sweep.dir=three") == 0
        five = ["-m", *chosen, "seed=0,1,2,3,4", "trainer.parallel_seeds=3", "hydra.sweep.dir=five"]
        assert command(*five) == 143
    told = capsys.readouterr()
    assert "Stopped in epoch 2; these seeds begin again" in told.err
    assert "resume='five'" in told.err
    assert {path.parent.name for path in Path("three").glob("*/metrics.json")} == {
        "cwt seed=3", "cwt seed=4", "cwt seed=5"
    }  # fmt: skip
    done = {path: path.read_bytes() for path in Path("five").glob("*/metrics.json")}
    assert {path.parent.name for path in done} == {"cwt seed=0", "cwt seed=1", "cwt seed=2"}
    assert command("resume=five") == 0
    assert capsys.readouterr().out.count("done already") == 3
    assert all(path.read_bytes() == content for path, content in done.items())
    assert [metrics(Path(f"five/cwt seed={seed}"))["parallel_seeds"] for seed in range(5)] == [3, 3, 3, 2, 2]
    # The same seeds in other company.
    agree(checkpoint(Path("three/cwt seed=4")), checkpoint(Path("five/cwt seed=4")), 1e-3)


def test_names_and_progress_are_those_of_the_sweep_without_it(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["data=folder", f"data.root={tones}", *SMALL, "trainer.max_epochs=1", "seed=0,1", "transform=fft,cwt"]
    assert command("-m", *chosen, "trainer.parallel_seeds=2", "hydra.sweep.dir=sweep") == 0
    for run in ("fft seed=0", "fft seed=1", "cwt seed=0", "cwt seed=1"):
        transform, seed = run.split(" seed=")
        config, overrides = (yaml.safe_load(Path("sweep", run, ".hydra", f"{name}.yaml").read_text())
                             for name in ("config", "overrides"))  # fmt: skip
        assert config == compose(overrides).model_dump()
        assert {f"seed={seed}", f"transform={transform}"} < set(overrides)
        assert len(overrides) == len(chosen)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("sweep: ")]
    assert [line.partition(" done")[0] for line in lines] == [f"sweep: {n} of 4" for n in (0, 2, 4)]


def test_a_batch_of_training_and_validation_is_tried(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["data=folder", f"data.root={tones}", *SMALL, "trainer.fast_dev_run=true", "trainer.parallel_seeds=2"]
    assert command(*chosen, "hydra.sweep.dir=sweep") == 0
    assert "nothing was recorded" in capsys.readouterr().out
    assert not list(Path("sweep").glob("*/checkpoints"))


@pytest.mark.parametrize(
    ("chosen", "seeds"),
    [
        (["trainer.parallel_seeds=3"], "0,1,2"),
        (["trainer.parallel_seeds=2", "seed=7", "transform=fft,cwt", "-m"], "7,8"),
        (["trainer.parallel_seeds=2", "seed=5,6,7", "-m"], "5,6,7"),
    ],
)
def test_seeds_are_those_from_the_chosen_one_on_unless_it_says_more(chosen: list[str], seeds: str) -> None:
    found = check_command_line(chosen)
    assert f"seed={seeds}" in found
    assert {"-m", "--multirun"} & set(found)
    assert "trainer.parallel_seeds".startswith(FREE_ON_RESUME)


@pytest.mark.parametrize(
    ("chosen", "key"),
    [
        (["scheduler=plateau"], "scheduler"),
        (["model=custom", "model.target=torch.nn.Linear"], "model"),
        (["trainer.devices=2"], "trainer.devices"),
        (["trainer=ddp"], "trainer.devices"),
        (["trainer.profiler=simple"], "trainer.profiler"),
        (["trainer.precision=16-mixed"], "trainer.precision"),
    ],
)
def test_what_cannot_be_trained_so_is_told(chosen: list[str], key: str) -> None:
    with pytest.raises(AudioidError, match=rf"^trainer\.parallel_seeds: .*; change {key}, or leave it at 1$"):
        check_command_line([*chosen, "trainer.parallel_seeds=2"])


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        (["-m", "trainer.parallel_seeds=2,3"], "is one number"),
        (["trainer.parallel_seeds=[0,3]"], "is one number"),
        (["trainer.parallel_seeds=0"], "is one number"),
        (["experiment=compare", "trainer.parallel_seeds=2"], "no two runs of this sweep differ in seed alone"),
        (["-m", "seed=0,1", "split.seed=${seed}", "trainer.parallel_seeds=2"], "no two runs"),
        (["-m", "seed=0,1", "hydra/sweeper=basic", "trainer.parallel_seeds=2"], "is for audioid's own sweeper"),
    ],
)
def test_what_would_not_be_trained_at_once_is_told(chosen: list[str], problem: str) -> None:
    with pytest.raises(AudioidError, match=rf"^trainer\.parallel_seeds: {problem}"):
        check_command_line(chosen)


def test_a_single_run_goes_on_by_itself(tones: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("data=folder", f"data.root={tones}", *SMALL, *STEPS, "hydra.run.dir=run") == 0
    assert command("resume=run", "trainer.parallel_seeds=2", "trainer.max_epochs=2") == 1
    assert "trainer.parallel_seeds: a run goes on by itself" in capsys.readouterr().err
