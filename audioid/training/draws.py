"""The random numbers of a training step: by seed and step alone, and of several runs as if each were alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """Seeds torch's generators for a step, the first being 0: augmentation and dropout then depend on nothing else.

    Not torch.manual_seed, which takes longer on each kind of device that the machine lacks.
    """
    seed += 1_000_003 * (step + 1)
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


class Draws:
    """The states of torch's generators in several runs that take turns, each going on where it was."""

    def __init__(self) -> None:
        self.device, self.states = torch.device("cpu"), list[tuple[Tensor, ...]]()

    def begin_step(self, seeds: Sequence[int], step: int, device: torch.device) -> None:
        """As `seed_step` of each run, whose seeds these are."""
        self.device, self.states = device, []
        for seed in seeds:
            seed_step(seed, step, device)
            self.states.append(self._state())

    @contextmanager
    def of(self, run: int) -> Iterator[None]:
        """A block that draws what this run draws next."""
        on_cpu, *on_device = self.states[run]
        torch.default_generator.set_state(on_cpu)
        for state in on_device:
            torch.get_device_module(self.device).set_rng_state(state)
        yield
        self.states[run] = self._state()

    def _state(self) -> tuple[Tensor, ...]:
        on_cpu = torch.default_generator.get_state()
        if self.device.type == "cpu":
            return (on_cpu,)
        return on_cpu, torch.get_device_module(self.device).get_rng_state()
