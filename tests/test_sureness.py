"""How sure an answer is: by the equations, and what may be loaded."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.neighbors import NearestNeighbors

from audioid.sureness import CROWD, NEAR, NEIGHBOURS, SHARE, Sureness, placed


def made(n_known: int = 30, n_background: int = 50, threshold: float | None = 0.1, axes: int = 6) -> Sureness:
    rng = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(9, 9, generator=rng))[0][:, :axes].contiguous()
    known, background = (placed(torch.randn(n, 9, generator=rng), basis) for n in (n_known, n_background))
    return Sureness(temperature=0.5, basis=basis, known=known, background=background, threshold=threshold)


def test_unknown_scores_are_distances_to_neighbours_by_another_library() -> None:
    sureness, features = made(), torch.randn(20, 9, generator=torch.Generator().manual_seed(1))
    places = placed(features, sureness.basis).numpy()
    expected = np.zeros(20)
    for others, count, share in ((sureness.known, NEIGHBOURS, 1.0), (sureness.background, CROWD, -SHARE)):
        distances, _ = NearestNeighbors(n_neighbors=count).fit(others.numpy()).kneighbors(places)
        expected += share * np.log(distances + NEAR).mean(1)
    assert_allclose(sureness.unknown_scores(features).numpy(), expected, atol=1e-5)
    _, beyond = sureness(torch.zeros(20, 3), features)
    assert_allclose(beyond.numpy(), expected - 0.1, atol=1e-5)


def test_directions_count_and_neither_lengths_nor_company() -> None:
    sureness, features = made(), torch.randn(20, 9)
    scores = sureness.unknown_scores(features)
    torch.testing.assert_close(sureness.unknown_scores(7 * features), scores)
    torch.testing.assert_close(torch.cat([sureness.unknown_scores(each[None]) for each in features]), scores)


def test_what_was_learned_from_is_the_least_unknown() -> None:
    sureness = made()
    known = sureness.known @ sureness.basis.T
    assert sureness.unknown_scores(known).max() < sureness.unknown_scores(-known).min()


def test_few_recordings_and_no_background_are_enough() -> None:
    assert made(n_known=1, n_background=0).unknown_scores(torch.randn(3, 9)).isfinite().all()
    assert made(n_known=2, n_background=1).unknown_scores(torch.randn(3, 9)).isfinite().all()


def test_without_a_threshold_nothing_is_unknown() -> None:
    assert (made(threshold=None)(torch.zeros(5, 2), torch.randn(5, 9))[1] < 0).all()


def test_probabilities_are_those_of_logits_over_the_temperature() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    assert_allclose(made().probabilities(logits).numpy(), np.exp([[2, 4, 1]]) / np.exp([2, 4, 1]).sum(), rtol=1e-6)
    torch.testing.assert_close(made().probabilities(logits.log_softmax(1)), made().probabilities(logits))
    torch.testing.assert_close(made().tempered().probabilities(logits / 0.5), made().probabilities(logits))


def test_what_is_kept_is_what_comes_back() -> None:
    sureness, features = made(threshold=None), torch.randn(4, 9)
    again = Sureness.of(sureness.state_dict(), 9)
    torch.testing.assert_close(again.unknown_scores(features), sureness.unknown_scores(features))
    assert again.threshold == math.inf


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("known", torch.zeros(0, 6), "of shapes"),
        ("known", torch.zeros(3, 5), "of shapes"),
        ("background", torch.zeros(6), "of shapes"),
        ("basis", torch.zeros(8, 6), "of shapes"),
        ("basis", torch.tensor(0.0), "of shapes"),
        ("temperature", torch.tensor(0.0), "no finite numbers"),
        ("temperature", torch.tensor([1.0]), "of shapes"),
        ("threshold", torch.tensor(math.nan), "is no number"),
        ("known", torch.full((3, 6), math.nan), "no finite numbers"),
        ("more", torch.zeros(1), "it holds"),
        ("known", None, "it holds"),
    ],
)
def test_what_is_no_sureness_is_told(name: str, value: torch.Tensor | None, message: str) -> None:
    kept = made().state_dict()
    if value is None:
        del kept[name]
    else:
        kept[name] = value
    with pytest.raises(ValueError, match=message):
        Sureness.of(kept, 9)
