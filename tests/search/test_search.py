"""Searches on real files: trials, their end, what judges, and what is left when they are killed."""

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pandas as pd
import pytest

from audioid.comparison.records import find_runs
from tests.conftest import Command, write_tones
from tests.test_program import interrupted, stopped_in_the_sixth_epoch

ROOT = Path(__file__).parents[2]
TRAIN = [sys.executable, "-u", str(ROOT / "train.py")]
SPACE = ["model.width=4", "model.depth=choice(2,3)", "model.dropout=0.1"]
PROTOCOL = ["split.folds=3", "split.seed=1", "split.fold=2", "augment=none"]
TINY = ["trainer.max_epochs=2", "image.size=32", "data.batch_size=8", "trainer.accelerator=cpu"]

GO_ON = "Go on with the whole sweep: python train.py resume='sweep'"


def searching(folder: Path, *more: str) -> list[str]:
    return ["experiment=tune", "data=folder", f"data.root={folder}", *SPACE, *PROTOCOL, *TINY, *more]


def table(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "search" / "trials.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def settings_of(run: Path) -> dict[str, str]:
    _, _, chosen = run.name.partition(" ")
    assert chosen
    found = (run / ".hydra" / "overrides.yaml").read_text(encoding="utf-8")
    return dict(line.removeprefix("- ").strip("'").split("=", 1) for line in found.splitlines())


def test_a_search_ends_in_a_comparison_of_the_best(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        command(*searching(tones, "tune.trials=2", "hydra.sweep.dir=sweep", "optimizer.lr=interval(0.001,0.01)")) == 0
    )
    told = capsys.readouterr().out
    begun = re.findall(r"^search: trial 00(\d) of (fft|cwt): (.+)$", told, re.M)
    ended = re.findall(r"^search: (fft|cwt), [12] of 2 trials; trial 00(\d): val_loss ([\d.]+); best", told, re.M)
    assert re.search(r"^best trial +00\d +00\d$", told, re.M)
    progress = [line for line in told.splitlines() if line.startswith("sweep: ")]
    assert [line.partition(" done")[0] for line in progress] == [f"sweep: {n} of 2" for n in range(3)]
    assert told.index("the best of each is now judged") < told.index(progress[0])  # trials are no runs of the sweep
    assert re.search(r"^(undecided|no difference|\w+ is better)", told, re.M)
    sweep = Path("sweep")

    rows = table(sweep)
    assert [(row["transform"], row["trial"]) for row in rows] == [
        (arm, str(n)) for arm in ("fft", "cwt") for n in range(2)
    ]
    drawn = {(arm, number): dict(text.split("=") for text in values.split()) for number, arm, values in begun}
    for row in rows:
        found = {key.rpartition(".")[2]: value for key, value in row.items() if "." in key and value}
        shown = drawn.pop((row["transform"], row["trial"]))
        assert shown.keys() == found.keys()
        assert {"lr", "depth", "dropout"} & shown.keys() == {"lr", "depth"}  # dropout is not searched here
        assert float(shown["lr"]) == pytest.approx(float(found["lr"]), rel=0.005)
        assert (shown["depth"], shown.get("wavelet")) == (found["depth"], found.get("wavelet"))
    assert not drawn
    losses = [(row["transform"], row["trial"], f"{float(row['val_loss']):.4g}") for row in rows]
    assert sorted(ended) == sorted(losses)
    found = json.loads((sweep / "search" / "search.json").read_text())
    for arm, each in found["transforms"].items():
        values = [float(row["val_loss"]) for row in rows if row["transform"] == arm]
        assert each["history"] == [{"state": "complete", "value": pytest.approx(value)} for value in values]
        assert each["best"]["settings"]["model.depth"] in (2, 3)  # a number, though drawn from a choice
        assert each["importances"] == {}  # which two trials do not show
    assert "<h2>Search</h2>" in (sweep / "report.html").read_text()
    runs, left_out = find_runs(sweep)
    assert {(run.transform, run.split_seed, run.fold) for run in runs} == {("fft", 1, 2), ("cwt", 1, 2)}
    assert not left_out
    for arm, each in found["transforms"].items():
        curves = {
            n: pd.read_csv(sweep / "trials" / f"{arm} {n:03d}" / "curves.csv")["val_loss"].min() for n in range(2)
        }
        best = min(curves, key=lambda n: curves[n])
        assert (each["best"]["trial"], each["best"]["val_loss"]) == (best, pytest.approx(curves[best], rel=1e-4))
        judged = settings_of(next(run.folder for run in runs if run.transform == arm))
        trial = settings_of(sweep / "trials" / f"{arm} {best:03d}")
        assert (trial.pop("split.seed"), judged.pop("split.seed")) == ("0", "1")
        assert judged == trial
    for form in ("png", "svg", "pdf"):
        assert (sweep / "search" / f"history.{form}").stat().st_size > 1000
    assert list((sweep / "search").glob("events.out.tfevents.*"))
    for trial_folder in (sweep / "trials").iterdir():
        assert not {"metrics.json", "predictions.csv", "error.txt", "model"} & {
            file.name for file in trial_folder.iterdir()
        }

    before = {file: file.read_bytes() for file in sweep.glob("**/*.json") if "comparison" not in file.name}
    assert command("resume=sweep") == 0
    assert before == {file: file.read_bytes() for file in sweep.glob("**/*.json") if "comparison" not in file.name}


@pytest.mark.slow
def test_test_recordings_have_no_say(tones: Path, command: Command) -> None:
    """Trials are the same whatever the labels of the test part, and which is best."""
    parts = {number: ("train", "train", "val", "test")[number % 4] for number in range(12)}
    files = {(label, n): tones / label / f"kit{n % 4}_{n}.wav" for label in ("high", "low") for n in range(12)}
    values = []
    for name, swaps in (("right", False), ("wrong", True)):
        lines = [
            f"{file},{ ({'high': 'low', 'low': 'high'}[label] if swaps and parts[n] == 'test' else label) },{parts[n]}"
            for (label, n), file in files.items()
        ]
        Path(f"{name}.csv").write_text("\n".join(["path,label,split", *lines]))
        data = [
            "data=manifest",
            f"data.file={name}.csv",
            "split=given",
            "split.group=index",
            "split.fold=0",
            "split.seed=0",
        ]
        chosen = ["experiment=tune", *SPACE, *TINY, *data, "augment=none", "tune.trials=2", f"hydra.sweep.dir={name}"]
        assert command(*chosen) == 0
        values.append(table(Path(name)))
    accuracies = [
        [json.loads(file.read_text())["test_accuracy"] for file in sorted(Path(name).glob("*/metrics.json"))]
        for name in ("right", "wrong")
    ]
    assert values[0] == values[1]
    assert accuracies[0] == [pytest.approx(1 - each) for each in accuracies[1]]


def test_a_trial_that_falls_behind_is_given_up_and_is_no_failure(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = searching(tones, "transform=fft", "trainer.max_epochs=9", "hydra.sweep.dir=sweep")
    assert command(*begin, "tune.trials=1") == 0
    sweep = Path("sweep")
    (sweep / "search" / "search.json").unlink()  # as if the search had not ended, and nothing been judged
    shutil.rmtree(next(sweep.glob("*/metrics.json")).parent)
    study = optuna.load_study(study_name="fft", storage=f"sqlite:///{sweep}/search/trials.sqlite3")
    for _ in range(9):  # trials that no tiny network comes near to
        trial = study.ask(study.trials[0].distributions)
        for epoch in range(1, 10):
            trial.report(0.001, epoch)
        study.tell(trial, 0.001)
    assert command(*begin, "tune.trials=11") == 0
    last = table(sweep)[-1]
    assert (last["trial"], last["state"]) == ("10", "pruned")
    told = capsys.readouterr().out
    given_up = (
        rf"search: fft, 11 of 11 trials; trial 010: given up after {last['epochs']} epochs, val_loss [\d.]+; best 0.001"
    )
    assert re.search(given_up, told, re.M)
    assert 3 <= int(last["epochs"]) < 9  # not in the first third
    assert (sweep / "search" / "importance.png").stat().st_size > 1000
    curves = pd.read_csv(sweep / "trials" / "fft 010" / "curves.csv")
    assert len(curves) == int(last["epochs"])
    assert json.loads((sweep / "trials" / "fft 010" / "trial.json").read_text())["state"] == "pruned"
    runs, left_out = find_runs(sweep)
    assert (len(runs), left_out) == (1, [])


def test_a_trial_that_diverges_is_one_of_the_trials(
    tones: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = ["model=original", "optimizer=sgd", "optimizer.lr=choice(1e-3,100)", "model.width=8", "transform=fft"]
    arguments = [
        text
        for text in searching(tones, "tune.trials=6", "trainer.max_epochs=6", "hydra.sweep.dir=sweep")
        if "model." not in text
    ]
    assert command(*arguments, *wild) == 0
    states = {(float(row["optimizer.lr"]), row["state"]) for row in table(Path("sweep"))}
    assert (100.0, "pruned") in states
    assert (0.001, "complete") in states
    assert re.search(r"search: fft, \d of 6 trials; trial 00\d: diverged after \d epochs", capsys.readouterr().out)


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_to_the_end_of_an_unbroken_one(tmp_path: Path) -> None:
    chosen = searching(write_tones(tmp_path / "tones"), "tune.trials=2", "trainer.max_epochs=40")
    at_once = "from audioid.training import callbacks; callbacks.FIRST_AFTER = 0.0"  # else nothing is kept yet
    train = [
        sys.executable,
        "-u",
        "-c",
        f"{at_once}; import sys; from audioid.commands.train import main; sys.exit(main())",
    ]
    kills = [re.compile(r"^ +epoch +8/"), re.compile(r"^search: cwt, 1 of 2")]
    epochs = list[list[int]]()  # that each process tells of
    for sweep, moments in (("whole", [None]), ("broken", [*kills, None])):
        command = [*train, *chosen, f"hydra.sweep.dir={sweep}"]
        for moment in moments:
            with subprocess.Popen(
                command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
            ) as run:
                assert run.stdout is not None
                epochs.append([])
                for line in run.stdout:
                    epochs[-1] += [int(epoch) for epoch in re.findall(r"^ +epoch +(\d+)/", line)]
                    if moment and moment.search(line):
                        os.killpg(run.pid, signal.SIGKILL)
            assert run.returncode == (-signal.SIGKILL if moment else 0)
            command = [*train, f"resume={sweep}"]
    assert epochs[1][-1] == 8
    assert epochs[2][0] > 1  # from the checkpoint
    assert len(list((tmp_path / "broken" / "trials").iterdir())) == 4
    whole, broken = table(tmp_path / "whole"), table(tmp_path / "broken")
    assert whole == broken
    assert all(math.isfinite(float(row["val_loss"])) for row in broken)


@pytest.mark.parametrize("module", ["audioid.search.sweep", "audioid.search.trial"])
def test_ctrl_c_while_a_search_or_its_trial_loads_tells_how_to_go_on(module: str, tones: Path, tmp_path: Path) -> None:
    chosen = searching(tones, "hydra.sweep.dir=sweep")
    status, _, errors = interrupted(module, ROOT / "train.py", *chosen, folder=tmp_path)
    assert (status, errors.splitlines()) == (130, [GO_ON, "Stopped."])


@pytest.mark.slow
def test_ctrl_c_in_a_trial_tells_to_go_on_with_the_search_and_not_with_the_trial(tones: Path, tmp_path: Path) -> None:
    chosen = searching(tones, "trainer.max_epochs=60", "hydra.sweep.dir=sweep")
    status, told = stopped_in_the_sixth_epoch(*chosen, folder=tmp_path)
    assert status == 130
    stopped, go_on = told.splitlines()[-2:]
    assert re.fullmatch(r"Stopped in epoch \d+", stopped)
    assert go_on == GO_ON


@pytest.mark.slow
def test_two_processes_share_a_search(tmp_path: Path) -> None:
    tones = write_tones(tmp_path / "tones")
    command = [*TRAIN, *searching(tones, "tune.trials=4", "trainer.max_epochs=10", "hydra.sweep.dir=sweep")]
    processes = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    lines = [re.findall(r"^search: trial 00(\d) of (fft|cwt):", each, re.M) for each in told]
    assert sorted(lines[0] + lines[1]) == [(str(number), arm) for number in range(4) for arm in ("cwt", "fft")]
    assert all(lines)
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == 2


@pytest.mark.slow
def test_other_launchers_run_trials_too(tones: Path, tmp_path: Path) -> None:
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "tune.at_once=2"]
    command = [*TRAIN, *searching(tones, "tune.trials=2", "hydra.sweep.dir=sweep", *launcher)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {row["state"] for row in table(tmp_path / "sweep")} == {"complete"}
    for arm in ("fft", "cwt"):  # who writes which line
        assert re.search(rf"^{arm} 00[01] \|   epoch +1/2 ", done.stdout, re.M)
    assert not re.search(r"^  epoch", done.stdout, re.M)
