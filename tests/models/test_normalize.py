"""Normalisation against NumPy, and against what it was before there were channels."""

from typing import Any

import numpy as np
import pytest
import torch

from audioid.models import Normalize


@pytest.mark.parametrize("over", ["global", "pixel"])
@pytest.mark.parametrize("channels", [1, 2])
def test_statistics_are_those_of_numpy_for_each_channel(over: Any, channels: int) -> None:
    images = np.random.default_rng(0).normal(3, 2, (50, channels, 9, 9)).astype(np.float32)
    images *= 10.0 ** np.arange(channels, dtype=np.float32)[:, None, None]  # channels of very different level
    layer = Normalize(channels, 9)
    layer.fit((torch.from_numpy(part) for part in np.array_split(images, 7)), over)
    axes = (0, 2, 3) if over == "global" else (0,)
    expected = (images - images.mean(axes, keepdims=True)) / images.std(axes, keepdims=True)
    np.testing.assert_allclose(layer(torch.from_numpy(images)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [8, 37, 100])
def test_one_channel_has_the_statistics_it_had_without_channels(size: int) -> None:
    images = torch.randn(20, 1, size, size, generator=torch.Generator().manual_seed(size)) * 7 + 2
    mean = images.double().sum(0).div(20).mean()
    square = images.double().square().sum(0).div(20).mean()
    layer = Normalize(1, size)
    layer.fit([images], "global")
    assert torch.equal(layer.mean, mean.float().expand(1, size, size))
    assert torch.equal(layer.deviation, (square - mean.square()).sqrt().float().expand(1, size, size))


def test_pixels_that_never_change_are_left_unscaled() -> None:
    images = torch.full((10, 1, 4, 4), 0.5)
    layer = Normalize(1, 4)
    layer.fit([images], "pixel")
    assert torch.equal(layer(images + 1), torch.ones_like(images))
