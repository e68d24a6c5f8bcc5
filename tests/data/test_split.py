import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from audioid.data.grouping import joined, part_groups
from audioid.data.split import SplitIndices, equal_across_parts, split, split_problem
from audioid.errors import AudioidError

RowNumbers = NDArray[np.int64]
quick = settings(max_examples=100, deadline=None)


def parted(targets: Any, **changes: Any) -> SplitIndices:
    targets = np.asarray(targets, np.int64)
    values: dict[str, Any] = {
        "name": "stratified",
        "classes": [f"c{number}" for number in range(targets.max() + 1)],
        "test_fraction": 0.2,
        "val_fraction": 0.15,
        "folds": 5,
        "fold": 0,
        "seed": 0,
    }
    return split(targets, **(values | changes))


def parts(found: SplitIndices) -> list[RowNumbers]:
    return [found.train, found.val, found.test]


def assert_partition(found: SplitIndices, rows: int) -> None:
    for part in parts(found):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    assert sorted(np.concatenate(parts(found)).tolist()) == list(range(rows))


def assert_same(one: SplitIndices, two: SplitIndices) -> None:
    for left, right in zip(parts(one), parts(two), strict=True):
        np.testing.assert_array_equal(left, right)


fractions = st.tuples(st.floats(0.01, 0.6), st.one_of(st.just(0.0), st.floats(0.01, 0.35)))
class_sizes = st.lists(st.integers(3, 60), min_size=2, max_size=8)


@st.composite
def grouped_rows(
    draw: st.DrawFn, most: int = 5, own: tuple[int, int] = (3, 8), shared: int = 6
) -> tuple[RowNumbers, RowNumbers]:
    """Targets and groups of 2 to `most` classes, each with so many groups of its own, and some that they share."""
    classes = draw(st.integers(2, most))
    targets: list[int] = []
    groups: list[int] = []
    for label, count in enumerate(draw(st.lists(st.integers(*own), min_size=classes, max_size=classes))):
        for _ in range(count):
            size = draw(st.integers(1, 12))
            targets += [label] * size
            groups += [(groups[-1] + 1) if groups else 0] * size
    for _ in range(draw(st.integers(0, shared))):
        mixed = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=10))
        targets += mixed
        groups += [groups[-1] + 1] * len(mixed)
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(targets))
    return np.array(targets)[order], np.array(groups)[order]


@quick
@given(sizes=class_sizes, shares=fractions, seed=st.integers(0, 2**40))
def test_stratified_parts_every_class_alike(sizes: list[int], shares: tuple[float, float], seed: int) -> None:
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    test, val = shares
    found = parted(targets, test_fraction=test, val_fraction=val, seed=seed)
    assert_partition(found, targets.size)
    for label, size in enumerate(sizes):
        counts = [int((targets[part] == label).sum()) for part in parts(found)]
        assert counts[0] >= 1
        assert counts[2] >= 1
        assert (counts[1] >= 1) == (val > 0)
        # As near to the wanted share as whole recordings come, when no part is at its minimum of one.
        if min(counts[0], *counts[1 + (val == 0) :]) > 1:
            assert abs(counts[2] - test * size) <= 0.5 + 1e-9
            assert abs(counts[1] - val * size) <= 0.5 + 1e-9
    assert_same(found, parted(targets, test_fraction=test, val_fraction=val, seed=seed))


def test_another_seed_is_another_split_and_each_row_has_its_chance() -> None:
    targets = np.repeat([0, 1], 50)
    seen = np.zeros(100)
    for seed in range(200):
        seen[parted(targets, seed=seed).test] += 1
    assert seen.min() > 15
    assert seen.max() < 70  # 40 expected, deviation 5.7


@quick
@given(
    rows=grouped_rows(),
    shares=st.tuples(st.floats(0.1, 0.4), st.sampled_from([0.0, 0.1, 0.3])),
    seed=st.integers(0, 99),
)
def test_grouped_keeps_groups_whole_and_classes_everywhere(
    rows: tuple[RowNumbers, RowNumbers], shares: tuple[float, float], seed: int
) -> None:
    targets, groups = rows
    test, val = shares
    found = parted(targets, name="grouped", groups=groups, test_fraction=test, val_fraction=val, seed=seed)
    assert_partition(found, targets.size)
    for one, two in itertools.combinations(parts(found), 2):
        assert not set(groups[one]) & set(groups[two])
    for part in parts(found)[:: 1 if val else 2]:
        assert set(targets[part]) == set(targets)
    names = np.array([f"group {number}" for number in groups], dtype=object)
    assert_same(found, parted(targets, name="grouped", groups=groups, test_fraction=test, val_fraction=val, seed=seed))
    assert parted(targets, name="grouped", groups=names, test_fraction=test, val_fraction=val).train.size


def unevenness(targets: RowNumbers, part: RowNumbers, shares: NDArray[np.float64]) -> float:
    counts = np.zeros((len(shares), targets.max() + 1))
    np.add.at(counts, (part, targets), 1)
    totals = np.bincount(targets)
    if (counts == 0).any():
        return np.inf
    return float((((counts - shares[:, None] * totals) / totals) ** 2).sum())


@settings(max_examples=40, deadline=None)
@given(rows=grouped_rows(most=3, own=(2, 3), shared=2), share=st.floats(0.1, 0.5))
def test_classes_are_nearly_as_even_as_groups_allow(rows: tuple[RowNumbers, RowNumbers], share: float) -> None:
    targets, groups = rows
    shares = np.array([1 - share, share])
    classes = [str(label) for label in range(targets.max() + 1)]
    found = unevenness(targets, part_groups(targets, groups, shares, classes, np.random.default_rng(0)), shares)
    every = (np.array(way)[groups] for way in itertools.product([0, 1], repeat=int(groups.max()) + 1))
    best = min(unevenness(targets, part, shares) for part in every)
    assert found <= 2 * best + 0.03


def test_folds_of_groups_are_no_less_even_than_those_of_scikit_learn() -> None:
    shares = np.full(5, 0.2)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        mixtures = rng.dirichlet(np.full(6, 0.3), size=60)
        groups = rng.choice(60, 900, p=rng.dirichlet(np.ones(60)))
        groups = np.unique(groups, return_inverse=True)[1]
        targets = np.array([rng.choice(6, p=mixtures[group]) for group in groups])
        theirs = np.empty_like(targets)
        for fold, (_, rows) in enumerate(
            StratifiedGroupKFold(5, shuffle=True, random_state=0).split(targets, targets, groups)
        ):
            theirs[rows] = fold
        ours = part_groups(targets, groups, shares, [str(label) for label in range(6)], rng)
        assert unevenness(targets, ours, shares) <= unevenness(targets, theirs, shares)


@quick
@given(
    sizes=st.lists(st.integers(5, 40), min_size=2, max_size=6),
    folds=st.integers(2, 5),
    val=st.sampled_from([0.0, 0.15]),
    seed=st.integers(0, 2**40),
)
def test_kfold_tests_every_row_once(sizes: list[int], folds: int, val: float, seed: int) -> None:
    assume(folds > 2 or val == 0)
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    found = [
        parted(targets, name="kfold", folds=folds, fold=fold, val_fraction=val, seed=seed) for fold in range(folds)
    ]
    assert sorted(np.concatenate([one.test for one in found]).tolist()) == list(range(targets.size))
    for fold, one in enumerate(found):
        assert_partition(one, targets.size)
        if val:
            np.testing.assert_array_equal(one.val, found[(fold + 1) % folds].test)
        for label, size in enumerate(sizes):
            assert abs((targets[one.test] == label).sum() - size / folds) < 1


@quick
@given(rows=grouped_rows(), seed=st.integers(0, 99))
def test_kfold_keeps_groups_whole(rows: tuple[RowNumbers, RowNumbers], seed: int) -> None:
    targets, groups = rows
    found = [parted(targets, name="kfold", groups=groups, folds=3, fold=fold, seed=seed) for fold in range(3)]
    assert sorted(np.concatenate([one.test for one in found]).tolist()) == list(range(targets.size))
    for one in found:
        assert_partition(one, targets.size)
        for left, right in itertools.combinations(parts(one), 2):
            assert not set(groups[left]) & set(groups[right])
        assert set(targets[one.test]) == set(targets)


@quick
@given(data=st.data(), val=st.sampled_from([0.0, 0.2]), grouped=st.booleans())
def test_given_parts_stay_as_published(data: st.DataObject, val: float, grouped: bool) -> None:
    targets = np.repeat([0, 1, 2], 12)
    names = np.array(data.draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=36, max_size=36)), object)
    names[::6] = "train"
    names[1] = "test"
    groups = np.arange(36) // 2 if grouped else None
    found = parted(targets, name="given", official_split=names, val_fraction=val, groups=groups)
    assert_partition(found, 36)
    np.testing.assert_array_equal(found.test, np.flatnonzero(names == "test"))
    if (names == "val").any() or val == 0:
        np.testing.assert_array_equal(found.val, np.flatnonzero(names == "val"))


@pytest.mark.parametrize("groups", [None, np.arange(60) // 4])
def test_a_missing_validation_part_is_taken_from_the_official_training_part(groups: RowNumbers | None) -> None:
    targets = np.arange(60) // 4 % 3
    names = np.where(np.arange(60) < 48, "train", "test")
    found = parted(targets, name="given", official_split=names, val_fraction=0.2, groups=groups)
    assert_partition(found, 60)
    np.testing.assert_array_equal(found.test, np.arange(48, 60))
    assert found.val.size == 12  # of all rows, as in the other splits
    if groups is not None:
        assert not set(groups[found.val]) & set(groups[found.train])


def test_official_folds_keep_their_numbers() -> None:
    targets = np.arange(40) % 2
    folds = np.arange(40) // 8 + 1  # 1 to 5
    for fold, following in ((1, 2), (5, 1)):
        found = parted(targets, name="given", official_fold=folds, official_split=np.full(40, ""), fold=fold)
        np.testing.assert_array_equal(found.test, np.flatnonzero(folds == fold))
        np.testing.assert_array_equal(found.val, np.flatnonzero(folds == following))
    assert parted(targets, name="given", official_fold=folds, fold=5, val_fraction=0).val.size == 0


def test_without_validation_part_there_is_none() -> None:
    targets = np.repeat([0, 1], 10)
    groups = np.arange(20)
    for name in ("stratified", "grouped", "kfold"):
        found = parted(targets, name=name, groups=groups, val_fraction=0.0)
        assert found.val.size == 0
        assert found.train.size == 16


def assert_whole(found: SplitIndices, groups: RowNumbers) -> None:
    for one, two in itertools.combinations(parts(found), 2):
        assert not set(groups[one]) & set(groups[two])


@quick
@given(rows=grouped_rows(), seed=st.integers(0, 99), val=st.sampled_from([0.0, 0.2]))
def test_equal_recordings_are_on_one_side_whatever_their_labels(
    rows: tuple[RowNumbers, RowNumbers], seed: int, val: float
) -> None:
    targets, contents = rows
    checksums = [f"{content:032x}" for content in contents]
    for changes in ({}, {"name": "kfold", "folds": 3}):
        found = parted(targets, checksums=checksums, seed=seed, val_fraction=val, **changes)
        assert_partition(found, targets.size)
        assert_whole(found, contents)
        assert not equal_across_parts(found, checksums)
        for part in parts(found)[:: 1 if val else 2]:
            assert set(targets[part]) == set(targets)


@quick
@given(rows=grouped_rows(own=(6, 9)), data=st.data(), seed=st.integers(0, 99))
def test_equal_recordings_join_the_groups_that_hold_them(
    rows: tuple[RowNumbers, RowNumbers], data: st.DataObject, seed: int
) -> None:
    targets, groups = rows
    contents = np.arange(targets.size)
    for _ in range(2):
        one, two = data.draw(st.lists(st.integers(0, targets.size - 1), min_size=2, max_size=2))
        contents[one] = contents[two]
    for changes in ({"name": "grouped"}, {"name": "kfold", "folds": 3}):
        found = parted(targets, groups=groups, checksums=contents, seed=seed, **changes)
        assert_whole(found, groups)
        assert_whole(found, contents)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(20, 60), min_size=2, max_size=5),
    copies=st.lists(st.integers(1, 3), max_size=6),
    seed=st.integers(0, 99),
)
def test_copies_leave_the_parts_as_large_as_wanted(sizes: list[int], copies: list[int], seed: int) -> None:
    contents, targets = list(range(sum(sizes))), np.repeat(np.arange(len(sizes)), sizes).tolist()
    for content, count in enumerate(copies):
        contents += [content] * count
        targets += [targets[content]] * count
    labels = np.array(targets)
    for changes, shares in (({}, (0.15, 0.2)), ({"name": "kfold"}, (0.2, 0.2))):
        found = parted(labels, checksums=contents, seed=seed, **changes)
        for label, size in enumerate(np.bincount(labels)):
            for part, share in zip((found.val, found.test), shares, strict=True):
                assert abs((labels[part] == label).sum() - share * size) < 1


@quick
@given(rows=grouped_rows(own=(6, 9)), seed=st.integers(0, 2**40), with_groups=st.booleans())
def test_checksums_that_all_differ_change_nothing(
    rows: tuple[RowNumbers, RowNumbers], seed: int, with_groups: bool
) -> None:
    targets, groups = rows
    official = np.where(np.arange(targets.size) % 5 == 0, "test", "train")
    official[np.unique(targets, return_index=True)[1]] = "train"
    official[-1] = "test"
    checksums = np.random.default_rng(seed).permutation(targets.size)
    for name in ("stratified", "kfold", "given", *["grouped"] * with_groups):
        changes = {"name": name, "seed": seed, "groups": groups if with_groups else None, "folds": 3}
        if name == "given":
            changes |= {"official_split": official}
        assert_same(parted(targets, **changes), parted(targets, **changes, checksums=checksums))


def test_the_split_of_a_seed_is_the_one_of_earlier_runs() -> None:
    found = parted(TEN, checksums=np.arange(20), seed=3)
    assert (found.val.tolist(), found.test.tolist()) == ([1, 6, 13, 18], [3, 8, 12, 16])


@pytest.mark.parametrize("make", [list, np.array, pd.Series, lambda names: np.array(names, object)])
def test_groups_count_in_the_order_of_their_names(make: Any) -> None:
    names = (
        np.random.default_rng(0).choice(["kit 9", "kit 10", "Kit", "", "\0a", "ä", "太鼓", "\U0001f941"], 40).tolist()
    )
    numbers = np.unique(np.array(names, object), return_inverse=True)[1]
    for seed in range(5):
        changes = {"name": "grouped", "seed": seed}
        assert_same(
            parted(np.arange(40) % 2, groups=make(names), **changes),
            parted(np.arange(40) % 2, groups=numbers, **changes),
        )


def test_a_drawn_validation_part_shares_no_recording_with_the_training_part() -> None:
    contents = np.arange(60) // 2 * 2  # each recording twice
    targets = contents // 2 % 3
    names = np.where(np.arange(60) < 47, "train", "test")  # the last for training is the first for test
    found = parted(targets, name="given", official_split=names, val_fraction=0.2, checksums=contents)
    assert not set(contents[found.val]) & set(contents[found.train])
    np.testing.assert_array_equal(found.test, np.arange(47, 60))
    assert equal_across_parts(found, contents) == [(46, 47)]


def test_copies_do_not_make_up_for_recordings_that_are_missing() -> None:
    with pytest.raises(AudioidError, match="label 'c1': has 2 groups, equal files counted as one, but each of 3 parts"):
        parted([0] * 9 + [1] * 5, checksums=[*range(9), 9, 9, 9, 10, 10])


@quick
@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=14))
def test_joined_groups_are_those_that_steps_through_either_kind_reach(pairs: list[tuple[int, int]]) -> None:
    groups, others = (np.unique(each, return_inverse=True)[1] for each in np.array(pairs).T)
    reached = (groups[:, None] == groups) | (others[:, None] == others)
    for _ in pairs:
        reached = reached @ reached
    found = joined(groups, others)
    np.testing.assert_array_equal(found[:, None] == found, reached)
    np.testing.assert_array_equal(joined(groups, np.arange(len(pairs))), groups)  # the numbers stay


TEN = np.repeat([0, 1], 10)


@pytest.mark.parametrize(
    ("targets", "changes", "problem"),
    [
        ([0, 0, 0], {}, r"data: holds one label only \(c0\); add"),
        ([0] * 9 + [1] * 2, {}, "label 'c1': has 2 recordings, but each of 3 parts needs one; .*val_fraction=0"),
        ([0] * 9 + [1], {"val_fraction": 0}, "has 1 recording, .* remove the label$"),
        (TEN, {"test_fraction": 0.6, "val_fraction": 0.4}, r"split\.test_fraction"),
        (TEN, {"name": "grouped"}, r"split=grouped: .*data\.group_pattern"),
        (
            TEN,
            {"name": "grouped", "groups": TEN},
            r"2 labels \(c0, c1\): have at most 1 group, .* remove the labels, or",
        ),
        (TEN, {"name": "grouped", "groups": np.r_[np.arange(10), [20] * 5, [30] * 5]}, "label 'c1': has 2 groups,"),
        (TEN, {"name": "kfold", "fold": 5}, r"split\.fold: is 5, but the folds are 0 to 4"),
        (
            TEN,
            {"name": "given", "official_split": ["train"] * 9 + ["test"] * 11, "fold": 1},
            r"split\.fold: does nothing where",
        ),
        (TEN, {"name": "kfold", "folds": 2}, r"split\.folds: two folds"),
        (TEN, {"name": "kfold", "folds": 11}, r"2 labels \(c0, c1\): have at most 10 recordings.*lower split\.folds"),
        (
            np.r_[np.arange(15), [0] * 9, range(15)],
            {"name": "kfold"},
            r"14 labels \(c1, c10, c11, c12, c13, c14, c2 and 7 more\): have at most 2 recordings, but each of 5 parts",
        ),
        (
            TEN,
            {"name": "kfold", "groups": np.arange(20) // 3},
            r"2 labels \(c0, c1\): have at most 4 groups.*lower split\.folds",
        ),
        (TEN, {"name": "given"}, "add a column split or fold"),
        (TEN, {"name": "given", "official_split": ["train"] * 20}, "official test part"),
        (TEN, {"name": "given", "official_split": ["train", "test"] * 9 + ["", ""]}, "2 recordings have no split"),
        (TEN, {"name": "given", "official_fold": [1, 2, 3, 4, -1] * 4}, "4 recordings have no fold"),
        (
            TEN,
            {"name": "given", "official_fold": [1, 2] * 10},
            r"split\.fold: is 0, but the official folds are 1, 2; choose",
        ),
        (TEN, {"name": "given", "official_fold": [1, 2] * 10, "fold": 1}, "two folds"),
        (
            TEN,
            {"name": "given", "official_split": ["train"] * 10 + ["test"] * 10},
            "label 'c1': is not in the official training part; put",
        ),
        (
            TEN,
            {"name": "given", "official_split": ["train", *["test"] * 9] * 2, "val_fraction": 0.5},
            r"split\.val_fraction: is more",
        ),
        (TEN, {"name": "random"}, "there is none called 'random'; choose"),
    ],
)
def test_a_split_that_cannot_be_names_what_stands_in_the_way(targets: Any, changes: Any, problem: str) -> None:
    with pytest.raises(AudioidError, match=problem) as raised:
        parted(targets, **changes)
    assert "\n" not in str(raised.value)


def test_groups_that_hinder_one_another_name_the_label() -> None:
    # Each label has two groups, but the part that gets one group of the three lacks a label.
    targets, groups = np.array([0, 1, 0, 2, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(AudioidError, match=r"label 'c\d': its groups hold other labels too"):
        parted(targets, name="grouped", groups=groups, val_fraction=0)


DEFAULTS = {"seed": 0, "group": "index", "test_fraction": 0.2, "val_fraction": 0.15, "folds": 5, "fold": 0}


@pytest.mark.parametrize("name", ["stratified", "grouped", "kfold", "given"])
def test_settings_that_a_split_heeds_are_no_problem(name: str) -> None:
    heeded: dict[str, dict[str, Any]] = {
        "stratified": {"test_fraction": 0.3, "val_fraction": 0.2},
        "grouped": {"test_fraction": 0.3, "val_fraction": 0.2, "group": "near_duplicates"},
        "kfold": {"folds": 3, "fold": 2, "val_fraction": 0, "group": "near_duplicates"},
        "given": {"fold": 7, "val_fraction": 0.3, "group": "near_duplicates"},
    }
    assert split_problem({"name": name, **DEFAULTS}, DEFAULTS) is None
    assert split_problem({"name": name, **DEFAULTS, **heeded[name], "seed": 3}, DEFAULTS) is None
    for key, value in {"test_fraction": 0.3, "folds": 3, "fold": 1, "group": "near_duplicates"}.items():
        problem = split_problem({"name": name, **DEFAULTS, key: value}, DEFAULTS)
        assert (problem is None) == (key in heeded[name])
        assert problem is None or problem.startswith(f"split.{key}: does nothing with split={name}; choose split=")


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"name": "stratified", "test_fraction": 0.6, "val_fraction": 0.4}, "split.test_fraction: with"),
        ({"name": "kfold", "fold": 5}, "split.fold: is 5"),
        ({"name": "kfold", "folds": 2}, "split.folds: two"),
        ({"name": "kfold", "val_fraction": 0.3}, "split.val_fraction: split=kfold takes a whole fold"),
    ],
)
def test_settings_that_allow_no_split_are_told_before_any_recording_is_read(changes: Any, start: str) -> None:
    assert str(split_problem(DEFAULTS | changes, DEFAULTS)).startswith(start)
