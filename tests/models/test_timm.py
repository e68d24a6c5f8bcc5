"""Networks of timm: any channels and classes, weights from the disk alone, one line for what cannot be."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from audioid import models
from audioid.errors import AudioidError


def build(architecture: str, size: int = 64, **options: Any) -> Any:
    model = {"name": "timm", "architecture": architecture, "pretrained": "none"} | options
    return models.build(model, in_channels=2, n_classes=5, image_size=size)


def test_without_timm_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(AudioidError, match=r"^model=timm: needs the package timm; pip install 'audioid\[timm\]'$"):
        build("resnet18")


@pytest.mark.parametrize(
    ("architecture", "size", "n_features"),
    [("resnet18", 64, 512), ("test_vit", 96, 64), ("test_efficientnet", 50, 256), ("test_convnext", 64, 64)],
)
def test_features_are_what_timm_gives_its_classifier(architecture: str, size: int, n_features: int) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = build(architecture, size).eval()
    torch.manual_seed(0)
    more = {"img_size": size} if architecture == "test_vit" else {}
    peer = timm.create_model(architecture, in_chans=2, num_classes=5, **more).eval()
    images = torch.randn(3, 2, size, size)
    with torch.no_grad():
        torch.testing.assert_close(network(images), peer(images))
        embeddings = peer.forward_head(peer.forward_features(images), pre_logits=True)
        assert embeddings.shape == (3, n_features)
        torch.testing.assert_close(network.features(images), embeddings)


def test_an_unknown_architecture_gets_the_nearest_names() -> None:
    pytest.importorskip("timm")
    with pytest.raises(AudioidError, match=r"^model.architecture: timm has no 'resnet81'; the nearest .* resnet18"):
        build("resnet81")


def test_an_architecture_that_cannot_take_the_images_is_one_line() -> None:
    pytest.importorskip("timm")
    with pytest.raises(AudioidError, match=r"^model.architecture=test_vit: .*100.*; try another image.size") as caught:
        build("test_vit", 100)
    assert "\n" not in str(caught.value)


def test_pretrained_weights_come_from_the_cache_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asks the network"))
    repository = timm.get_pretrained_cfg("test_resnet").hf_hub_id
    with pytest.raises(AudioidError, match=f"; fetch them with: hf download {repository} model.safetensors$"):
        build("test_resnet", pretrained="imagenet")

    folder = tmp_path / f"models--{repository.replace('/', '--')}"
    (folder / "snapshots" / "1").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("1")
    weights = timm.create_model("test_resnet").state_dict()  # 3 channels, 1000 classes
    save_file(weights, folder / "snapshots" / "1" / "model.safetensors")
    network = build("test_resnet", pretrained="imagenet")
    deepest = "module.layer4.0.conv1.weight"
    assert torch.equal(network.state_dict()[deepest], weights[deepest.removeprefix("module.")])
    assert network(torch.randn(2, 2, 64, 64)).shape == (2, 5)
