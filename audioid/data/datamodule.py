"""Batches of rows and targets for Lightning."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from audioid.data.split import SplitIndices

Numbers = NDArray[np.int64]
Batch = tuple[Tensor, Tensor]

# A part this small is kept in memory beside PyTorch itself, also where several runs share a laptop.
IN_MEMORY = 2**30  # bytes


class RowSource(Protocol):
    """Rows that are read by their numbers, such as those of the store."""

    def __getitem__(self, numbers: Numbers) -> NDArray[np.float32]: ...


class RowDataset(Dataset[Batch]):
    """The rows `numbers` of a source with their targets; whole batches are read at once.

    Rows of at most IN_MEMORY bytes are read once, all others anew for each batch.
    """

    def __init__(self, rows: RowSource, targets: Numbers, numbers: Numbers) -> None:
        if len(numbers) and len(numbers) * rows[numbers[:1]].nbytes <= IN_MEMORY:
            rows, targets, numbers = rows[numbers], targets[numbers], np.arange(len(numbers))
        self.rows, self.targets, self.numbers = rows, targets, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitems__(self, places: list[int]) -> Batch:
        numbers = self.numbers[places]
        return torch.from_numpy(self.rows[numbers]), torch.from_numpy(self.targets[numbers])


class EpochSampler(Sampler[int]):
    """A new order each epoch that depends on seed and epoch alone, so that a resumed run sees the same batches."""

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed, self.epoch = length, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng([self.seed, self.epoch]).permutation(self.length).tolist())


class AudioDataModule(LightningDataModule):
    """Batches `(rows, targets)` of the three parts of a split.

    `training_rows` are what the training part is read from: `rows` themselves, or waveforms whose sound is
    augmented before they become images. `digest` names the recordings.
    """

    def __init__(
        self,
        rows: RowSource,
        training_rows: RowSource,
        targets: Numbers,
        split: SplitIndices,
        *,
        digest: str,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.rows, self.training_rows, self.targets, self.split = rows, training_rows, targets, split
        self.digest, self.batch_size, self.seed = digest, batch_size, seed

    def state_dict(self) -> dict[str, str]:
        """What a checkpoint keeps: which recordings these were."""
        return {"digest": self.digest}

    def train_dataloader(self) -> DataLoader[Batch]:
        part = RowDataset(self.training_rows, self.targets, self.split.train)
        return training_dataloader(part, self.batch_size, EpochSampler(len(part), self.seed))

    def val_dataloader(self) -> DataLoader[Batch]:
        return eval_dataloader(self.rows, self.targets, self.split.val, batch_size=self.batch_size)


def training_dataloader(part: RowDataset, batch_size: int, sampler: Sampler[Any]) -> DataLoader[Batch]:
    """The part in the order of the sampler."""
    # Batch normalisation cannot learn from a last batch of one.
    alone = len(part) % batch_size == 1 and len(part) > 1
    return _loader(part, batch_size, sampler, drop_last=alone)


def eval_dataloader(rows: RowSource, targets: Numbers, numbers: Numbers, *, batch_size: int) -> DataLoader[Batch]:
    """The rows `numbers` and their targets, one after the other, for evaluation."""
    return _loader(RowDataset(rows, targets, numbers), batch_size)


def _loader(
    part: RowDataset, batch_size: int, sampler: Sampler[Any] | None = None, drop_last: bool = False
) -> DataLoader[Batch]:
    # Rows come from memory or from memory-mapped arrays: worker processes would only add copies.
    return DataLoader(part, batch_size, sampler=sampler, drop_last=drop_last, collate_fn=_as_it_is)  # type: ignore[arg-type]


def _as_it_is(batch: Batch) -> Batch:
    """The batch as `RowDataset` read it; PyTorch types the argument for lists of items."""
    return batch
