"""The cost of a transform, of one that takes a known time on a clock of its own."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from audioid.transforms import cost


class Sleeper(torch.nn.Module):
    """Takes a number of seconds per clip on its `clock`, and one more where that is the first call."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.image = SimpleNamespace(n_samples=100)
        self.seconds, self.clock = seconds, 0.0
        self.batches: list[int] = []

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        self.clock += self.seconds * len(waveform) + (0 if self.batches else 1e-2)
        self.batches.append(len(waveform))
        return waveform


def measured(sleeper: Any, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> float:
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: sleeper.clock))
    return cost.milliseconds_per_clip(sleeper, device=torch.device("cpu"), **arguments)


def test_it_is_the_warm_time_of_whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = Sleeper(1e-4)
    assert measured(sleeper, monkeypatch, repeats=4) == pytest.approx(0.1)
    assert sleeper.batches == [1, 1, 64, 64, 64, 64, 64]  # two to see how long one takes, and one to warm up


@pytest.mark.parametrize("seconds", [1e-3, 0.01, 0.06])
def test_slow_transforms_are_bounded(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = Sleeper(seconds)
    assert measured(sleeper, monkeypatch) == pytest.approx(1e3 * seconds)
    assert sleeper.clock < 0.4
    assert 1 <= sleeper.batches[-1] < 64
