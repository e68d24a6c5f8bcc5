"""What the loggers are told can be read back by their own readers."""

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from matplotlib.figure import Figure
from pytorch_lightning.loggers import Logger
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.backend_context import Context

from audioid.training.loggers import log_figure, log_sound, opened

CURVES = ("loss/train", "loss/val", "accuracy/train", "accuracy/val")
SCORES = ("test/accuracy", "test/macro_f1", "test/loss", "val/accuracy", "val/loss")
WAVE = np.linspace(-1, 1, 800, dtype=np.float32)


def report(loggers: list[Logger], chosen: dict[str, bool | int | float | str]) -> None:
    """As a run does."""
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    for logger in loggers:
        logger.log_hyperparams(chosen)
        for epoch in (1, 2):
            logger.log_metrics(dict.fromkeys(CURVES, epoch / 10) | {"epoch": epoch - 1}, epoch)
        logger.finalize("success")  # as Lightning does after each stage
        logger.log_metrics(dict.fromkeys(SCORES, 0.5), 2)
        log_figure(logger, "test/confusion", figure, 2)
        log_sound(logger, "examples/kick: a?", WAVE, 8000)


def test_tensorboard_has_one_file_with_everything(tmp_path: Path) -> None:
    with opened(["tensorboard"], tmp_path) as loggers:
        report(loggers, {"seed": 0})
    assert len(list(tmp_path.iterdir())) == 1
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "audio": 0}).Reload()
    assert [(event.step, event.value) for event in events.Scalars("training/loss/val")] == [
        (1, pytest.approx(0.1)),
        (2, pytest.approx(0.2)),
    ]
    assert set(events.Tags()["scalars"]) == {*SCORES, *(f"training/{name}" for name in CURVES)}
    assert events.Tags()["images"] == ["test/confusion"]
    assert events.Tags()["audio"] == ["examples/kick: a?"]


def test_hparams_has_every_key_of_any_run_first_what_differs_and_the_scores_first(tmp_path: Path) -> None:
    rows: dict[str, dict[str, bool | int | float | str]] = {
        "fft": {"transform": "fft", "seed": 0, "trainer.max_epochs": 3, "transform.window": "hann"},
        "cwt": {
            "transform": "cwt",
            "seed": 0,
            "trainer.max_epochs": 3,
            "transform.norm": "l2",
            "audio.remove_dc": True,
        },
    }
    for name, chosen in rows.items():
        with opened(["tensorboard"], tmp_path / name) as loggers:
            report(loggers, chosen)
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(tmp_path))
    context = Context(TBContext(data_provider=provider))
    request = RequestContext()
    found = context.experiment_from_metadata(request, "", True, context.hparams_metadata(request, ""), [])
    names = [info.name for info in found.hparam_infos]
    assert names[0] == "transform"
    assert set(names) == set(rows["fft"]) | set(rows["cwt"])
    measures = [info.name.tag for info in found.metric_infos]
    assert measures[:3] == ["test/accuracy", "test/loss", "test/macro_f1"]
    assert set(SCORES) < set(measures)


def test_several_loggers_at_once_and_csv_has_the_numbers(tmp_path: Path) -> None:
    with opened(["tensorboard", "csv"], tmp_path) as loggers:
        report(loggers, {"seed": 0, "model.width": 8})
    table = pd.read_csv(tmp_path / "csv/version_0/metrics.csv")
    assert table.set_index("step").loc[1, "loss/val"] == pytest.approx(0.1)
    assert table["test/accuracy"].dropna().tolist() == [0.5]
    assert "model.width: 8" in (tmp_path / "csv/version_0/hparams.yaml").read_text()
    assert list(tmp_path.glob("events*"))


def test_mlflow_keeps_all_in_a_store_beside_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("fft seed=0", "cwt seed=0"):
        with opened(["mlflow"], tmp_path / name) as loggers:
            report(loggers, {"seed": 0})
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'audioid'")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {"fft seed=0", "cwt seed=0"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        assert run.data.params == {"seed": "0"}
        assert run.data.metrics["test/accuracy"] == 0.5
        assert [point.value for point in client.get_metric_history(run.info.run_id, "loss/val")] == [0.1, 0.2]
    (sound, _) = (tmp_path / "mlflow").rglob("*.wav")
    np.testing.assert_allclose(soundfile.read(sound)[0], WAVE, atol=1e-4)
    assert len(list((tmp_path / "mlflow").rglob("test/confusion.png"))) == 2


def test_wandb_stays_offline_in_the_run_s_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for name in ("one", "two"):
        with opened(["wandb"], tmp_path / name) as loggers:
            report(loggers, {"seed": 0})
        assert wandb.run is None  # else the next run of a sweep would go on in it
        (media,) = (tmp_path / name / "wandb").glob("offline-run-*/files/media")
        assert len(list(media.rglob("*.png"))) == 1
        assert len(list(media.rglob("*.wav"))) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_a_failure_is_told_to_the_loggers(tmp_path: Path) -> None:
    told = []

    def note(logger: Logger, status: str) -> None:
        told.append(status)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audioid.training.loggers.close", note)
        with pytest.raises(ValueError, match="mine"), opened(["csv"], tmp_path):
            raise ValueError("mine")
    assert told == ["failed"]


def test_a_logger_that_hangs_after_a_signal_does_not_keep_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that strikes while a writer holds its lock leaves that locked."""
    lock = threading.Lock()
    monkeypatch.setattr("audioid.training.loggers.PATIENCE", 0.1)
    monkeypatch.setattr("audioid.training.loggers.close", lambda *_: lock.acquire())
    lock.acquire()
    with pytest.raises(SystemExit), opened(["csv"], tmp_path):
        raise SystemExit(143)
    lock.release()
