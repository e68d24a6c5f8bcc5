"""Fewer recordings to learn from: who is kept, and that nothing else changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audioid.config import compose
from audioid.data.corpus import read_corpus, split_corpus
from audioid.data.learning_curve import at_most
from audioid.data.split import SplitIndices, split
from audioid.errors import AudioidError
from tests.conftest import write_tones

RowNumbers = NDArray[np.int64]


def parted(sizes: list[int], **changes: Any) -> tuple[SplitIndices, RowNumbers]:
    targets = np.repeat(np.arange(len(sizes)), sizes)
    values: dict[str, Any] = {
        "name": "stratified", "classes": [f"c{number}" for number in range(len(sizes))], "test_fraction": 0.2,
        "val_fraction": 0.2, "folds": 5, "fold": 0, "seed": 0,
    }  # fmt: skip
    return split(targets, **(values | changes)), targets


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(5, 60), min_size=2, max_size=5), st.integers(1, 30), st.integers(1, 30), st.integers(0, 9))
def test_each_class_has_at_most_so_many_and_a_smaller_number_is_within_a_larger_one(
    sizes: list[int], few: int, more: int, seed: int
) -> None:
    found, targets = parted(sizes, seed=seed)
    small, large = (at_most(found, targets, number, seed=seed) for number in (few, few + more))
    np.testing.assert_array_equal(small.test, found.test)
    for less, much in ((small, large), (large, found)):
        assert set(less.train.tolist()) <= set(much.train.tolist())
        assert set(less.val.tolist()) <= set(much.val.tolist())
    whole, kept = np.bincount(targets[found.train]), np.bincount(targets[small.train])
    np.testing.assert_array_equal(kept, np.minimum(whole, few))
    of_val = np.bincount(targets[found.val])
    for target, count in enumerate(np.bincount(targets[small.val]).tolist()):
        exact = of_val[target] * min(1.0, few / whole[target])
        assert abs(count - exact) <= 0.5 or (count == 1 and exact < 1)
    for part in (small.train, small.val):
        assert (np.diff(part) > 0).all()


def test_enough_for_every_class_changes_nothing() -> None:
    found, targets = parted([40, 7, 12], name="kfold", seed=3)
    same = at_most(found, targets, 40, seed=3)
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(same, part), getattr(found, part))


def test_no_validation_part_stays_none() -> None:
    found, targets = parted([20, 20], val_fraction=0.0)
    assert not len(at_most(found, targets, 4, seed=0).val)


def test_another_seed_draws_others() -> None:
    found, targets = parted([60, 60])
    drawn = {tuple(at_most(found, targets, 10, seed=seed).train.tolist()) for seed in range(5)}
    assert len(drawn) == 5
    assert len({tuple(at_most(found, targets, 10, seed=0).train.tolist()) for _ in range(2)}) == 1


def test_recordings_are_of_as_many_groups_as_there_are() -> None:
    """A large kit and small ones: at random nearly all would be of the large one."""
    rows = np.arange(240)
    targets = rows % 2
    groups = np.where(rows < 200, "large", (rows // 10).astype(str))  # and four of ten
    found = SplitIndices(rows, rows[:0], rows[:0])
    for number in (1, 3, 5, 7, 20):
        kept = at_most(found, targets, number, seed=1, groups=groups).train
        for target in (0, 1):
            counts = np.unique(groups[kept[targets[kept] == target]], return_counts=True)[1]
            assert len(counts) == min(number, 5)
            assert counts.max() - counts.min() <= 1
    # Small groups give all they have; the large one the rest.
    kept = at_most(found, targets, 50, seed=1, groups=groups).train
    large = (groups[kept] == "large") & (targets[kept] == 0)
    assert large.sum() == 50 - 4 * 5


def test_the_key_reaches_the_split(tmp_path: Path) -> None:
    root = write_tones(tmp_path / "tones", per_class=20)
    chosen = ["data=folder", f"data.root={root}", r"data.group_pattern=(kit\d)_"]
    whole, few = (
        split_corpus(
            read_corpus((found := compose([*chosen, *more])).data, tmp_path / "cache"), found.split, tmp_path / "cache"
        )
        for more in ([], ["split.train_per_class=4"])
    )
    np.testing.assert_array_equal(whole.test, few.test)
    index = read_corpus(compose(chosen).data, tmp_path / "cache")
    table = index.table.iloc[few.train]
    assert set(table.groupby("label")["group"].nunique()) == {4}
    assert len(table) == 8
    with pytest.raises(AudioidError, match=r"split\.train_per_class: 0 is "):
        compose(["split.train_per_class=0"])
