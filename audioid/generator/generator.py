"""Sounds without end: of any kind, by any of endlessly many makers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from audioid.generator.kinds import KINDS
from audioid.generator.studio import recorded
from audioid.generator.takes import Takes, keys

AT_ONCE = 32  # sounds of one kind that are made together: more would fall out of the cache


class Generator:
    """Makes sounds of `KINDS`; the same arguments give the same sound, alone or among others, to rounding."""

    def __init__(self, *, seed: int, sample_rate: int, seconds: float, own: float = 0.2, device: str = "cpu") -> None:
        self.seed, self.sample_rate, self.own, self.device = seed, sample_rate, own, device
        self.n_samples = round(sample_rate * seconds)

    @torch.inference_mode()
    def sounds(self, kinds: Sequence[int] | Tensor, makers: Tensor, takes: Tensor) -> Tensor:
        """Waveforms `(batch, time)`, float32 within -1 and 1: the take `takes` of what the maker `makers` built.

        `kinds` are places in `KINDS`; all three are `(batch,)`.
        """
        kinds = torch.as_tensor(kinds, device=self.device)
        found = torch.empty(len(kinds), self.n_samples, device=self.device)
        for kind in kinds.unique().tolist():
            for places in (kinds == kind).nonzero()[:, 0].split(AT_ONCE):
                some = makers.to(self.device)[places], takes.to(self.device)[places]
                found[places] = self._of_kind(kind, *some)
        return found

    def _of_kind(self, kind: int, makers: Tensor, takes: Tensor) -> Tensor:
        # The studio belongs to the maker: all kinds of one maker were recorded in it.
        instrument = self._takes(1 + kind, makers, takes)
        studio = self._takes(0, makers, takes + (1 + kind) * 1_000_003)
        return recorded(studio, KINDS[kind].model(instrument))

    def _takes(self, kind: int, makers: Tensor, takes: Tensor) -> Takes:
        return Takes(*keys(self.seed, kind, makers, takes), self.sample_rate, self.n_samples, self.own)
