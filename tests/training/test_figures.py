"""Plots hold what they say."""

import numpy as np

from audioid.training.figures import confusion, examples


def test_the_confusion_matrix_shows_counts_in_their_places() -> None:
    counts = np.array([[5, 1], [0, 7]])
    matrix, _ = confusion(counts, ["a", "b"]).axes
    assert {(text.get_position(), text.get_text()) for text in matrix.texts} == {
        ((0, 0), "5"),
        ((1, 0), "1"),
        ((1, 1), "7"),
    }
    assert matrix.get_ylabel().startswith("label")


def test_accuracy_per_class_is_right_beside_its_row_and_zero_for_an_absent_class() -> None:
    counts = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    matrix, bars = confusion(counts, ["a", "b", "c"]).axes
    assert [(bar.get_y() + bar.get_height() / 2, bar.get_width()) for bar in bars.patches] == [  # type: ignore[attr-defined]
        (0.0, 75.0),
        (1.0, 100.0),
        (2.0, 0.0),
    ]
    assert bars.get_ylim() == matrix.get_ylim()
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["a (4)", "b (2)", "c (0)"]


def test_examples_have_low_frequencies_at_the_bottom_and_axes_in_seconds_and_hertz() -> None:
    images = np.zeros((2, 1, 10, 10), dtype=np.float32)
    images[:, :, 0] = 1
    label = "frequency / Hz"
    figure = examples(images, ["a", "b"], np.linspace(0.05, 0.95, 10), np.geomspace(100, 5000, 10), label, [""])
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert low < high
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert axes.get_xlabel().endswith("/ s")
    assert axes.get_ylabel().endswith("/ Hz")
    assert axes.images[0].get_array()[0].min() == 1  # type: ignore[index]


def test_channels_lie_side_by_side_with_their_names() -> None:
    images = np.random.default_rng(0).random((3, 2, 8, 8), dtype=np.float32)
    times, rows = np.linspace(0, 1, 8), np.arange(8.0)
    figure = examples(images, ["a", "b", "c"], times, rows, "cepstral coefficient", ["fft", "cwt"])
    assert [axes.get_title() for axes in figure.axes] == ["a fft", "a cwt", "b fft", "b cwt", "c fft", "c cwt"]
    assert {axes.get_ylabel() for axes in figure.axes} == {"cepstral coefficient"}
    for axes, image in zip(figure.axes, images.reshape(-1, 8, 8), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
