"""A network of one's own: found by its name, tried before training, cut where its head begins."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from torch import nn

from audioid import models
from audioid.errors import AudioidError

NETS = '''
    import torch
    from torch import nn

    class Tiny(nn.Module):
        """No features, no head; `last` is called last, but made first."""
        def __init__(self, in_channels, n_classes, image_size, hidden=6, after=None):
            super().__init__()
            self.last = nn.Linear(hidden, n_classes)
            self.first = nn.Linear(in_channels * image_size**2, hidden)
            self.norm, self.after = nn.BatchNorm1d(hidden), after
        def forward(self, images):
            logits = self.last(self.norm(self.first(images.flatten(1)).relu()))
            return getattr(torch, self.after)(logits) if self.after else logits

    class Lazy(nn.Sequential):
        def __init__(self, n_classes, **_):
            super().__init__(nn.LazyConv2d(4, 3), nn.Dropout(), nn.Flatten(), nn.LazyLinear(n_classes))

    class Parts(nn.Module):
        def __init__(self, in_channels, n_classes, image_size, bend):
            super().__init__()
            self.features = nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, 3))
            self.head = nn.Sequential(nn.ReLU(), nn.Linear(3, n_classes))
            self.bend = bend
        def forward(self, images):
            return self.head(self.features(images)) * self.bend

    class Whole(nn.Module):
        """The last layer is no linear one."""
        def __init__(self, in_channels, n_classes, **_):
            super().__init__()
            self.layer = nn.Conv2d(in_channels, n_classes, 3)
        def forward(self, images):
            return self.layer(images).mean((2, 3))

    class Dropped(nn.Module):
        def __init__(self, in_channels, n_classes, image_size):
            super().__init__()
            self.features = nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, 8))
            self.drop, self.head = nn.Dropout(0.5), nn.Linear(8, n_classes)
        def forward(self, images):
            return self.head(self.drop(self.features(images)))

    class Aliased(Dropped):
        def __init__(self, **shape):
            super().__init__(**shape)
            self.again = self.head

    class Looked(Dropped):
        def forward(self, images):
            return self.head(self.features(images).to(self.head.weight.dtype))

    class Frozen(Tiny):
        def __init__(self, **shape):
            super().__init__(**shape)
            self.requires_grad_(False)

    class Training(Tiny):
        def forward(self, images):
            logits = super().forward(images)
            return (logits, logits) if self.training else logits

    def raising(**_): raise KeyError("two\\nlines")
    def number(**_): return 7
    def wide(in_channels, n_classes, image_size):
        return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, n_classes + 1))
    def deaf(**_): return nn.Linear(3, 3)
    def lost(**shape): return Tiny(**shape, after="log")
    def twins(**shape): return Twins(**shape)
    class Twins(Tiny):
        def forward(self, images): return super().forward(images), None
    a_number = 7
'''


@pytest.fixture(autouse=True)
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with modules of networks, forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    (tmp_path / "my_nets.py").write_text(dedent(NETS))
    (tmp_path / "broken.py").write_text("import nowhere_at_all")
    (tmp_path / "typo.py").write_text("def (")
    (tmp_path / "script.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "deep.py").write_text("from my_nets import Tiny")
    yield tmp_path
    for name in ("my_nets", "broken", "typo", "script", "folder", "folder.deep"):
        sys.modules.pop(name, None)


def build(target: str, **arguments: Any) -> Any:
    model = {"name": "custom", "target": target, "arguments": arguments}
    return models.build(model, in_channels=2, n_classes=4, image_size=12)


@pytest.mark.parametrize("target", ["my_nets.Tiny", "folder.deep.Tiny"])
def test_it_is_found_in_the_working_directory_and_gets_its_arguments(target: str) -> None:
    network = build(target, hidden=9)
    assert network.features(torch.randn(3, 2, 12, 12)).shape == (3, 9)
    assert network.training


def test_it_is_found_on_pythonpath(nets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nets / "elsewhere").mkdir()
    monkeypatch.chdir(nets / "elsewhere")
    monkeypatch.syspath_prepend(str(nets))
    assert build("my_nets.Tiny")(torch.randn(3, 2, 12, 12)).shape == (3, 4)


def test_a_file_beside_the_command_hides_no_library(nets: Path) -> None:
    (nets / "colorsys.py").write_text("raise SystemExit")
    assert models.load_target("colorsys.rgb_to_hsv")(1, 1, 1) == (0.0, 0.0, 1)  # Python's own


@pytest.mark.parametrize(("target", "after"), [("my_nets.Tiny", None), ("my_nets.Tiny", "sigmoid")])
def test_it_is_cut_before_its_last_linear_layer_if_that_gives_the_logits(target: str, after: str | None) -> None:
    torch.manual_seed(0)
    network = build(target, after=after).eval()
    torch.manual_seed(0)
    whole = models.load_target(target)(in_channels=2, n_classes=4, image_size=12, after=after)
    assert isinstance(whole, nn.Module)
    images = torch.randn(3, 2, 12, 12)
    torch.testing.assert_close(network(images), whole.eval()(images))
    assert network.features(images).shape == ((3, 4) if after else (3, 6))
    assert isinstance(network.head, nn.Identity if after else nn.Linear)


def test_features_and_head_of_its_own_are_taken_if_they_are_the_whole() -> None:
    images = torch.randn(3, 2, 12, 12)
    assert build("my_nets.Parts", bend=1.0).features(images).shape == (3, 3)
    other = build("my_nets.Parts", bend=2.0)  # its logits are not those of features and head
    assert other.features(images).shape == (3, 4)


@pytest.mark.parametrize("name", ["Dropped", "Aliased", "Looked"])
def test_a_network_trains_as_it_was_written(name: str) -> None:
    """With what lies between its features and its head, with a layer of two names, and where it looks at its layers."""
    torch.manual_seed(0)
    network = build(f"my_nets.{name}")
    torch.manual_seed(0)
    whole = models.load_target(f"my_nets.{name}")(in_channels=2, n_classes=4, image_size=12)
    assert isinstance(whole, nn.Module)
    images = torch.randn(64, 2, 12, 12)
    for mode in (True, False):
        torch.manual_seed(1)
        found = network.train(mode)(images)
        torch.manual_seed(1)
        assert torch.equal(found, whole.train(mode)(images))
    torch.testing.assert_close(network.head(network.features(images)), found)
    features, logits = network.features_and_logits(images)
    torch.testing.assert_close(features, network.features(images))
    torch.testing.assert_close(logits, found)


def test_a_network_without_a_linear_head_is_its_own_features() -> None:
    network = build("my_nets.Whole")
    images = torch.randn(3, 2, 12, 12)
    torch.testing.assert_close(network.features(images), network(images))
    assert network.features_and_logits(images)[0] is None


def test_the_trial_changes_neither_the_random_state_nor_statistics() -> None:
    torch.manual_seed(3)
    network = build("my_nets.Tiny")
    state = torch.get_rng_state()
    torch.manual_seed(3)
    whole = models.load_target("my_nets.Tiny")(in_channels=2, n_classes=4, image_size=12)
    assert torch.equal(state, torch.get_rng_state())
    assert isinstance(whole, nn.Module)
    for name, weights in whole.state_dict().items():
        assert torch.equal(network.state_dict()[f"module.{name}"], weights)


def test_layers_that_learn_their_size_are_ready_after_the_trial() -> None:
    network = build("my_nets.Lazy")
    assert network.features(torch.randn(3, 2, 12, 12)).shape == (3, 4 * 10 * 10)
    assert all(isinstance(weights, nn.Parameter) and weights.numel() for weights in network.parameters())


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("Tiny", ["is no dotted name", "such as my_nets.Tiny"]),
        ("my_nets:Tiny", ["is no dotted name"]),
        ("my_nets.", ["is no dotted name"]),
        ("", ["is no dotted name"]),
        ("no_nets.Tiny", ["there is no module no_nets", "where no_nets.py is", "PYTHONPATH"]),
        ("my_nets.deep.Tiny", ["there is no module my_nets.deep"]),
        ("broken.Tiny", ["importing broken raises ModuleNotFoundError: No module named 'nowhere_at_all'"]),
        ("typo.Tiny", ["importing typo raises SyntaxError"]),
        ("script.Tiny", ["importing script raises SystemExit: 3"]),
        ("my_nets.Tinny", ["Tinny is not there in ", "my_nets.py"]),
        ("my_nets.a_number", ["a_number is nothing that can be called"]),
        ("my_nets.raising", ["raises KeyError: 'two\\nlines'"]),
        ("my_nets.number", ["gives int, not a torch.nn.Module"]),
        ("my_nets.wide", ["gives a tensor (2, 5) for 2 images, not logits (2, 4)"]),
        ("my_nets.twins", ["gives tuple for 2 images, not logits (2, 4)"]),
        ("my_nets.Training", ["gives tuple for 2 images, not logits (2, 4)"]),
        ("my_nets.Frozen", ["has no weights to train"]),
        ("my_nets.deaf", ["fails on images (2, 2, 12, 12) (RuntimeError: ", "image.size"]),
        ("my_nets.lost", ["not finite"]),
        ("my_nets.Parts", ["raises TypeError: ", "'bend'", "model.arguments"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_target_and_a_way_on(target: str, parts: list[str]) -> None:
    with pytest.raises(AudioidError) as caught:
        build(target)
    message = str(caught.value)
    assert message.startswith(f"model.target={target}: ")
    assert "\n" not in message
    assert "; " in message
    for part in parts:
        assert part in message
