"""Networks of the package timm by name: `model=timm model.architecture=resnet18`."""

import difflib
from types import ModuleType
from typing import Literal

from torch import nn

from audioid.errors import AudioidError, one_line
from audioid.registry import register
from audioid.schema import TimmSettings


@register("model", "timm", TimmSettings)
def from_timm(
    *,
    architecture: str,
    in_channels: int,
    n_classes: int,
    image_size: int,
    pretrained: Literal["none", "imagenet"] = "none",
) -> nn.Module:
    """One of timm's networks, for any number of channels and classes; pretrained weights come from the disk alone.

    Raises:
        AudioidError: timm is missing, does not know the architecture or cannot build it for such images, or the
            pretrained weights are not on this machine.
    """
    timm = _timm()
    if architecture not in (known := timm.list_models()):
        nearest = ", ".join(difflib.get_close_matches(architecture, known, cutoff=0.4)) or "resnet18"
        raise AudioidError(f"model.architecture: timm has no '{architecture}'; the nearest names are {nearest}")
    facts = timm.get_pretrained_cfg(architecture)
    # Networks that cut the image into patches are built for one size.
    size = {"img_size": image_size} if facts and facts.fixed_input_size else {}
    weights = {}
    if pretrained == "imagenet":
        weights = {"pretrained": True, "pretrained_cfg_overlay": {"file": _weights_on_disk(architecture, facts)}}
    try:
        network: nn.Module = timm.create_model(
            architecture, in_chans=in_channels, num_classes=n_classes, **size, **weights
        )
    except Exception as error:
        problem = f"timm cannot build it for images of {image_size} x {image_size} ({one_line(error)})"
        raise AudioidError(
            f"model.architecture={architecture}: {problem}; try another image.size or architecture"
        ) from error
    return network


def _timm() -> ModuleType:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise AudioidError(f"model=timm: needs the package {error.name}; pip install 'audioid[timm]'") from error
    except Exception as error:  # a torchvision of another torch
        raise AudioidError(
            f"model=timm: timm cannot be imported ({one_line(error)}); install the torchvision of this torch"
        ) from error
    return timm


def _weights_on_disk(architecture: str, facts: object) -> str:
    """The file that Hugging Face's cache holds; nothing is downloaded."""
    from huggingface_hub import try_to_load_from_cache

    repository = getattr(facts, "hf_hub_id", None)
    if not repository:
        raise AudioidError(f"model.pretrained: timm has no weights for {architecture}; leave it at none")
    found = try_to_load_from_cache(repository, "model.safetensors")
    if not isinstance(found, str):
        raise AudioidError(
            f"model.pretrained: the weights of {architecture} are not on this machine; "
            f"fetch them with: hf download {repository} model.safetensors"
        )
    return found
