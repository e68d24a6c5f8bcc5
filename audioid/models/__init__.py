"""Networks: image to features to logits. Nothing here knows of audio."""

from collections.abc import Mapping
from typing import Any

from audioid.models.cost import multiply_adds
from audioid.models.custom import load_target
from audioid.models.format_1 import from_format_1
from audioid.models.network import Network, Whole, as_network
from audioid.models.normalize import Normalize
from audioid.registry import maker_of

__all__ = ["Network", "Normalize", "Whole", "build", "from_format_1", "load_target", "multiply_adds"]


def build(model: Mapping[str, Any], *, in_channels: int, n_classes: int, image_size: int) -> Network | Whole:
    """The network `model["name"]`, made with the other items of `model` as options.

    Raises:
        AudioidError: there is no such network, it cannot be built, or it does not turn such images into logits.
    """
    name, options = model["name"], {key: value for key, value in model.items() if key != "name"}
    shape = {"in_channels": in_channels, "n_classes": n_classes, "image_size": image_size}
    made = maker_of("model", name)(**options, **shape)
    if isinstance(made, Network):
        return made
    origins = (f"model.{key}={model[key]}" for key in ("target", "architecture") if key in model)
    return as_network(made, next(origins, f"model={name}"), **shape)
