"""Batches of a part: the rows they name, read once or a batch at a time, in an order that a seed repeats."""

import numpy as np
import pytest
import torch

from audioid.data import datamodule
from audioid.data.datamodule import AudioDataModule, Batch, EpochSampler, Numbers, eval_dataloader
from audioid.data.split import SplitIndices

ROWS = np.arange(40 * 6, dtype=np.float32).reshape(40, 2, 3)
TARGETS = np.arange(40) % 3


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
    return AudioDataModule(source, source, TARGETS, parts, digest="", batch_size=5, seed=3)


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


def test_rows_that_memory_holds_are_read_once_and_give_the_batches_of_those_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small, large = Source(), Source()
    inside = batches_of(module(small), 1)
    monkeypatch.setattr(datamodule, "IN_MEMORY", 26 * ROWS[0].nbytes - 1)
    loader = module(large)
    outside = batches_of(loader, 1)
    for one, other in zip(inside, outside, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    read, large.reads = small.reads, 0
    assert read <= 2  # one row tells the size
    batches_of(loader, 2)
    assert large.reads >= len(outside)


def test_the_order_is_another_each_epoch_and_the_same_again() -> None:
    orders = [list(EpochSampler(26, seed)) for seed in (3, 4)]
    again = EpochSampler(26, 3)
    assert list(again) == orders[0] != orders[1]
    again.set_epoch(1)
    assert list(again) != orders[0]


def test_a_last_batch_of_one_is_left_out_of_training_alone() -> None:
    data = module(Source(), train=26)
    assert [len(targets) for _, targets in batches_of(data, 0)] == [5] * 5
    assert (
        sum(len(targets) for _, targets in eval_dataloader(data.rows, data.targets, data.split.train, batch_size=5))
        == 26
    )
    assert list(eval_dataloader(data.rows, data.targets, data.split.train[:0], batch_size=5)) == []
