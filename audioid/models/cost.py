"""What one image costs."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(network: nn.Module, in_channels: int, image_size: int) -> int:
    """Multiply-adds of convolutions, linear layers and attention for one image, in evaluation mode."""
    device = next(network.parameters()).device
    was_training = network.training
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, in_channels, image_size, image_size, device=device))
    network.train(was_training)
    return int(counter.get_total_flops()) // 2
