"""Transforms by real matrices, held to NumPy's."""

import numpy as np
import pytest
import torch

from audioid.transforms.dft import Chirped, Factored, dft


@pytest.mark.parametrize(
    ("length", "given", "first", "count", "is_real", "kind"),
    [
        (720, 720, 0, 720, False, Factored),
        (2048, 1024, 4, 925, True, Factored),
        (3675, 3675, -200, 600, True, Factored),
        (720, 1700, 3, 720, False, Factored),  # which is folded
        (7, 5, -2, 7, False, Factored),
        (1, 1, 0, 1, True, Factored),
        (6857, 6857, -20, 3000, True, Chirped),  # a prime
        (6857, 500, 5, 3000, False, Chirped),
        (6857, 7000, 5, 3000, False, Chirped),
    ],
)
@pytest.mark.parametrize("is_inverse", [False, True])
def test_it_is_the_fourier_transform(
    length: int, given: int, first: int, count: int, is_real: bool, kind: type, is_inverse: bool
) -> None:
    values = torch.randn(2, 3, 1 if is_real else 2, given, generator=torch.Generator().manual_seed(0))
    made = dft(length, given=given, first=first, count=count, is_real=is_real, is_inverse=is_inverse)
    assert type(made) is kind
    found = made(values).double().numpy()
    parts = values.double().numpy()
    padded = np.zeros((2, 3, -(-given // length) * length), complex)
    padded[..., :given] = parts[..., 0, :] + (0 if is_real else 1j * parts[..., 1, :])
    padded = padded.reshape(2, 3, -1, length).sum(2)
    wanted = (np.fft.ifft(padded) * length if is_inverse else np.fft.fft(padded))[
        ..., (np.arange(count) + first) % length
    ]
    # Single precision: its unit is 6e-8, and errors grow with the logarithm of the length.
    assert np.abs(found[..., 0, :] + 1j * found[..., 1, :] - wanted).max() <= 2e-6 * np.abs(wanted).max()
