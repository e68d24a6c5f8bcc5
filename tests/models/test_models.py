"""The networks of the house: shapes, parts, initial weights, the original's exact make-up and cost."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audioid import models
from audioid.errors import AudioidError
from audioid.models.cnn import MeanOverTime, Residual

CNN = {"name": "cnn", "width": 8, "depth": 4, "dropout": 0.1}
ORIGINAL = {"name": "original", "width": 50}


@pytest.mark.parametrize("model", [CNN, ORIGINAL, CNN | {"depth": 1}, CNN | {"depth": 8}, CNN | {"blocks": 3}])
@pytest.mark.parametrize("size", [16, 37, 100])
@pytest.mark.parametrize("channels", [1, 2])
def test_images_of_any_size_become_features_and_logits(model: dict[str, Any], size: int, channels: int) -> None:
    network = models.build(model, in_channels=channels, n_classes=5, image_size=size).eval()
    images = torch.randn(3, channels, size, size)
    features = network.features(images)
    assert isinstance(network.head, nn.Linear)
    assert features.shape == (3, network.head.in_features)
    assert network(images).shape == (3, 5)
    torch.testing.assert_close(network(images), features @ network.head.weight.T + network.head.bias)


@pytest.mark.parametrize("model", [CNN, ORIGINAL])
def test_an_image_alone_gets_the_logits_it_gets_in_a_batch(model: dict[str, Any]) -> None:
    network = models.build(model, in_channels=1, n_classes=4, image_size=40).eval()
    images = torch.randn(6, 1, 40, 40)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(alone, network(images), rtol=1e-4, atol=1e-5)


def flat_layers(model: dict[str, Any], n_classes: int, size: int) -> list[nn.Module]:
    """The layers in one row, as they were made before networks had features and a head."""
    if model["name"] == "original":
        rows = ((size - 4) // 2 - 4) // 2
        return [
            *(nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(32 * rows * rows, model["width"]), nn.Linear(model["width"], n_classes)),
        ]
    widths = [1, *(model["width"] * min(2**block, 4) for block in range(model["depth"]))]
    layers: list[nn.Module] = []
    for block, (narrow, wide) in enumerate(pairwise(widths)):
        kernel = 3 if block else 5
        layers.append(nn.Conv2d(narrow, wide, kernel, stride=2, padding=kernel // 2, bias=False))
        layers += [nn.BatchNorm2d(wide), nn.ReLU()]
    rows = math.ceil(size / 2 ** model["depth"])
    return [*layers, MeanOverTime(), nn.Dropout(model["dropout"]), nn.Linear(widths[-1] * rows, n_classes)]


@pytest.mark.parametrize("model", [CNN, CNN | {"depth": 2, "width": 3}, ORIGINAL])
def test_a_seed_gives_the_initial_weights_it_always_gave(model: dict[str, Any]) -> None:
    torch.manual_seed(7)
    before = nn.Sequential(*flat_layers(model, 4, 40)).state_dict()
    torch.manual_seed(7)
    now = models.build(model, in_channels=1, n_classes=4, image_size=40).state_dict()
    assert len(before) == len(now)
    for old, new in zip(before.values(), now.values(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize(("blocks", "widths"), [(0, []), (1, [32]), (3, [16, 32, 32])])
def test_the_last_stages_have_residual_blocks(blocks: int, widths: list[int]) -> None:
    network = models.build(CNN | {"blocks": blocks}, in_channels=1, n_classes=4, image_size=40)
    found = [layer for layer in network.modules() if isinstance(layer, Residual)]
    assert [next(layer.parameters()).shape[0] for layer in found] == widths


def test_a_residual_block_adds_to_what_it_is_given() -> None:
    block, features = Residual(4).eval(), torch.rand(2, 4, 5, 6)
    with torch.no_grad():
        expected = (features + block.branch(features)).relu()
        torch.testing.assert_close(block(features.clone()), expected)
        for weights in block.branch.parameters():
            weights.zero_()
        torch.testing.assert_close(block(features.clone()), features)


@pytest.mark.parametrize("model", [CNN, ORIGINAL])
def test_weights_of_format_1_give_the_same_logits(model: dict[str, Any]) -> None:
    class FirstNormalize(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.randn(1, 40, 40))
            self.register_buffer("deviation", torch.rand(1, 40, 40) + 1)

        def forward(self, images: Tensor) -> Tensor:
            return (images - self.get_buffer("mean")) / self.get_buffer("deviation")

    flat = nn.Sequential(FirstNormalize(), *flat_layers(model, 4, 40))
    images = torch.randn(3, 1, 40, 40)
    flat.train()(images)  # moves the running statistics of batch normalisation
    today = nn.ModuleDict(
        {
            "normalize": models.Normalize(1, 40),
            "network": models.build(model, in_channels=1, n_classes=4, image_size=40),
        }
    )
    today.load_state_dict(models.from_format_1(flat.state_dict()))
    flat.eval()
    today.eval()
    torch.testing.assert_close(today["network"](today["normalize"](images)), flat(images))


def test_the_original_has_the_parameters_of_its_description() -> None:
    network = models.build(ORIGINAL, in_channels=1, n_classes=7, image_size=100)
    convolutions = 16 * (25 + 1) + 32 * (16 * 25 + 1)
    linear = (32 * 22 * 22 + 1) * 50 + (50 + 1) * 7  # 100 - 4 = 96, 48, 44, 22
    assert sum(weights.numel() for weights in network.parameters()) == convolutions + linear


@pytest.mark.parametrize("channels", [1, 2])
def test_multiply_adds_are_those_of_the_closed_form(channels: int) -> None:
    network = models.build(ORIGINAL, in_channels=channels, n_classes=7, image_size=100)
    assert isinstance(network, models.Network)
    network.features.eval()
    convolutions = 96 * 96 * 16 * 25 * channels + 44 * 44 * 32 * 25 * 16
    linear = 32 * 22 * 22 * 50 + 50 * 7
    assert models.multiply_adds(network, channels, 100) == convolutions + linear
    assert network.training


def test_the_original_is_affine_from_its_last_pooling_on() -> None:
    network = models.build(ORIGINAL, in_channels=1, n_classes=3, image_size=40).double().eval()
    pooled = torch.randn(32, 7, 7, dtype=torch.float64)
    pooling = [layer for layer in network.modules() if isinstance(layer, nn.MaxPool2d)][-1]
    pooling.register_forward_hook(lambda layer, inputs, output: torch.stack([-pooled, 0 * pooled, pooled]))
    first, middle, last = network(torch.zeros(3, 1, 40, 40, dtype=torch.float64))
    torch.testing.assert_close(last - middle, middle - first)  # an activation would bend the line


def test_the_small_network_tells_frequency_but_not_time() -> None:
    network = models.build(CNN | {"depth": 2}, in_channels=1, n_classes=4, image_size=64).eval()
    line = torch.zeros(1, 1, 64, 64)
    line[..., 20, :] = 1
    higher = line.roll(16, dims=-2)
    assert not torch.allclose(network(line), network(higher), atol=1e-4)
    click = torch.zeros(1, 1, 64, 64)
    click[..., 24] = 1
    torch.testing.assert_close(network(click), network(click.roll(16, dims=-1)), rtol=1e-4, atol=1e-5)


def test_small_images_are_refused_by_the_original() -> None:
    with pytest.raises(AudioidError, match="at least 16"):
        models.build(ORIGINAL, in_channels=1, n_classes=3, image_size=15)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AudioidError, match="no 'resnet18'; choose one of cnn, original, timm, custom"):
        models.build({"name": "resnet18", "width": 8}, in_channels=1, n_classes=3, image_size=40)
