"""Networks: image to features to logits. Nothing here knows of audio."""

from collections.abc import Callable, Mapping
from typing import Any

from audioid.errors import AudioidError
from audioid.models.cnn import cnn
from audioid.models.cost import multiply_adds
from audioid.models.custom import custom, load_target
from audioid.models.format_1 import from_format_1
from audioid.models.network import Network, as_network
from audioid.models.normalize import Normalize
from audioid.models.original import original
from audioid.models.timm import from_timm

__all__ = ["Network", "Normalize", "build", "from_format_1", "load_target", "multiply_adds"]

# Each takes `in_channels`, `n_classes`, `image_size` and its own options, and gives a Network or any nn.Module.
MODELS: dict[str, Callable[..., object]] = {"cnn": cnn, "original": original, "timm": from_timm, "custom": custom}


def build(model: Mapping[str, Any], *, in_channels: int, n_classes: int, image_size: int) -> Network:
    """The network `model["name"]`, made with the other items of `model` as options.

    Raises:
        AudioidError: there is no such network, it cannot be built, or it does not turn such images into logits.
    """
    name, options = model["name"], {key: value for key, value in model.items() if key != "name"}
    if name not in MODELS:
        raise AudioidError(f"model: there is no '{name}'; choose one of {', '.join(MODELS)}")
    shape = {"in_channels": in_channels, "n_classes": n_classes, "image_size": image_size}
    made = MODELS[name](**options, **shape)
    if isinstance(made, Network):
        return made
    origins = (f"model.{key}={model[key]}" for key in ("target", "architecture") if key in model)
    return as_network(made, next(origins, f"model={name}"), **shape)
