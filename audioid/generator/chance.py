"""Chance that does not depend on company: each sound's draws are a function of its own number alone.

A generator with a state would give a sound other draws in another batch or on another device. Here each number is a
hash of the sound's key and of how many draws came before, in 32-bit integers, which wrap alike everywhere.
"""

import torch
from torch import Tensor

_STEP = 0x9E3779B9 - 2**32  # from one position to the next, before they are mixed; odd, so that all differ


def mixed(numbers: Tensor) -> Tensor:
    """Each int32 as another one that looks like chance: a bijection of two multiplications (Wellons' lowbias32)."""
    numbers = numbers.clone()
    return _mix(numbers, torch.empty_like(numbers))


def _mix(numbers: Tensor, room: Tensor) -> Tensor:
    """In place, since noise is long: fresh memory would cost more than the arithmetic."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32), (16, None)):
        # A shift of negative numbers brings in ones.
        torch.bitwise_right_shift(numbers, shift, out=room)
        numbers.bitwise_xor_(room.bitwise_and_((1 << (32 - shift)) - 1))
        if factor is not None:
            numbers.mul_(factor)
    return numbers


def key(*parts: Tensor | int) -> Tensor:
    """One int32 key `(batch,)` of several numbers, such as seed, kind, maker and take."""
    found = torch.zeros(1, dtype=torch.int32)
    for part in parts:
        number = torch.as_tensor(part, dtype=torch.int64) & 0xFFFFFFFF
        number = torch.where(number >= 2**31, number - 2**32, number).to(torch.int32)
        found = mixed(mixed(found.to(number.device) + 0x5851F42D) ^ number)
    return found


def uniform(keys: Tensor, position: int, count: int = 1) -> Tensor:
    """Numbers from 0 to 1, `(batch, count)`, float32: the ones from `position` on that belong to `keys` `(batch,)`."""
    places = torch.arange(position, position + count, dtype=torch.int32, device=keys.device)
    numbers = keys[:, None] + places * _STEP
    numbers = _mix(numbers, torch.empty_like(numbers))
    return numbers.bitwise_right_shift_(8).bitwise_and_(0xFFFFFF).float().mul_(2.0**-24)
