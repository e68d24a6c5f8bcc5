"""What training does for the same numbers each time, and where it cannot."""

import pytest
import torch
from torch.nn import functional

from audioid.training.determinism import deterministic


def test_what_has_no_deterministic_algorithm_is_done_with_a_warning() -> None:
    """As the pooling of many networks on a GPU; unpooling has none on a processor either."""
    values, places = functional.max_pool2d(torch.rand(1, 1, 4, 4), 2, return_indices=True)
    with deterministic(), pytest.warns(UserWarning, match="does not have a deterministic implementation"):
        found = functional.max_unpool2d(values, places, [2, 2])
    torch.testing.assert_close(found.sum(), values.sum())
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_mode_ends_with_a_training_that_fails() -> None:
    with pytest.raises(KeyError), deterministic():
        raise KeyError
    assert not torch.are_deterministic_algorithms_enabled()
