import io
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from google.protobuf import text_format  # type: ignore[import-untyped]
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import precision_score, recall_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.util.tensor_util import make_ndarray

from audioid.comparison.records import Run, find_runs
from audioid.comparison.showing import Shown
from audioid.comparison.study import studies
from audioid.comparison.tensorboard import write_board
from audioid.data.mp3 import encode_mp3

CLASSES = ["a", "b/c", "d"]
N_TEST = 30
TABLES: dict[str, int] = {"scalars": 0, "images": 0, "audio": 0, "tensors": 0}

Write = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> Write:
    def write(transform: str, split: int, *, width: int = 8, root: str = "abc", is_bare: bool = False) -> Path:
        rng = np.random.default_rng([len(transform) + ord(transform[0]), split, width])
        folder = tmp_path / "sweep" / f"{transform} width={width} split={split} {root}"
        labels = np.arange(N_TEST) % len(CLASSES)
        probabilities = rng.dirichlet(np.ones(len(CLASSES)), N_TEST) + 0.5 * np.eye(len(CLASSES))[labels]
        probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).round(6)
        predicted = probabilities.argmax(axis=1)
        metrics: dict[str, Any] = {
            "transform": transform, "seed": 0, "split_seed": split, "fold": None, "classes": CLASSES,
            "n_train": 60, "n_val": 20, "n_test": N_TEST, "train_accuracy": 1.0,
            "val_accuracy": float(rng.random()), "val_loss": 0.5, "test_accuracy": float((predicted == labels).mean()),
            "test_macro_f1": float(rng.random()), "test_loss": float(rng.random()),
            "seconds": {"total": 9, "fit": split}, "parameters": 1000 * width, "index_digest": root, "commit": None,
        }  # fmt: skip
        (folder / ".hydra").mkdir(parents=True)
        config = {"transform": {"name": transform}, "model": {"width": width}}
        (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / "metrics.json").write_text(json.dumps(metrics))
        if is_bare:
            return folder
        table = pd.DataFrame({"path": [f"{number:02}\t.wav" for number in range(N_TEST)]})
        table["label"], table["predicted"] = np.array(CLASSES)[[labels, predicted]]
        table["group"] = ""
        table[CLASSES] = probabilities
        table.to_csv(folder / "predictions.csv", index=False)
        curves = pd.DataFrame({"epoch": [1, 2, 3], **{f"{p}_{c}": rng.random(3) for p in ("train", "val")
                               for c in ("loss", "accuracy")}, "lr": 0.1})  # fmt: skip
        curves.to_csv(folder / "curves.csv", index=False)
        np.save(folder / "features.npy", rng.standard_normal((N_TEST, 5)).astype(np.float16))
        return folder

    return write


@pytest.fixture
def two_arms(write_run: Write, tmp_path: Path) -> Path:
    """A sweep of two arms over two splits."""
    for transform in ("cwt", "fft"):
        for split in (0, 1):
            write_run(transform, split)
    return tmp_path / "sweep"


def board(sweep: Path, **arguments: Any) -> EventAccumulator:
    """The page, written and read back."""
    figures, texts = arguments.pop("figures", {}), arguments.pop("texts", {})
    write_board(sweep, studies(find_runs(sweep)[0]), figures, texts, **arguments)
    return EventAccumulator(str(sweep / "comparison"), TABLES).Reload()


def scalars(page: EventAccumulator, tag: str) -> dict[int, float]:
    return {event.step: event.value for event in page.Scalars(tag)}


def pixels(page: EventAccumulator, tag: str) -> NDArray[np.uint8]:
    (event,) = page.Images(tag)
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))


def predictions(sweep: Path, arm: str) -> pd.DataFrame:
    return pd.concat(pd.read_csv(file) for file in sorted(sweep.glob(f"{arm} *split=*/predictions.csv")))


def one_colour(run: Run, paths: Sequence[str]) -> Mapping[str, Shown]:
    """Red pictures for one arm and larger blue ones for the other, but none of the class `d`."""
    size, colour = {"cwt": (10, [255, 0, 0]), "fft": (20, [0, 0, 255])}[run.transform]
    sound = encode_mp3(np.sin(np.arange(8000, dtype=np.float32)), 16000)
    picture = np.full((size, size, 3), colour, np.uint8)
    return {path: Shown(picture, sound) for path in paths if int(path[:2]) % 3 != 2}


def test_scores_are_the_means_over_runs(two_arms: Path) -> None:
    page = board(two_arms)
    for arm in ("cwt", "fft"):
        records = [json.loads(file.read_text()) for file in two_arms.glob(f"{arm} *split=*/metrics.json")]
        for tag, key in (("accuracy", "test_accuracy"), ("macro F1", "test_macro_f1"), ("loss", "test_loss")):
            expected = np.mean([record[key] for record in records])
            assert scalars(page, f"compare/{tag}/{arm}") == {0: pytest.approx(expected, rel=1e-6)}
        assert scalars(page, f"cost/parameters/{arm}") == {0: 8000}
        assert scalars(page, f"cost/fit seconds/{arm}") == {0: 0.5}


def test_a_swept_number_makes_a_curve_and_each_setting_a_score(write_run: Write, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for width in (8, 16, 128):
            write_run(transform, 0, width=width)
    page = board(tmp_path / "sweep")
    for transform in ("cwt", "fft"):
        found = scalars(page, f"compare/accuracy by model.width/{transform}")
        single = {width: scalars(page, f"compare/accuracy/{transform} width={width}")[0] for width in (8, 16, 128)}
        assert found == single
        record = json.loads((tmp_path / "sweep" / f"{transform} width=16 split=0 abc" / "metrics.json").read_text())
        assert found[16] == pytest.approx(record["test_accuracy"], rel=1e-6)


def test_curves_are_means_and_the_layout_overlays_the_arms(two_arms: Path) -> None:
    page = board(two_arms)
    for arm in ("cwt", "fft"):
        values = np.array([pd.read_csv(file)["val_loss"] for file in two_arms.glob(f"{arm} *split=*/curves.csv")])
        mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
        for tag, expected in (
            (f"curves/val loss/{arm}", mean),
            (f"within arms/val loss/{arm} low", mean - spread),
            (f"within arms/val loss/{arm} high", mean + spread),
        ):
            assert scalars(page, tag) == pytest.approx(dict(enumerate(expected, 1)), rel=1e-5)
    layout = Layout.FromString(page.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = {chart.title: chart for category in layout.category for chart in category.chart}
    tags = page.Tags()["scalars"]
    shown = [tag for tag in tags for text in charts["val loss, mean of each arm"].multiline.tag if re.match(text, tag)]
    assert shown == ["curves/val loss/cwt", "curves/val loss/fft"]
    margins = [series for chart in charts.values() for series in chart.margin.series]
    assert len(margins) == 8  # four curves of two arms
    assert all({each.value, each.lower, each.upper} <= set(tags) for each in margins)


def test_precision_and_recall_are_scikit_learns(two_arms: Path) -> None:
    page = board(two_arms)
    table = predictions(two_arms, "cwt")
    truth, given = table["label"].to_numpy()[:, None] == np.array(CLASSES), table[CLASSES].to_numpy()
    cases = {"all classes/cwt": (truth.ravel(), given.ravel()), "each class/b_c/cwt": (truth[:, 1], given[:, 1])}
    for tag, (labels, scores) in cases.items():
        found = make_ndarray(page.Tensors(tag)[0].tensor_proto)
        assert found.shape == (6, 127)
        for place in (0, 20, 40, 63, 90, 110):
            named = scores >= place / 126
            expected = [precision_score(labels, named, zero_division=0), recall_score(labels, named)]
            assert found[4:, place] == pytest.approx(expected, abs=1e-6)
            assert found[:4, place].tolist() == [(labels & named).sum(), (~labels & named).sum(),
                                                 (~labels & ~named).sum(), (labels & ~named).sum()]  # fmt: skip


def test_texts_and_figures_keep_their_order_and_sort_first(two_arms: Path) -> None:
    figures = {name: Figure(figsize=(3, 2), dpi=50) for name in ("zebra", "accuracy")}
    page = board(two_arms, figures=figures, texts={"verdict": "**cwt better**", "methods": "many"})
    assert sorted(page.Tags()["images"]) == ["compare/01 zebra", "compare/02 accuracy"]
    assert pixels(page, "compare/01 zebra").shape == (100, 150, 3)
    texts = sorted(tag for tag in page.Tags()["tensors"] if tag.endswith("text_summary"))
    assert texts == ["compare/01 verdict/text_summary", "compare/02 methods/text_summary"]
    assert page.Tensors(texts[0])[0].tensor_proto.string_val[0] == b"**cwt better**"
    assert min(tag for tag in page.Tags()["scalars"]) == "compare/accuracy/cwt"


def test_examples_show_both_arms_side_by_side(two_arms: Path) -> None:
    page = board(two_arms, showing=one_colour)
    assert page.Tags()["images"] == ["examples/a: cwt, fft", "examples/b_c: cwt, fft"]
    picture = pixels(page, "examples/a: cwt, fft")
    assert (picture[:, 0] == [255, 0, 0]).all()
    assert (picture[:, -1] == [0, 0, 255]).all()
    assert picture.shape[0] == 200
    assert picture.shape[1] > 400
    (event,) = page.Audio("examples/a")
    wave, rate = soundfile.read(io.BytesIO(event.encoded_audio_string))
    assert rate == 16000
    assert len(wave) >= 8000
    assert np.abs(wave).max() > 0.9


def test_the_projector_has_features_names_and_thumbnails(two_arms: Path) -> None:
    board(two_arms, showing=one_colour)
    page = two_arms / "comparison"
    config = text_format.Parse((page / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert [each.tensor_name.partition(":")[0] for each in config.embeddings] == ["cwt", "fft"]
    run = two_arms / "cwt width=8 split=0 abc"
    first, table = config.embeddings[0], pd.read_csv(run / "predictions.csv")
    np.testing.assert_allclose(np.loadtxt(page / first.tensor_path), np.load(run / "features.npy"), rtol=1e-3)
    names = pd.read_csv(page / first.metadata_path, sep="\t", keep_default_na=False)
    assert names.columns.tolist() == ["label", "predicted", "right", "path"]
    assert names["label"].tolist() == table["label"].tolist()
    assert names["path"][3] == "03 .wav"
    assert ((names["right"] == "right") == (table["label"] == table["predicted"])).all()
    sprite = np.asarray(Image.open(page / first.sprite.image_path))
    assert sprite.shape[:2] == (6 * 32, 6 * 32)  # 30 of them in a square
    assert sprite[5, 5].tolist() == [255, 0, 0]
    assert sprite[5, 70].tolist() == [128, 128, 128]  # no picture: grey


def test_many_recordings_are_thinned(two_arms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioid.comparison.embedding.MOST_RECORDINGS", 7)
    board(two_arms)
    features = np.loadtxt(two_arms / "comparison" / "00000" / "cwt" / "tensors.tsv")
    expected = np.load(two_arms / "cwt width=8 split=0 abc" / "features.npy")
    assert features.shape == (7, 5)
    np.testing.assert_allclose(features[[0, -1]], expected[[0, -1]], rtol=1e-3)


def test_it_is_written_anew_and_foreign_files_stay(two_arms: Path) -> None:
    board(two_arms, texts={"old": "x"})
    (two_arms / "comparison" / "notes.txt").write_text("mine")
    for file in two_arms.glob("fft*/features.npy"):
        file.unlink()
    page = board(two_arms, texts={"new": "y"})
    assert len(list((two_arms / "comparison").glob("events.*"))) == 1
    assert [tag for tag in page.Tags()["tensors"] if "text" in tag] == ["compare/01 new/text_summary"]
    assert not (two_arms / "comparison" / "00000" / "fft").exists()
    assert (two_arms / "comparison" / "notes.txt").exists()
    assert len(find_runs(two_arms)[0]) == 4


def test_what_runs_lack_is_left_out(write_run: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for transform in ("cwt", "fft"):
        write_run(transform, 0, is_bare=True)
    page = board(tmp_path / "sweep", showing=one_colour)
    assert scalars(page, "cost/parameters/cwt") == {0: 8000}
    assert page.Tags()["images"] == []
    assert not [tag for tag in page.Tags()["scalars"] if "curves" in tag]
    assert not caplog.records


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK"])
def test_damaged_features_cost_the_projector_alone(
    two_arms: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for file in two_arms.glob("*/features.npy"):
        file.write_bytes(content)
    page = board(two_arms)
    assert "without the comparison's embeddings" in caplog.text
    assert "all classes/fft" in page.Tags()["tensors"]


def test_an_error_in_one_part_ends_nothing(two_arms: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(run: Run, paths: Sequence[str]) -> Mapping[str, Shown]:
        raise RuntimeError("no such luck")

    page = board(two_arms, showing=broken)
    assert "examples (RuntimeError: no such luck)" in caplog.text
    assert "compare/accuracy/fft" in page.Tags()["scalars"]
    assert "all classes/fft" in page.Tags()["tensors"]


def test_several_studies_do_not_mix(write_run: Write, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for root in ("one", "two"):
            write_run(transform, 0, root=root)
    page = board(tmp_path / "sweep")
    assert {tag.split("/")[0] for tag in page.Tags()["scalars"] if tag.startswith("compare")} == {
        "compare recordings=one",
        "compare recordings=two",
    }


def test_a_run_that_is_called_so_is_not_touched(two_arms: Path, caplog: pytest.LogCaptureFixture) -> None:
    (two_arms / "cwt width=8 split=0 abc").rename(two_arms / "comparison")
    events = two_arms / "comparison" / "events.out.tfevents.1"
    events.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        write_board(two_arms, studies(find_runs(two_arms)[0]), {}, {})
    assert "is a run's own folder" in caplog.text
    assert events.exists()
    assert not list(two_arms.glob("comparison/*pbtxt"))
