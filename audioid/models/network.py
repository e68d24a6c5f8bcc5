"""What every network is made of: features and a head."""

from copy import deepcopy

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

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Both of one pass."""
        features = self.features(images)
        return features, self.head(features)


class Whole(nn.Module):
    """A network of somebody else's, images to logits, which stays as it is.

    Where its own `features` and `head` give its logits one after the other, they are its features and its head. Else
    its head is the linear layer whose output the logits are, if there is one, and its features are what that layer is
    given; or else the logits themselves count as features.
    """

    def __init__(self, module: nn.Module, head: nn.Module | None, features: nn.Module | None = None) -> None:
        super().__init__()
        self.module = module
        self._head, self._features = [head or nn.Identity()], [features]  # lists, since the module has their weights

    @property
    def head(self) -> nn.Module:
        """From features to logits."""
        return self._head[0]

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images)
        return logits

    def features(self, images: Tensor) -> Tensor:
        """The embedding of each image, `(batch, n_features)`."""
        if own := self._features[0]:
            embedding: Tensor = own(images)
            return embedding
        features, logits = self.features_and_logits(images)
        return logits if features is None else features

    def features_and_logits(self, images: Tensor) -> tuple[Tensor | None, Tensor]:
        """Both of one pass; no features where the network does not call its head."""
        seen: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            logits = self(images)
        finally:
            hook.remove()
        return seen[0] if seen else None, logits


def as_network(module: object, origin: str, *, in_channels: int, n_classes: int, image_size: int) -> Whole:
    """A module from elsewhere as a network, after two random images have shown that it gives logits.

    Neither the random state nor running statistics change.

    Raises:
        AudioidError: it is no module, has no weights, fails, or gives no logits `(2, n_classes)`, in evaluation or in
            training; begins with `origin`.
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
            for hook in hooks:
                hook.remove()
            own = _own_parts(module, images, logits)
            in_training = deepcopy(module).train()(images)
        except Exception as error:
            problem = f"fails on images {tuple(images.shape)} ({one_line(error)})"
            raise AudioidError(f"{origin}: {problem}; try another image.size, or correct the network") from error
        for found in (logits, in_training):
            _check_logits(found, origin, n_classes)
    if not any(weights.requires_grad for weights in module.parameters()):
        raise AudioidError(f"{origin}: has no weights to train; return a network that has some")
    if not logits.isfinite().all():
        raise AudioidError(f"{origin}: gives logits that are not finite for random images; correct its initial weights")
    if own:
        return Whole(module.train(), own[1], own[0])
    layers = [layer for layer, _ in calls]
    heads = [layer for layer, output in calls if output is logits and layers.count(layer) == 1]
    return Whole(module.train(), heads[0] if heads else None)


def _own_parts(module: nn.Module, images: Tensor, logits: object) -> tuple[nn.Module, nn.Module] | None:
    features, head = getattr(module, "features", None), getattr(module, "head", None)
    if not (isinstance(features, nn.Module) and isinstance(head, nn.Module) and isinstance(logits, Tensor)):
        return None
    try:
        agrees = torch.allclose(head(features(images)), logits, rtol=1e-4, atol=1e-5)
    except Exception:  # they are called so, and mean something else
        return None
    return (features, head) if agrees else None


def _check_logits(logits: object, origin: str, n_classes: int) -> None:
    if not isinstance(logits, Tensor) or logits.shape != (2, n_classes):
        found = f"a tensor {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise AudioidError(
            f"{origin}: gives {found} for 2 images, not logits (2, {n_classes}); correct what it returns"
        )
