"""Plots hold what they say."""

import numpy as np

from audioid.training.figures import class_accuracy, confusion, examples


def test_the_confusion_matrix_shows_counts_in_their_places() -> None:
    counts = np.array([[5, 1], [0, 7]])
    (axes,) = confusion(counts, ["a", "b"]).axes
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0, 0), "5"),
        ((1, 0), "1"),
        ((1, 1), "7"),
    }
    assert axes.get_ylabel() == "label"


def test_accuracy_per_class_is_right_over_all_and_zero_for_an_absent_class() -> None:
    counts = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    (axes,) = class_accuracy(counts, ["a", "b", "c"]).axes
    assert [bar.get_width() for bar in axes.patches] == [75.0, 100.0, 0.0]  # type: ignore[attr-defined]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a (4)", "b (2)", "c (0)"]


def test_examples_have_low_frequencies_at_the_bottom_and_axes_in_seconds_and_hertz() -> None:
    images = np.zeros((2, 10, 10), dtype=np.float32)
    images[:, 0] = 1
    figure = examples(images, ["a", "b"], np.linspace(0.05, 0.95, 10), np.geomspace(100, 5000, 10))
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert low < high
    assert axes.get_xticklabels()[0].get_text() == "0.05"
    assert axes.get_yticklabels()[0].get_text() == "100"
    assert axes.get_xlabel().endswith("/ s")
    assert axes.get_ylabel().endswith("/ Hz")
    assert axes.images[0].get_array()[0].min() == 1  # type: ignore[index]
