"""Networks: shapes, the original's exact make-up, and normalisation against NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from audioid import models
from audioid.errors import AudioidError

CNN = {"name": "cnn", "width": 8, "depth": 4, "dropout": 0.1}
ORIGINAL = {"name": "original", "width": 50}


@pytest.mark.parametrize("model", [CNN, ORIGINAL, CNN | {"depth": 1}, CNN | {"depth": 8}])
@pytest.mark.parametrize("size", [16, 37, 100])
def test_images_of_any_size_become_logits(model: dict[str, Any], size: int) -> None:
    network = models.build(model, n_classes=5, image_size=size).eval()
    assert network(torch.randn(3, 1, size, size)).shape == (3, 5)


@pytest.mark.parametrize("model", [CNN, ORIGINAL])
def test_an_image_alone_gets_the_logits_it_gets_in_a_batch(model: dict[str, Any]) -> None:
    network = models.build(model, n_classes=4, image_size=40).eval()
    images = torch.randn(6, 1, 40, 40)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(alone, network(images), rtol=1e-4, atol=1e-5)


def test_the_original_has_the_parameters_of_its_description() -> None:
    network = models.build(ORIGINAL, n_classes=7, image_size=100)
    convolutions = 16 * (25 + 1) + 32 * (16 * 25 + 1)
    linear = (32 * 22 * 22 + 1) * 50 + (50 + 1) * 7  # 100 - 4 = 96, 48, 44, 22
    assert sum(weights.numel() for weights in network.parameters()) == convolutions + linear


def test_the_original_has_no_activation_between_its_linear_layers() -> None:
    network = models.build(ORIGINAL, n_classes=3, image_size=40)
    *_, first, second = network
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    features = torch.randn(4, first.in_features)
    together = nn.functional.linear(features, second.weight @ first.weight, second.weight @ first.bias + second.bias)
    torch.testing.assert_close(second(first(features)), together, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_both_pictures_the_same_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(models.build(CNN, n_classes=4, image_size=40).state_dict())
    for name, weights in states[0].items():
        assert torch.equal(weights, states[1][name])


def test_the_small_network_tells_frequency_but_not_time() -> None:
    network = models.build(CNN | {"depth": 2}, n_classes=4, image_size=64).eval()
    line = torch.zeros(1, 1, 64, 64)
    line[..., 20, :] = 1
    higher = line.roll(16, dims=-2)
    assert not torch.allclose(network(line), network(higher), atol=1e-4)
    click = torch.zeros(1, 1, 64, 64)
    click[..., 24] = 1
    torch.testing.assert_close(network(click), network(click.roll(16, dims=-1)), rtol=1e-4, atol=1e-5)


def test_small_images_are_refused_by_the_original() -> None:
    with pytest.raises(AudioidError, match="at least 16"):
        models.build(ORIGINAL, n_classes=3, image_size=15)


@pytest.mark.parametrize("over", ["global", "pixel"])
def test_normalisation_is_that_of_numpy_over_batches_of_any_size(over: Any) -> None:
    images = np.random.default_rng(0).normal(3, 2, (50, 1, 9, 9)).astype(np.float32)
    layer = models.Normalize(9)
    layer.fit((torch.from_numpy(part) for part in np.array_split(images, 7)), over)
    axes = (0, 1, 2, 3) if over == "global" else (0, 1)
    expected = (images - images.mean(axes, keepdims=True)) / images.std(axes, keepdims=True)
    np.testing.assert_allclose(layer(torch.from_numpy(images)), expected, rtol=1e-4, atol=1e-4)


def test_pixels_that_never_change_are_left_unscaled() -> None:
    images = torch.full((10, 1, 4, 4), 0.5)
    layer = models.Normalize(4)
    layer.fit([images], "pixel")
    assert torch.equal(layer(images + 1), torch.ones_like(images))
