"""Which recordings train, which choose the epoch, which judge; the same for the same seed on any machine."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import ArrayLike, NDArray

from audioid.data.grouping import joined, part_groups
from audioid.errors import AudioidError, listed

RowNumbers = NDArray[np.int64]

TRAIN, VAL, TEST = 0, 1, 2
PART_NAMES = ("train", "val", "test")
TWO_FOLDS = "split.folds: two folds leave nothing to train on; have three, or split.val_fraction=0"
# What each split heeds of the settings that not all of them heed.
HEEDED = {
    "stratified": {"test_fraction"},
    "grouped": {"test_fraction", "group"},
    "kfold": {"folds", "fold", "group"},
    "given": {"fold", "group"},
}


@dataclass(frozen=True)
class SplitIndices:
    """Row numbers of the index, ascending; no row is in two parts. `val` may be empty."""

    train: RowNumbers
    val: RowNumbers
    test: RowNumbers

    @property
    def digest(self) -> str:
        """Equal for equal parts alone."""
        digest = hashlib.blake2b(digest_size=16)
        for rows in (self.train, self.val, self.test):
            digest.update(len(rows).to_bytes(8) + rows.astype("<i8").tobytes())
        return digest.hexdigest()


def split_problem(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str | None:
    """What is wrong with the settings of a split, as far as it shows without recordings; None where nothing is.

    Args:
        values: `name`, one of `HEEDED`, and the other settings of `split`.
        defaults: those of the same split where nothing was chosen: a choice that it does not heed is a problem.
    """
    name, val_fraction = values["name"], values["val_fraction"]
    for key in sorted(set().union(*HEEDED.values()) - HEEDED[name]):
        if values[key] != defaults[key]:
            others = " or ".join(other for other, keys in HEEDED.items() if key in keys)
            return f"split.{key}: does nothing with split={name}; choose split={others}, or leave it out"
    if name == "kfold" and val_fraction not in (0, defaults["val_fraction"]):
        return (
            "split.val_fraction: split=kfold takes a whole fold for validation; set it to 0 for none, or leave it out"
        )
    return _contradiction(name, values["test_fraction"], val_fraction, values["folds"], values["fold"])


def _contradiction(name: str, test_fraction: float, val_fraction: float, folds: int, fold: int) -> str | None:
    if name not in HEEDED:
        return f"split: there is none called '{name}'; choose one of {', '.join(HEEDED)}"
    if "test_fraction" in HEEDED[name] and test_fraction + val_fraction >= 1:
        return "split.test_fraction: with split.val_fraction it leaves nothing to train on; lower one"
    if name == "kfold" and fold >= folds:
        return f"split.fold: is {fold}, but the folds are 0 to {folds - 1}; lower it, or raise split.folds"
    if name == "kfold" and folds < 2 + (val_fraction > 0):
        return TWO_FOLDS
    return None


def split(
    targets: RowNumbers,
    *,
    name: str,
    classes: Sequence[str],
    test_fraction: float,
    val_fraction: float,
    folds: int,
    fold: int,
    seed: int,
    groups: ArrayLike | None = None,
    checksums: ArrayLike | None = None,
    official_split: ArrayLike | None = None,
    official_fold: ArrayLike | None = None,
) -> SplitIndices:
    """The three parts of the rows whose classes are `targets` `(rows,)`.

    Every class is in every part, but official test and validation parts may lack one. With `val_fraction=0`
    there is no validation part. Rows with equal checksums are in one part, but where official parts say otherwise.

    Args:
        name: `stratified`: each class is parted alike. `grouped`: no group is in two parts, classes as even as
            groups allow. `kfold`: of `folds` parts, as equal as groups allow, number `fold` is the test part and the
            next one the validation part; no group is in two folds. `given`: the official parts (a missing validation
            part is taken from the training part), or else the official fold `fold` as test part and the next one as
            validation part.
        classes: names for `targets`.
        test_fraction: of all rows.
        val_fraction: of all rows.
        groups: `(rows,)` of any one type; heeded by `grouped`, by `kfold` and where `given` lacks a validation part.
        checksums: `(rows,)`, of the recordings' content.
        official_split: `(rows,)` of `train`, `val`, `test`, or empty text where not given.
        official_fold: `(rows,)` whole numbers, negative where not given.

    Raises:
        AudioidError: there is no such split; names the class or key that stands in the way.
    """
    if len(np.unique(targets)) < 2:
        raise AudioidError(f"data: holds one label only ({', '.join(classes)}); add recordings of another")
    if problem := _contradiction(name, test_fraction, val_fraction, folds, fold):
        raise AudioidError(problem)
    if name == "grouped" and groups is None:
        raise AudioidError("split=grouped: no recording has a group; set data.group_pattern or split.group")
    members = _together(None if name == "stratified" else groups, checksums)
    rng = default_rng(seed)
    if name in ("stratified", "grouped"):
        shares = [1 - test_fraction - val_fraction, val_fraction, test_fraction]
        part = _parted(targets, members, shares, classes, rng)
    elif name == "kfold":
        part = _rotated(_folds(targets, members, folds, classes, rng), fold, (fold + 1) % folds, val_fraction > 0)
    else:
        part = _given(targets, members, official_split, official_fold, val_fraction, fold, classes, rng)
    return SplitIndices(*(np.flatnonzero(part == number) for number in (TRAIN, VAL, TEST)))


def equal_across_parts(found: SplitIndices, checksums: ArrayLike) -> list[tuple[int, int]]:
    """Pairs of rows with equal checksums in two parts: the first of each content, and every one that is elsewhere."""
    content = numbered(checksums)
    leaders, part = np.unique(content, return_index=True)[1][content], part_numbers(found)
    rows = np.flatnonzero(part != part[leaders])
    return list(zip(leaders[rows].tolist(), rows.tolist(), strict=True))


def part_numbers(found: SplitIndices) -> RowNumbers:
    """For each row its part: `TRAIN`, `VAL` or `TEST`."""
    part = np.repeat([TRAIN, VAL, TEST], [len(found.train), len(found.val), len(found.test)])
    return part[np.argsort(np.concatenate([found.train, found.val, found.test]))]


def _together(groups: ArrayLike | None, checksums: ArrayLike | None) -> RowNumbers | None:
    """For each row the number of what must stay in one part, `(rows,)`; None if each row may go its own way."""
    relations = [numbered(each) for each in (groups, checksums) if each is not None]
    if groups is None and relations and relations[0].max() == len(relations[0]) - 1:
        return None
    return reduce(joined, relations).astype(np.int64) if relations else None


def numbered(values: ArrayLike) -> RowNumbers:
    """For each row the position of its value among all different ones, sorted, `(rows,)`."""
    import pandas as pd  # slow to import, and the settings are checked without it
    import pyarrow as pa
    import pyarrow.compute as pc

    # numpy is slow with millions of texts, and pandas before 3 takes texts for equal that are so up to a NUL.
    column = pa.array(pd.Series(values))
    different = pc.unique(column)
    return pc.index_in(column, value_set=different.take(pc.sort_indices(different))).to_numpy().astype(np.int64)


def _parted(
    targets: RowNumbers, groups: RowNumbers | None, fractions: Sequence[float], classes: Sequence[str], rng: Generator
) -> RowNumbers:
    """For each row its part `(rows,)`; part p gets about `fractions[p]` of each class, none if that is zero."""
    numbers = np.flatnonzero(fractions)
    shares = np.asarray(fractions)[numbers]
    _refuse_small(targets, groups, len(numbers), classes, ", or set split.val_fraction=0" if len(numbers) > 2 else "")
    if groups is None:
        return numbers[_cut(targets, shares, rng)]
    return numbers[part_groups(targets, groups, shares, classes, rng)]


def _folds(
    targets: RowNumbers, groups: RowNumbers | None, folds: int, classes: Sequence[str], rng: Generator
) -> RowNumbers:
    """For each row its fold, `(rows,)`."""
    _refuse_small(targets, groups, folds, classes, ", or lower split.folds")
    if groups is not None:
        return part_groups(targets, groups, np.full(folds, 1 / folds), classes, rng)
    from sklearn.model_selection import StratifiedKFold  # slow to import, and the other splits do without

    part = np.empty_like(targets)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=int(rng.integers(2**32)))
    for number, (_, rows) in enumerate(splitter.split(targets, targets)):
        part[rows] = number
    return part


def _refuse_small(
    targets: RowNumbers, groups: RowNumbers | None, parts: int, classes: Sequence[str], remedy: str
) -> None:
    """Raise where classes cannot be in each of so many parts; names them."""
    units = targets if groups is None else np.unique(np.stack([targets, groups]), axis=1)[0]
    counts = np.bincount(units, minlength=len(classes)).tolist()
    small = {label: count for label, count in zip(classes, counts, strict=True) if 0 < count < parts}
    if not small:
        return
    most = max(small.values())
    plural = "s" * (most > 1)
    what = f"{most} recording{plural}" if groups is None else f"{most} group{plural}, equal files counted as one"
    who = (
        f"label '{next(iter(small))}': has"
        if len(small) == 1
        else f"{len(small):,} labels ({listed(small)}): have at most"
    )
    raise AudioidError(
        f"{who} {what}, but each of {parts} parts needs one; "
        f"add some or remove the label{'s' * (len(small) > 1)}{remedy}"
    )


def _cut(targets: RowNumbers, shares: NDArray[np.float64], rng: Generator) -> RowNumbers:
    """Each class shuffled and cut. StratifiedShuffleSplit would leave classes of a few rows out of a part."""
    sizes = np.bincount(targets)
    order = rng.permutation(targets.size)
    order = order[np.argsort(targets[order], kind="stable")]
    rank = np.empty_like(targets)
    rank[order] = np.arange(targets.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # From the last part to the first, each takes its share, at least one and so few that the others get one.
    part = np.zeros_like(targets)
    taken = np.zeros_like(sizes)
    for number in range(len(shares) - 1, 0, -1):
        count = np.clip(np.rint(shares[number] * sizes).astype(np.int64), 1, np.maximum(sizes - taken - number, 1))
        part[(rank >= taken[targets]) & (rank < (taken + count)[targets])] = number
        taken += count
    return part


def _rotated(folds: NDArray[np.int64], test: int, val: int, with_val: bool) -> RowNumbers:
    """For each row its part, if fold `test` is the test part and, where wanted, `val` the validation part."""
    part = np.where(folds == test, TEST, np.where((folds == val) & with_val, VAL, TRAIN))
    if not (part == TRAIN).any():
        raise AudioidError(TWO_FOLDS)
    return part


def _given(
    targets: RowNumbers,
    groups: RowNumbers | None,
    official_split: ArrayLike | None,
    official_fold: ArrayLike | None,
    val_fraction: float,
    fold: int,
    classes: Sequence[str],
    rng: Generator,
) -> RowNumbers:
    """For each row its official part."""
    names = np.asarray(official_split if official_split is not None else [""] * len(targets), dtype=str)
    folds = np.asarray(official_fold if official_fold is not None else [-1] * len(targets), dtype=np.int64)
    if (names != "").any():
        _refuse_gaps("split", names == "")
        if fold:
            raise AudioidError("split.fold: does nothing where the CSV's column split names the parts; leave it out")
        part = np.array([PART_NAMES.index(name) for name in names])
    elif (folds >= 0).any():
        _refuse_gaps("fold", folds < 0)
        known = np.unique(folds).tolist()
        if fold not in known:
            folds_known = ", ".join(map(str, known))
            raise AudioidError(f"split.fold: is {fold}, but the official folds are {folds_known}; choose one of them")
        part = _rotated(folds, fold, known[(known.index(fold) + 1) % len(known)], val_fraction > 0)
    else:
        raise AudioidError("split=given: no recording has an official part; add a column split or fold to the CSV")
    if not (part == TEST).any():
        raise AudioidError("split=given: no recording is in the official test part; mark some as test")
    train = np.flatnonzero(part == TRAIN)
    for number, label in enumerate(classes):
        if (targets == number).any() and not (targets[train] == number).any():
            raise AudioidError(f"label '{label}': is not in the official training part; put some of it there")
    if val_fraction > 0 and not (part == VAL).any():
        share = val_fraction * len(targets) / len(train)
        if share >= 1:
            raise AudioidError("split.val_fraction: is more than the official training part; lower it")
        members = None if groups is None else groups[train]
        part[train] = _parted(targets[train], members, [1 - share, share], classes, rng)
    return part


def _refuse_gaps(column: str, missing: NDArray[np.bool_]) -> None:
    if missing.any():
        raise AudioidError(f"split=given: {missing.sum()} recordings have no {column}; fill in the CSV's column")
