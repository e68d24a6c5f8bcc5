"""Weights of model folders of format 1, in which a network was one flat row of layers."""

from torch import Tensor


def from_format_1(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under today's names: `0.*` was the normalisation, the highest number the head."""
    head = max(int(name.partition(".")[0]) for name in weights)
    renamed = {}
    for name, tensor in weights.items():
        place, _, rest = name.partition(".")
        layer = int(place)
        if layer == 0:
            renamed[f"normalize.{rest}"] = tensor
        else:
            renamed[f"network.head.{rest}" if layer == head else f"network.features.{layer - 1}.{rest}"] = tensor
    return renamed
