"""Networks and changes that were candidates for the default: rows of scripts/bench_recipe.py, and nothing else.

All are made of the default's parts, with one thing changed. Where a change belongs to training alone (an equaliser on
the picture, averaged weights), it is a layer that acts in training, so that the program's own loop runs it. What is
about the loss or its descent takes the place of a part of that loop for as long as a run lasts.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from audioid import model_folder
from audioid.models.cnn import Residual
from audioid.training import module


class Squeeze(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018) by a quarter."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // 4, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // 4, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, features * self.gate(features))


class Squeezed(Residual):
    """The default's residual block with a gate on what it adds."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.branch.append(Squeeze(channels))


class Depthwise(nn.Module):
    """A depthwise 5x5 convolution and two pointwise ones beside the identity, as in ConvNeXt (Liu et al. 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, features + self.branch(features))


class Broadcasted(nn.Module):
    """A path over frequency, and one over time alone that is broadcast to all rows, as in BC-ResNet (Kim 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.frequency = nn.Sequential(
            nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), groups=channels, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.time = nn.Sequential(
            nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        along = self.frequency(features)
        return functional.relu(features + along + self.time(along.mean(2, keepdim=True)))


BLOCKS: dict[str, Callable[[int], nn.Module]] = {
    "residual": Residual,
    "squeezed": Squeezed,
    "depthwise": Depthwise,
    "broadcasted": Broadcasted,
}


class Pool(nn.Module):
    """`(batch, channels, frequency, time)` to statistics over time, `(batch, features)`; frequencies are kept."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, features: Tensor) -> Tensor:
        mean = features.mean(-1)
        match self.kind:
            case "mean":
                found = mean
            case "mean and maximum":
                found = torch.cat([mean, features.amax(-1)], 1)
            case "mean and deviation":
                found = torch.cat([mean, features.var(-1, unbiased=False).add(1e-5).sqrt()], 1)
            case "frequency too":
                found = mean.mean(-1)
            case _:
                raise ValueError(self.kind)
        return found.flatten(1)


class Attention(nn.Module):
    """Means over time weighted by what a layer makes of each column (Kong et al. 2020), `(batch, features)`."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1)

    def forward(self, features: Tensor) -> Tensor:
        columns = features.flatten(1, 2)  # (batch, channels * frequency, time)
        weights = self.score(columns.transpose(1, 2)).softmax(1)
        return (columns @ weights).squeeze(2)


class BlurPool(nn.Module):
    """A binomial filter before every second sample is taken (Zhang 2019)."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(line, line).expand(channels, 1, 3, 3).contiguous())

    def forward(self, features: Tensor) -> Tensor:
        return functional.conv2d(features, self.kernel, stride=2, padding=1, groups=len(self.kernel))


class Coordinates(nn.Module):
    """Another channel, which says how high a row is: from -1 to 1 (Liu et al. 2018)."""

    def forward(self, images: Tensor) -> Tensor:
        rows = torch.linspace(-1, 1, images.shape[2], device=images.device)[:, None]
        return torch.cat([images, rows.expand(len(images), 1, *images.shape[2:])], 1)


class RelaxedNorm(nn.Module):
    """Relaxed instance frequency-wise normalisation (Kim et al. 2022): rows by their own statistics, by half."""

    def forward(self, images: Tensor) -> Tensor:
        variance, mean = torch.var_mean(images, (1, 3), keepdim=True)
        whole_variance, whole_mean = torch.var_mean(images, (1, 2, 3), keepdim=True)
        by_row, whole = ((images - m) / (v + 1e-5).sqrt() for m, v in ((mean, variance), (whole_mean, whole_variance)))
        return 0.5 * by_row + 0.5 * whole


class RowStatistics(nn.Module):
    """Each row of the picture by its own mean and deviation over the training part."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(rows)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(1, 2)  # (batch, channels * frequency, time)
        return cast(Tensor, self.norm(rows)).view_as(images)


class RowGain(nn.Module):
    """Per-channel energy normalisation (Wang et al. 2017), which divides by a smoothed past, of pictures in decibels.

    What it raises to a power is energy, so that `decibels`, what a deviation of the picture is worth, undoes the
    logarithm. Gain, bias and root begin as in the paper and learn; the past is that of a sixteenth of the columns.
    """

    def __init__(self, decibels: float = 25.0, smoothing: float = 0.06) -> None:
        super().__init__()
        self.decibels, self.smoothing = decibels, smoothing
        self.gain, self.bias, self.root = (nn.Parameter(torch.tensor(value)) for value in (0.98, 2.0, 0.5))

    def forward(self, images: Tensor) -> Tensor:
        energy = 10 ** (images.float() * self.decibels / 10)
        past, smoothed = energy[..., :1], []
        for column in energy.split(1, -1):
            past = torch.lerp(past, column, self.smoothing)
            smoothed.append(past)
        evened = energy / (1e-6 + torch.cat(smoothed, -1)) ** self.gain
        return (evened + self.bias) ** self.root - self.bias**self.root


class FrequencyMixStyle(nn.Module):
    """Statistics of rows mixed with those of another recording, in half of the batches (Schmid et al. 2022)."""

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or torch.rand(()) < 0.5:
            return features
        variance, mean = torch.var_mean(features.detach(), (1, 3), keepdim=True)  # as its authors have it
        deviation = (variance + 1e-6).sqrt()
        share = Beta(0.3, 0.3).sample((len(features), 1, 1, 1)).to(features)
        other = torch.randperm(len(features), device=features.device)
        mixed_mean, mixed_deviation = (torch.lerp(each[other], each, share) for each in (mean, deviation))
        return (features - mean) / deviation * mixed_deviation + mixed_mean


class RandomEqualizer(nn.Module):
    """A smooth random response on the picture in training: the sound's equaliser, for nothing.

    `most` is in the picture's standard deviations.
    """

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return images
        points = torch.empty(len(images), 1, 6, device=images.device).uniform_(-self.most, self.most)
        curve = functional.interpolate(points, images.shape[2], mode="linear", align_corners=True)
        floor = images.amin((1, 2, 3), keepdim=True)
        return torch.where(images > floor + 1e-3, (images + curve[..., None]).maximum(floor), images)


class RandomFloor(nn.Module):
    """The noise floor raised at random in training, by at most `most` standard deviations of the picture."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return images
        floor = images.amin((1, 2, 3), keepdim=True)
        raised = floor + self.most * torch.rand(len(images), 1, 1, 1, device=images.device)
        return images.maximum(raised + 0.1 * torch.randn_like(images))


# Of how many rows a picture has, in all of its channels.
INPUTS: dict[str, Callable[[int], nn.Module]] = {
    "coordinates": lambda rows: Coordinates(),
    "relaxed": lambda rows: RelaxedNorm(),
    "rows": RowStatistics,
    "pcen": lambda rows: RowGain(),
    "equalizer": lambda rows: RandomEqualizer(0.7),
    "floor": lambda rows: RandomFloor(1.5),
}


class Averaged(nn.Module):
    """A network that is judged by the moving average of its weights (EMA), updated before each step."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = network
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self.average.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return cast(Tensor, self.average(images))
        if torch.is_grad_enabled():
            self.average.update_parameters(self.network)
        return cast(Tensor, self.network(images))


class Shifted(nn.Module):
    """A network that is judged by the mean log-probabilities of a picture and of it some rows higher and lower."""

    def __init__(self, network: nn.Module, rows: int) -> None:
        super().__init__()
        self.network, self.rows = network, rows

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            return cast(Tensor, self.network(images))
        size = images.shape[2]
        places = torch.arange(size, device=images.device)
        seen = [images[:, :, (places + rows).clamp(0, size - 1)] for rows in (-self.rows, 0, self.rows)]
        return torch.stack([self.network(each).log_softmax(1) for each in seen]).mean(0)


def network(
    *,
    in_channels: int,
    n_classes: int,
    image_size: int,
    width: int = 32,
    depth: int = 4,
    dropout: float = 0.2,
    block: str = "residual",
    blocks: Sequence[int] = (),
    pool: str = "mean",
    inputs: Sequence[str] = (),
    mixstyle: bool = False,
    blur: bool = False,
    average: float = 0.0,
    shifts: int = 0,
) -> nn.Module:
    """Strided convolutions as in the default, `blocks[stage]` blocks of one kind after each stage's."""
    layers: list[nn.Module] = [INPUTS[name](in_channels * image_size) for name in inputs]
    channels = in_channels + list(inputs).count("coordinates")
    for stage in range(depth):
        wider = width * min(2**stage, 4)
        kernel = 5 if stage == 0 else 3
        layers.append(
            nn.Conv2d(channels, wider, kernel, stride=1 if blur and stage else 2, padding=kernel // 2, bias=False)
        )
        layers += [nn.BatchNorm2d(wider), nn.ReLU(inplace=True)]
        if blur and stage:
            layers.append(BlurPool(wider))
        layers += [BLOCKS[block](wider) for _ in range(blocks[stage] if blocks else 0)]
        if mixstyle and stage < 2:
            layers.append(FrequencyMixStyle())
        channels = wider
    rows = 1 if pool == "frequency too" else math.ceil(image_size / 2**depth)
    statistics = 2 if pool in ("mean and maximum", "mean and deviation") else 1
    pooling = Attention(channels * rows) if pool == "attention" else Pool(pool)
    whole = nn.Sequential(*layers, pooling, nn.Dropout(dropout), nn.Linear(statistics * channels * rows, n_classes))
    if shifts:
        return Shifted(whole, shifts)
    return Averaged(whole, average) if average else whole


def smoothed(amount: float) -> AbstractContextManager[object]:
    """Training on targets of which that share is spread evenly over all classes (Szegedy et al. 2016)."""
    return patch.object(module.functional, "cross_entropy", partial(functional.cross_entropy, label_smoothing=amount))


class SharpnessAware(AdamW):
    """AdamW by the gradient at the worst place near the weights, `distance` away (Foret et al. 2021).

    It looks at each batch twice, both times as the first look changed it.
    """

    distance = 0.05

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        chance = torch.get_rng_state()
        loss = closure()
        chance_after = torch.get_rng_state()
        weights = [each for group in self.param_groups for each in group["params"] if each.grad is not None]
        gradient = [each.grad.clone() for each in weights]
        scale = self.distance / (torch.stack([each.norm() for each in gradient]).norm() + 1e-12)
        with torch.no_grad():
            before = [each.clone() for each in weights]
            for each, slope in zip(weights, gradient, strict=True):
                each += scale * slope
        torch.set_rng_state(chance)
        closure()
        torch.set_rng_state(chance_after)
        with torch.no_grad():
            for each, was in zip(weights, before, strict=True):
                each.copy_(was)
        super().step()
        return loss


def sharpness_aware() -> AbstractContextManager[object]:
    return patch.object(module, "AdamW", SharpnessAware)


def taught(run: Path) -> AbstractContextManager[object]:
    """Training by what the network of another run says, as much as by the label (Furlanello et al. 2018)."""
    teacher = model_folder.load(run).classifier

    def training_step(self: module.ClassifierModule, batch: tuple[Tensor, Tensor]) -> Tensor:
        with torch.autocast(self.device.type, enabled=False):
            images, targets = self.augment(*batch)
        with torch.no_grad():
            expected = teacher.classify(images).softmax(1)
        logits = self.network(images)
        losses = functional.cross_entropy(logits, targets, reduction="none")
        self._update("train", losses.detach(), logits.argmax(1) == targets)
        return 0.5 * losses.mean() + 0.5 * functional.cross_entropy(logits, expected)

    return patch.object(module.ClassifierModule, "training_step", training_step)
