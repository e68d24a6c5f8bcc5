"""Batches of several runs over the same recordings, each in the order of its own seed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from audioid.data.clips import Clips
from audioid.data.datamodule import (
    AudioDataModule,
    Batch,
    EpochSampler,
    Numbers,
    RowDataset,
    RowSource,
    dataloader,
)

Places = tuple[int, ...]  # one for each run


class ParallelDataModule(AudioDataModule):
    """As an `AudioDataModule` of each of the `seeds`, but that batches to train on are `(batch, runs, ...)`."""

    def __init__(self, *parts: Any, seeds: Sequence[int], **more: Any) -> None:
        super().__init__(*parts, seed=seeds[0], **more)
        self.seeds = seeds

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None  # it is who asks
        device = self.trainer.strategy.root_device
        numbers = self.clips.rows(self.split.train)
        part = ParallelDataset(self.training_rows, self.targets[self.clips.owners], numbers, device)
        sampler = ParallelSampler(self.training_clips, self.seeds)
        return dataloader(part, self.batch_size, sampler)


class ParallelDataset(RowDataset):
    """As `RowDataset`, with a place for each run; rows that are kept in memory are kept in that of the `device`."""

    def __init__(self, rows: RowSource, targets: Numbers, numbers: Numbers, device: torch.device) -> None:
        super().__init__(rows, targets, numbers)
        self.kept = None
        if isinstance(self.rows, np.ndarray):
            self.kept = torch.from_numpy(self.rows).to(device), torch.from_numpy(self.targets).to(device)

    def __getitems__(self, places: list[Places]) -> Batch:  # type: ignore[override]
        wanted, shape = np.array(places).ravel(), (len(places), len(places[0]))
        if self.kept is None:
            rows, targets = super().__getitems__(wanted)  # type: ignore[arg-type]
        else:
            index = torch.from_numpy(wanted).to(self.kept[0].device)
            rows, targets = (values.index_select(0, index) for values in self.kept)
        return rows.unflatten(0, shape), targets.unflatten(0, shape)


class ParallelSampler(Sampler[Places]):
    """What an `EpochSampler` of each seed gives, side by side."""

    def __init__(self, clips: Clips, seeds: Sequence[int]) -> None:
        self.samplers = [EpochSampler(clips, seed) for seed in seeds]

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        for sampler in self.samplers:
            sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.samplers[0])

    def __iter__(self) -> Iterator[Places]:
        return zip(*self.samplers, strict=True)
