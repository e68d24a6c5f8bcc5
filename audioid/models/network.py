"""What every network is made of: features and a head."""

import torch
from torch import Tensor, nn

from audioid.errors import AudioidError, one_line


class Network(nn.Module):
    """`head(features(images))`: images `(batch, channels, size, size)` to logits `(batch, n_classes)`.

    What `features` gives, `(batch, n_features)`, is the embedding of an image.
    """

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits


def as_network(module: object, origin: str, *, in_channels: int, n_classes: int, image_size: int) -> Network:
    """A module from elsewhere as a `Network`, after two random images have shown that it gives logits.

    Its own `features` and `head` are taken if its logits are those of one after the other. Else the head is the linear
    layer whose output the logits are; where there is none, the logits themselves count as features. Neither the random
    state nor running statistics change.

    Raises:
        AudioidError: it is no module, fails, or gives no finite logits `(2, n_classes)`; begins with `origin`.
    """
    if not isinstance(module, nn.Module):
        raise AudioidError(f"{origin}: gives {type(module).__name__}, not a torch.nn.Module; return the network")
    calls: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda layer, _, output: calls.append((layer, output)))
        for layer in module.modules()
        if isinstance(layer, nn.Linear)
    ]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        images = torch.randn(2, in_channels, image_size, image_size)
        try:
            logits = module.eval()(images)
        except Exception as error:
            problem = f"fails on images {tuple(images.shape)} ({one_line(error)})"
            raise AudioidError(f"{origin}: {problem}; try another image.size, or correct the network") from error
        for hook in hooks:
            hook.remove()
        _check_logits(logits, origin, n_classes)
        network = _own_parts(module, images, logits) or _cut_at_last_linear(module, calls, logits)
    return network.train()


def _check_logits(logits: object, origin: str, n_classes: int) -> None:
    if not isinstance(logits, Tensor) or logits.shape != (2, n_classes):
        found = f"a tensor {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise AudioidError(
            f"{origin}: gives {found} for 2 images, not logits (2, {n_classes}); correct what it returns"
        )
    if not logits.isfinite().all():
        raise AudioidError(f"{origin}: gives logits that are not finite for random images; correct its initial weights")


def _own_parts(module: nn.Module, images: Tensor, logits: Tensor) -> Network | None:
    features, head = getattr(module, "features", None), getattr(module, "head", None)
    if not (isinstance(features, nn.Module) and isinstance(head, nn.Module)):
        return None
    try:
        agrees = torch.allclose(head(features(images)), logits, rtol=1e-4, atol=1e-5)
    except Exception:  # they are called so, and mean something else
        return None
    return Network(features, head) if agrees else None


def _cut_at_last_linear(module: nn.Module, calls: list[tuple[nn.Module, Tensor]], logits: Tensor) -> Network:
    layers = [layer for layer, _ in calls]
    for layer, output in calls:
        if output is logits and layers.count(layer) == 1 and layer is not module:
            name = next(name for name, part in module.named_modules() if part is layer)
            module.set_submodule(name, nn.Identity())
            return Network(module, layer)
    return Network(module, nn.Identity())
