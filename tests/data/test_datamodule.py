"""Batches of a part: the rows they name, read once or a batch at a time, in an order that a seed repeats."""

import numpy as np
import pytest
import torch

from audioid.data import datamodule
from audioid.data.clips import Clips
from audioid.data.datamodule import AudioDataModule, Batch, EpochSampler, Numbers, eval_dataloader
from audioid.data.split import SplitIndices

ROWS = np.arange(40 * 6, dtype=np.float32).reshape(40, 2, 3)
TARGETS = np.arange(40) % 3
ONE_EACH = Clips(np.ones(40, dtype=np.intp))


class Source:
    """The rows, and how often they were read."""

    def __init__(self) -> None:
        self.reads = 0

    def __getitem__(self, numbers: Numbers) -> np.ndarray:
        self.reads += 1
        return ROWS[numbers]


def module(source: Source, train: int = 26) -> AudioDataModule:
    numbers = np.random.default_rng(0).permutation(40)
    parts = SplitIndices(numbers[:train], numbers[train:34], numbers[34:])
    return AudioDataModule(source, source, TARGETS, ONE_EACH, parts, digest="", batch_size=5, seed=3)


def batches_of(data: AudioDataModule, epoch: int) -> list[Batch]:
    loader = data.train_dataloader()
    assert isinstance(loader.sampler, EpochSampler)
    loader.sampler.set_epoch(epoch)
    return list(loader)


def test_an_epoch_has_every_row_of_its_part_once_with_its_target() -> None:
    data = module(Source(), train=27)
    images, targets = (torch.cat(parts) for parts in zip(*batches_of(data, 0), strict=True))
    numbers = (images[:, 0, 0] / 6).long().numpy()
    assert sorted(numbers) == sorted(data.split.train)
    np.testing.assert_array_equal(images, ROWS[numbers])
    np.testing.assert_array_equal(targets, TARGETS[numbers])


@pytest.mark.parametrize("is_bounded", [False, True])
def test_rows_that_memory_holds_are_read_once_and_give_the_batches_of_those_it_does_not(
    monkeypatch: pytest.MonkeyPatch, *, is_bounded: bool
) -> None:
    small, large = Source(), Source()
    inside = batches_of(module(small), 1)
    one_byte_less = 26 * ROWS[0].nbytes - 1
    if is_bounded:
        monkeypatch.setattr(datamodule, "memory_limit", lambda: one_byte_less / datamodule.SHARE)
    else:
        monkeypatch.setattr(datamodule, "IN_MEMORY", one_byte_less)
    loader = module(large)
    outside = batches_of(loader, 1)
    for one, other in zip(inside, outside, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    read, large.reads = small.reads, 0
    assert read <= 2  # one row tells the size
    batches_of(loader, 2)
    assert large.reads >= len(outside)


def test_the_order_is_another_each_epoch_and_the_same_again() -> None:
    orders = [list(EpochSampler(Clips(ONE_EACH.counts[:26]), seed)) for seed in (3, 4)]
    again = EpochSampler(Clips(ONE_EACH.counts[:26]), 3)
    assert list(again) == orders[0] != orders[1]
    again.set_epoch(1)
    assert list(again) != orders[0]


def test_a_last_batch_of_one_is_judged_too() -> None:
    data = module(Source(), train=26)
    whole = eval_dataloader(ROWS, TARGETS, ONE_EACH, data.split.train, batch_size=5)
    assert [len(targets) for _, targets, _ in whole] == [5] * 5 + [1]
    assert list(eval_dataloader(ROWS, TARGETS, ONE_EACH, data.split.train[:0], batch_size=5)) == []


COUNTS = np.array([1, 3, 2, 1, 4, 1])
CLIPS, CLIP_ROWS = Clips(COUNTS), np.arange(12 * 2, dtype=np.float32).reshape(12, 2)
LABELS = np.array([0, 1, 0, 1, 2, 2])


def test_recordings_come_with_all_their_clips_to_be_judged() -> None:
    chosen = np.array([4, 0, 1, 5])
    batches = list(eval_dataloader(CLIP_ROWS, LABELS, CLIPS, chosen, batch_size=8))
    assert [len(targets) for _, targets, _ in batches] == [2, 2]  # of at most four clips each
    images, targets, counts = (torch.cat(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(images[:, 0] / 2, [7, 8, 9, 10, 0, 1, 2, 3, 11])
    np.testing.assert_array_equal(targets, LABELS[chosen])
    np.testing.assert_array_equal(counts, COUNTS[chosen])


def test_an_epoch_has_one_clip_of_each_recording_and_in_time_all() -> None:
    train, rest = np.array([4, 1, 3, 0]), np.array([2, 5])
    parts = SplitIndices(train, rest[:1], rest[1:])
    data = AudioDataModule(CLIP_ROWS, CLIP_ROWS, LABELS, CLIPS, parts, digest="", batch_size=2, seed=0)
    seen = set[int]()
    for epoch in range(40):
        images, targets = (torch.cat(part) for part in zip(*batches_of(data, epoch), strict=True))
        rows = (images[:, 0] / 2).long().numpy()
        assert sorted(CLIPS.owners[rows]) == [0, 1, 3, 4]
        np.testing.assert_array_equal(targets, LABELS[CLIPS.owners[rows]])
        seen |= set(rows.tolist())
    assert seen == {0, 1, 2, 3, 6, 7, 8, 9, 10}
