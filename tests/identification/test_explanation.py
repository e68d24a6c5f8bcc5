"""What is said to have spoken for a name is what the network needs for it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("captum")

from audioid import model_folder
from audioid.identification.answers import Model, joined
from audioid.identification.explanation import MARKED, explain
from audioid.identification.known import nearest_known
from audioid.identification.page import figures
from tests.identification.conftest import LABELS, tone


def images(model: Model, count: int) -> tuple[list[int], torch.Tensor]:
    """The places of the labels of some tones, and what the model sees of them."""
    rng = np.random.default_rng(5)
    places = [number % 3 for number in range(count)]
    waves = np.array([tone(LABELS[place], rng) for place in places], np.float32)
    return places, model.classifier.pictures[0](torch.from_numpy(waves))


def test_hiding_what_is_marked_costs_a_name_more_than_hiding_as_much_elsewhere(trained: Path) -> None:
    model = model_folder.load(trained)
    places, pictures = images(model, 12)
    every = [explain(model, picture, place) for picture, place in zip(pictures, places, strict=True)]
    for found in every:
        assert found.strength.shape == found.marked.shape == (32, 32)
        assert found.strength.min() >= 0
        assert 0 < found.marked.sum() <= round(MARKED * 32 * 32)
    lost = np.array([[found.probability - found.hidden, found.probability - found.elsewhere] for found in every])
    assert lost[:, 0].mean() > lost[:, 1].mean() + 0.2
    assert (lost[:, 0] > lost[:, 1]).mean() > 0.8


def test_nothing_is_marked_where_nothing_sounds(trained: Path) -> None:
    model = model_folder.load(trained)
    places, pictures = images(model, 12)
    pictures[..., 12:] = 0  # a short sound: a square that is hidden at its end reaches far into the silence
    for picture, place in zip(pictures, places, strict=True):
        found = explain(model, picture, place)
        assert not found.strength[:, 13:].any()
        assert not found.marked[:, 13:].any()
        assert found.share <= MARKED


def test_a_picture_without_anything_has_no_mark(trained: Path) -> None:
    model = model_folder.load(trained)
    found = explain(model, torch.zeros(1, 32, 32), 0)
    assert found.share == 0
    assert found.hidden == found.elsewhere == pytest.approx(found.probability)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.explained(model.classifier.pictures[0], np.zeros((32, 32), np.float32), found, "none")


def test_a_probability_is_that_of_the_answer_also_where_classes_are_joined(sure: Path) -> None:
    model = model_folder.load(sure)
    both = joined(model, {"high": "not low", "middle": "not low"})
    (place, *_), pictures = images(model, 1)
    assert LABELS[place] == "high"
    alone = explain(model, pictures[0], LABELS.index("high"))
    together = explain(both, pictures[0], both.labels.index("not low"))
    logits = model.classifier.classify(pictures)
    assert model.sureness
    probabilities = model.sureness.probabilities(logits)[0]
    assert alone.probability == pytest.approx(float(probabilities[0]), abs=1e-5)
    assert together.probability == pytest.approx(float(probabilities[0] + probabilities[2]), abs=1e-5)


def test_the_nearest_known_recording_is_the_sound_itself(sure: Path, trained: Path) -> None:
    rng = np.random.default_rng(2)  # of those that the model holds others to
    waves = [tone(LABELS[number % 3], rng).astype(np.float32) for number in range(4)]
    model = model_folder.load(sure)
    for number, wave in enumerate(waves):
        found = nearest_known(model, [wave], top=3)
        assert (found[0].path, found[0].label) == (f"{number}.wav", LABELS[number % 3])
        assert found[0].similarity == pytest.approx(1, abs=1e-3)
        assert [each.similarity for each in found] == sorted((each.similarity for each in found), reverse=True)
    assert nearest_known(model_folder.load(trained), [waves[0]], top=3) == []
