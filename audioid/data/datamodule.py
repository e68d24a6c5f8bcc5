"""Batches of rows and targets for Lightning."""

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from audioid.data.clips import Clips
from audioid.data.memory_limit import memory_limit
from audioid.data.split import SplitIndices

Numbers = NDArray[np.int64]
Batch = tuple[Tensor, Tensor]
Judged = tuple[Tensor, Tensor, Tensor]  # clips, the targets of their recordings, and how many clips each of these has

B = TypeVar("B", Batch, Judged)

# A part this small is kept in memory beside PyTorch itself, also where several runs share a laptop, if it is no more
# than a small share of what this process may take.
IN_MEMORY, SHARE = 2**30, 1 / 16  # bytes


class RowSource(Protocol):
    """Rows that are read by their numbers, such as those of the store."""

    def __getitem__(self, numbers: Numbers) -> NDArray[np.float32]: ...


class RowDataset(Dataset[Batch]):
    """The rows `numbers` of a source with their targets; whole batches are read at once.

    Rows of at most IN_MEMORY bytes, and SHARE of the memory that there is, are read once, others for each batch.
    """

    def __init__(self, rows: RowSource, targets: Numbers, numbers: Numbers) -> None:
        if len(numbers) and len(numbers) * rows[numbers[:1]].nbytes <= min(IN_MEMORY, SHARE * memory_limit()):
            rows, targets, numbers = rows[numbers], targets[numbers], np.arange(len(numbers))
        self.rows, self.targets, self.numbers = rows, targets, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitems__(self, places: list[int]) -> Batch:
        numbers = self.numbers[places]
        return torch.from_numpy(self.rows[numbers]), torch.from_numpy(self.targets[numbers])


class RecordingDataset(Dataset[Judged]):
    """The recordings `numbers`, each with all of its clips, which `rows` has one after another."""

    def __init__(self, rows: RowSource, targets: Numbers, numbers: Numbers, clips: Clips) -> None:
        self.clips, self.targets = Clips(clips.counts[numbers]), targets[numbers]
        self.rows = RowDataset(rows, targets[clips.owners], clips.rows(numbers))

    def __len__(self) -> int:
        return len(self.targets)

    def __getitems__(self, places: list[int]) -> Judged:
        wanted = np.array(places)
        images, _ = self.rows.__getitems__(self.clips.rows(wanted).tolist())
        return images, torch.from_numpy(self.targets[wanted]), torch.from_numpy(self.clips.counts[wanted])


class EpochSampler(Sampler[int]):
    """One clip of each recording, in a new order each epoch that depends on seed and epoch alone, so that a resumed run
    sees the same batches. Of several clips chance takes one."""

    def __init__(self, clips: Clips, seed: int) -> None:
        self.clips, self.seed, self.epoch = clips, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.clips.counts)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self))
        return iter((self.clips.first[order] + rng.integers(self.clips.counts[order])).tolist())


class AudioDataModule(LightningDataModule):
    """Batches of the parts of a split: to train `(rows, targets)` of a clip of each recording, and of `Judged` ones.

    `rows` are of clips, and `training_rows` are what the training part is read from: `rows` themselves, or waveforms
    whose sound is augmented before they become images. `digest` names the recordings, whose `targets` these are.
    """

    def __init__(
        self,
        rows: RowSource,
        training_rows: RowSource,
        targets: Numbers,
        clips: Clips,
        split: SplitIndices,
        *,
        digest: str,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.rows, self.training_rows, self.targets, self.clips, self.split = rows, training_rows, targets, clips, split
        self.digest, self.batch_size, self.seed = digest, batch_size, seed

    def state_dict(self) -> dict[str, str]:
        """What a checkpoint keeps: which recordings these were, and how they were parted."""
        return {"digest": self.digest, "parts": self.split.digest}

    @property
    def training_clips(self) -> Clips:
        """Those of the training part, one recording after another."""
        return Clips(self.clips.counts[self.split.train])

    def train_dataloader(self) -> DataLoader[Batch]:
        numbers = self.clips.rows(self.split.train)
        part = RowDataset(self.training_rows, self.targets[self.clips.owners], numbers)
        sampler = EpochSampler(self.training_clips, self.seed)
        return dataloader(part, self.batch_size, sampler)

    def val_dataloader(self) -> DataLoader[Judged]:
        return eval_dataloader(self.rows, self.targets, self.clips, self.split.val, batch_size=self.batch_size)


def eval_dataloader(
    rows: RowSource, targets: Numbers, clips: Clips, numbers: Numbers, *, batch_size: int
) -> DataLoader[Judged]:
    """The recordings `numbers` one after the other, each with all of its clips, about `batch_size` clips at a time."""
    part = RecordingDataset(rows, targets, numbers, clips)
    return dataloader(part, max(1, batch_size // int(part.clips.counts.max(initial=1))))


def dataloader(part: Dataset[B], batch_size: int, sampler: Sampler[Any] | None = None) -> DataLoader[B]:
    """All of the part in batches, in its own order or that of the sampler; how many of them an epoch takes is for the
    trainer to say."""
    # Rows come from memory or from files as they are: worker processes would only add copies.
    return DataLoader(part, batch_size, sampler=sampler, collate_fn=_as_it_is)


def _as_it_is(batch: B) -> B:
    """The batch as the data set read it; PyTorch types the argument for lists of items."""
    return batch
