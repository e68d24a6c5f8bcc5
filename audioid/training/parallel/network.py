"""Networks of one kind as one: each is a group of channels, so that a layer of all of them is one operation.

Convolutions in groups, channels last, take about half the time of torch.func's vmap on a processor; layers that act on
each channel alone need no change.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioid.models import Network
from audioid.models.cnn import MeanOverTime, Residual
from audioid.training.draws import Draws

CONTAINERS = (Network, nn.Sequential, Residual)
OF_EACH_CHANNEL = (nn.ReLU, nn.MaxPool2d, nn.Flatten, MeanOverTime)


class StackedNetwork(Network):
    """Images `(batch, runs, channels, size, size)` to logits `(batch, runs, classes)`, each run's by its own network.

    Names of weights are those of each network, whose values come one after the other in the first dimension; single
    numbers are the same in all. `draws` are what dropout draws from.
    """

    def __init__(self, networks: Sequence[Network], draws: Draws) -> None:
        states = [network.state_dict() for network in networks]
        whole = deepcopy(networks[0]).to("meta")
        for name, layer in list(whole.named_modules()):
            if not isinstance(layer, CONTAINERS + OF_EACH_CHANNEL):
                parent, _, last = name.rpartition(".")
                setattr(whole.get_submodule(parent), last, _stacked(layer, len(networks), draws))
        super().__init__(whole.features, whole.head)
        self.n_runs = len(networks)
        joined = {name: _joined([state[name] for state in states]) for name in states[0]}
        self.load_state_dict(joined, assign=True)

    def forward(self, images: Tensor) -> Tensor:
        groups = images.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        return super().forward(groups).unflatten(1, (self.n_runs, -1))

    def lend(self, networks: Sequence[Network]) -> None:
        """Lets each network have its weights here: what is learned is learned by both."""
        own = dict(_values(self))
        for run, network in enumerate(networks):
            for name, values in _values(network):
                values.data = part(own[name].data, run, self.n_runs)


def part(values: Tensor, run: int, n_runs: int) -> Tensor:
    """What is one run's of values of all, which share the memory."""
    return values.chunk(n_runs)[run] if values.ndim else values


def _joined(values: Sequence[Tensor]) -> Tensor:
    if not values[0].ndim:
        return values[0].clone()
    joined = torch.cat(list(values))
    return joined.contiguous(memory_format=torch.channels_last) if joined.ndim == 4 else joined


def _values(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(network.named_parameters(), network.named_buffers())


def _stacked(layer: nn.Module, n_runs: int, draws: Draws) -> nn.Module:
    """The layer of all runs, without its values."""
    match layer:
        case nn.Conv2d():
            return nn.Conv2d(
                n_runs * layer.in_channels,
                n_runs * layer.out_channels,
                layer.kernel_size,  # type: ignore[arg-type]  # tuples, which PyTorch types as of any length
                layer.stride,  # type: ignore[arg-type]
                layer.padding,  # type: ignore[arg-type]
                groups=n_runs,
                bias=layer.bias is not None,
                device="meta",
            )
        case nn.BatchNorm2d():
            return nn.BatchNorm2d(n_runs * layer.num_features, layer.eps, layer.momentum, device="meta")
        case nn.Linear():
            return StackedLinear(layer.in_features, layer.out_features, n_runs)
        case nn.Dropout():
            return StackedDropout(layer.p, n_runs, draws)
    raise TypeError(f"{type(layer).__name__}: does not say how it works in groups")


class StackedLinear(nn.Module):
    """`(batch, runs * inputs)` to `(batch, runs * outputs)`."""

    def __init__(self, inputs: int, outputs: int, n_runs: int) -> None:
        super().__init__()
        self.n_runs = n_runs
        self.weight = nn.Parameter(torch.empty(n_runs * outputs, inputs, device="meta"))
        self.bias = nn.Parameter(torch.empty(n_runs * outputs, device="meta"))

    def forward(self, features: Tensor) -> Tensor:
        weight, bias = (values.unflatten(0, (self.n_runs, -1)) for values in (self.weight, self.bias))
        of_each = features.unflatten(1, (self.n_runs, -1)).transpose(0, 1)
        return torch.baddbmm(bias[:, None], of_each, weight.mT).transpose(0, 1).flatten(1)


class StackedDropout(nn.Module):
    """Dropout of `(batch, runs * features)`, drawn for each run as if it were alone."""

    def __init__(self, p: float, n_runs: int, draws: Draws) -> None:
        super().__init__()
        self.p, self.n_runs, self.draws = p, n_runs, draws

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or not self.p:
            return features
        kept = []
        for run, own in enumerate(features.chunk(self.n_runs, 1)):
            with self.draws.of(run):
                kept.append(functional.dropout(own.contiguous(), self.p))
        return torch.cat(kept, 1)
