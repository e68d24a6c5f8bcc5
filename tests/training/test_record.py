"""The files that a run leaves, and the memory it takes."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from audioid.data.clips import Clips
from audioid.data.index import Index
from audioid.data.split import SplitIndices
from audioid.pipeline.recordings import PreparedData
from audioid.training.memory import MemoryMeter
from audioid.training.once import is_written_here
from audioid.training.record import write_features, write_json, write_predictions

LOG_EYE = np.log(np.eye(6) + 1e-30)


def all_tested(index: Index) -> PreparedData:
    rows = np.arange(len(index.table))
    parts = SplitIndices(rows[:0], rows[:0], rows)
    return PreparedData(None, index, Clips(np.ones_like(rows)), parts, None, None)  # type: ignore[arg-type]


def test_near_duplicates_are_the_groups_of_a_corpus_without_any(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": list("abcdef"), "label": list("xyxyxy"), "group": ""})
    near = np.array([0, 1, 0, 2, 3, 0])
    write_predictions(tmp_path / "predictions.csv", all_tested(Index(tmp_path, table)), LOG_EYE[:, :2], near)
    read = pd.read_csv(tmp_path / "predictions.csv", keep_default_na=False)
    assert read["group"].tolist() == ["a", "", "a", "", "", "a"]
    table["group"] = list("kkllmm")
    write_predictions(tmp_path / "predictions.csv", all_tested(Index(tmp_path, table)), LOG_EYE[:, :2], near)
    assert pd.read_csv(tmp_path / "predictions.csv")["group"].tolist() == list("kkllmm")


def test_no_class_hides_a_column_of_the_predictions(tmp_path: Path) -> None:
    labels = ["group", "kick", "label", "label_probability", "path", "predicted"]
    table = pd.DataFrame({"path": [f"{label}.wav" for label in labels], "label": labels, "group": "g"})
    write_predictions(tmp_path / "predictions.csv", all_tested(Index(tmp_path, table)), LOG_EYE[::-1], None)
    header = (tmp_path / "predictions.csv").read_text().splitlines()[0].split(",")
    assert header == [
        "path", "label", "predicted", "group",
        "group_probability", "kick", "label_probability_probability", "label_probability",
        "path_probability", "predicted_probability",
    ]  # fmt: skip
    read = pd.read_csv(tmp_path / "predictions.csv")
    assert read["label"].tolist() == labels
    assert read["predicted"].tolist() == labels[::-1]
    assert np.array_equal(read[header[4:]], np.eye(6)[::-1])


def test_json_holds_finite_numbers_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": 0.5}


def written(path: Path, features: NDArray[np.float64]) -> NDArray[np.float64]:
    write_features(path, features.astype(np.float32))
    found = np.load(path, allow_pickle=False)
    assert found.dtype == np.float16
    return found.astype(np.float64)


def test_features_of_many_dimensions_become_their_principal_components(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    few = rng.standard_normal((40, 300))  # 40 points span less than 64 dimensions: all distances stay
    found = written(tmp_path / "few.npy", few)
    assert found.shape == (40, 40)
    np.testing.assert_allclose(pdist(found), pdist(few), rtol=2e-3)
    many = rng.standard_normal((200, 100)) * 0.9 ** np.arange(100)
    found = written(tmp_path / "many.npy", many)
    expected = PCA(64, svd_solver="full").fit_transform(many)
    assert found.shape == (200, 64)
    np.testing.assert_allclose(np.abs(found[:, :20]), np.abs(expected[:, :20]), atol=0.02)
    assert written(tmp_path / "again.npy", many).tobytes() == found.tobytes()


@pytest.mark.parametrize("shape", [(1, 100), (1, 3), (5, 64)])
def test_features_of_few_recordings_or_dimensions(tmp_path: Path, shape: tuple[int, int]) -> None:
    features = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    found = written(tmp_path / "features.npy", features)
    assert found.shape == ((1, 1) if shape == (1, 100) else shape)
    assert shape == (1, 100) or np.array_equal(found, features)


def test_features_beyond_float16_stay_finite(tmp_path: Path) -> None:
    assert np.isfinite(written(tmp_path / "features.npy", np.array([[1e30, -np.inf], [0, 1]]))).all()


def test_what_runs_share_is_written_by_the_first_that_asks_and_by_it_again(tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").touch()
    one, two = tmp_path / "one", tmp_path / "two"
    assert is_written_here(two, {"transform": "fft"})
    assert not is_written_here(one, {"transform": "fft"})
    assert is_written_here(one, {"transform": "cwt"})
    assert is_written_here(two, {"transform": "fft"})  # was stopped and goes on
    (tmp_path / "multirun.yaml").unlink()
    assert is_written_here(one, {"transform": "fft"})


def hold(mib: int) -> None:
    """Touches so much memory and frees it."""
    held = np.ones(mib * 2**20, dtype=np.uint8)
    time.sleep(0.2)
    del held


def test_memory_is_that_of_one_run_whatever_ran_before() -> None:
    before = np.ones(100 * 2**20, dtype=np.uint8)
    found = []
    for mib in (200, 50):
        with MemoryMeter() as memory:
            hold(mib)
        found.append(memory.peak_mib)
    assert found == pytest.approx([200, 50], abs=10)
    assert before.all()
