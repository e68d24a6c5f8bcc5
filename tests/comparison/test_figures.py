from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audioid.comparison.analysis import analyse
from audioid.comparison.figures import figures, overview
from audioid.comparison.figures.style import saved
from audioid.comparison.records import find_runs
from audioid.comparison.study import Study, studies
from audioid.comparison.tables import overview_table
from tests.comparison.made_runs import made_run, made_sweep

NAMES = ["differences", "accuracy", "settings", "curves", "classes", "confusion", "calibration", "cost"]


def study_of(root: Path) -> Study:
    (study,) = studies(find_runs(root)[0])
    return study


def drawn(root: Path) -> dict[str, Figure]:
    study = study_of(root)
    return figures(study, analyse(study))


def made(root: Path, settings: list[tuple[dict[str, float], dict[str, Any]]], **more: Any) -> None:
    """A sweep with these arms' skills at each of these settings."""
    rng = np.random.default_rng(0)
    for place, (skill, chosen) in enumerate(settings):
        made_sweep(root, rng, skill=skill, seeds=1, n=60, settings=chosen, transform_ms_per_clip=1.0 + place, **more)


def width(value: int) -> dict[str, Any]:
    return {"model": {"name": "cnn", "width": value}}


BOTH = {"fft": 1.0, "cwt": 2.0}


def points(axes: Axes) -> list[tuple[list[float], list[float]]]:
    """Of each line its places and values."""
    return [(np.ravel(line.get_xdata()).tolist(), np.ravel(line.get_ydata()).tolist()) for line in axes.get_lines()]


def texts(figure: Figure) -> set[str]:
    root = ElementTree.fromstring(saved(figure, "svg"))
    return {"".join(each.itertext()).strip() for each in root.iter("{http://www.w3.org/2000/svg}text")}


def test_names_are_stable_and_what_cannot_be_drawn_is_missing(tmp_path: Path) -> None:
    curve = [(0.5, 0.4, 1.0, 1.1), (0.6, 0.5, 0.9, 1.0)]
    made(tmp_path / "all", [(BOTH, width(16)), (BOTH, width(32))], curves=curve)
    assert list(drawn(tmp_path / "all")) == NAMES
    made(tmp_path / "one", [({"fft": 1.0}, width(16))])
    study = study_of(tmp_path / "one")
    assert list(figures(study, None)) == ["accuracy"]


def test_the_difference_is_drawn_where_the_verdict_says(tmp_path: Path) -> None:
    made(tmp_path, [(BOTH, width(16))])
    study = study_of(tmp_path)
    (difference,) = study.comparisons[0].differences
    (axes,) = figures(study, None)["differences"].axes
    lines = [xs for xs, _ in points(axes)]
    accuracy = {(run.transform, run.fold): 100 * run.test_accuracy for run in study.runs}
    by_split = [accuracy["cwt", fold] - accuracy["fft", fold] for fold in range(5)]
    assert any(sorted(xs) == pytest.approx(sorted(by_split)) for xs in lines)
    assert any(xs == pytest.approx([100 * (difference.low or 0), 100 * (difference.high or 0)]) for xs in lines)
    assert any(xs == pytest.approx([100 * (difference.mean or 0)]) for xs in lines)


def test_swept_numbers_stand_in_their_order_on_a_scale(tmp_path: Path) -> None:
    made(tmp_path, [(BOTH, width(each)) for each in (128, 8, 16)])
    study = study_of(tmp_path)
    figure = figures(study, None)["settings"]
    axes, below = figure.axes
    assert axes.get_xscale() == below.get_xscale() == "log"
    assert below.get_xticks().tolist() == [8, 16, 128]
    tests = {(each.values["transform"], float(each.values["model.width"])): 100 * each.test for each in study.ranking}
    lines = [each for each in points(axes) if len(each[0]) == 3]
    assert lines == [
        ([8, 16, 128], pytest.approx([tests[arm, each] for each in (8, 16, 128)])) for arm in ("cwt", "fft")
    ]
    assert {"8", "16", "128", "model.width", "cwt", "fft"} <= texts(figure)


def test_below_a_swept_number_stand_the_seconds_that_it_takes(tmp_path: Path) -> None:
    seconds = {8: [2.0, 4.0, 3.0], 16: [9.0, 7.0, 60.0], 64: [50.0, 40.0, 70.0]}
    rng, labels, paths = np.random.default_rng(0), np.arange(20) % 2, [f"{number}.wav" for number in range(20)]
    for size, fits in seconds.items():
        for fold, fit in enumerate(fits):
            made_run(
                tmp_path, "fft", paths=paths, labels=labels, probabilities=np.eye(2)[rng.permutation(labels)],
                classes="ab", fold=fold, settings={"image": {"size": size}}, seconds={"fit": fit, "total": 99.0},
            )  # fmt: skip
    study = study_of(tmp_path)
    upper, lower = figures(study, None)["settings"].axes
    assert points(lower) == [([8, 16, 64], [3.0, 9.0, 50.0])]  # medians
    assert (lower.get_yscale(), lower.get_xscale()) == ("log", "log")
    tests = {each.values["image.size"]: 100 * each.test for each in study.ranking}
    assert points(upper)[0] == ([8, 16, 64], pytest.approx([tests[size] for size in ("8", "16", "64")]))


def made_learning_curve(root: Path, numbers: Sequence[str | int]) -> list[Study]:
    for place, number in enumerate(numbers):
        split = {"split": {"name": "kfold", "train_per_class": number}}
        made(root / str(number), [({"fft": 0.5 * place, "cwt": 1.0 * place}, split)], n_train=10 * (place + 1))
    return studies(find_runs(root)[0])


def test_studies_that_a_number_tells_apart_have_an_overview(tmp_path: Path) -> None:
    found = made_learning_curve(tmp_path, [100, 4, 20])
    assert [each.settings for each in found] == [{"split.train_per_class": number} for number in ("4", "20", "100")]
    figure = overview(found)
    assert figure is not None
    upper, lower = figure.axes
    drawn = points(upper)
    for arm in ("cwt", "fft"):
        accuracies = [[run.test_accuracy for run in study.runs if run.transform == arm] for study in found]
        assert ([4, 20, 100], pytest.approx([100 * np.mean(each) for each in accuracies])) in drawn
        for study, x in zip(found, (4, 20, 100), strict=True):
            (summary,) = [each for each in study.comparisons[0].summaries if each.arm.name == arm]
            assert summary.low is not None
            assert summary.high is not None
            assert ([x, x], pytest.approx([100 * summary.low, 100 * summary.high])) in drawn
    assert upper.get_xscale() == "log"
    assert points(lower) == [([4, 20, 100], [2.0, 2.0, 2.0])] * 2
    assert {"split.train_per_class", "4", "20", "100", "cwt", "fft"} <= texts(figure)
    headers, rows = overview_table(found) or ([], [])
    assert headers == ["split.train_per_class", "to learn from", "cwt %", "fft %", "cwt fit s", "fft fit s", "decision"]
    assert [row[:2] for row in rows] == [["4", "20"], ["20", "30"], ["100", "10"]]
    assert rows[0][2].startswith(f"{100 * found[0].comparisons[0].summaries[0].mean:.1f} (")


def test_without_a_limit_there_is_no_number_and_so_no_line(tmp_path: Path) -> None:
    figure = overview(made_learning_curve(tmp_path, [4, 20, "null"]))
    assert figure is not None
    (axes,) = figure.axes
    assert "null" in texts(figure)
    joined = [line for line in axes.get_lines() if line.get_marker() in ("o", "s")]
    assert [line.get_linestyle() for line in joined] == ["None", "None"]


def test_studies_of_other_recordings_or_of_two_keys_have_no_overview(tmp_path: Path) -> None:
    made(tmp_path / "one", [(BOTH, {})], index_digest="12345678")  # may look like numbers
    made(tmp_path / "two", [(BOTH, {})], index_digest="23456789")
    assert overview(studies(find_runs(tmp_path)[0])) is None
    for number in (1, 2):
        split = {"split": {"name": "kfold", "train_per_class": number, "folds": 2 + number}}
        made(tmp_path / "keys" / str(number), [(BOTH, split)])
    found = studies(find_runs(tmp_path / "keys")[0])
    assert len(found) == 2
    assert overview(found) is overview_table(found) is None
    assert overview(found[:1]) is None


def test_names_are_not_joined_and_an_arm_may_lack_the_key(tmp_path: Path) -> None:
    wavelets = [({"cwt": 2.0}, {"transform": {"name": "cwt", "wavelet": each}}) for each in ("mexh", "a$x$")]
    made(tmp_path, [*wavelets, ({"fft": 1.0}, {})])
    figure = drawn(tmp_path)["settings"]
    (axes,) = figure.axes
    assert {"-", "mexh", "a$x$"} <= texts(figure)
    joined = [line for line in axes.get_lines() if len(np.ravel(line.get_xdata())) > 1 and line.get_marker() == "o"]
    assert [line.get_linestyle() for line in joined] == ["None"]


def test_two_keys_are_a_map_an_arm_with_shared_colours(tmp_path: Path) -> None:
    grid = [(BOTH, {**width(w), "optimizer": {"lr": lr}}) for w in (8, 16) for lr in (0.1, 0.01, 0.001)]
    made(tmp_path, grid)
    study = study_of(tmp_path)
    figure = figures(study, None)["settings"]
    maps = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in maps] == ["cwt", "fft"]
    for axes in maps:
        (image,) = axes.get_images()
        expected = [
            [
                next(
                    100 * each.test
                    for each in study.ranking
                    if each.values == {"transform": axes.get_title(), "model.width": w, "optimizer.lr": lr}
                )
                for w in ("8", "16")
            ]
            for lr in ("0.001", "0.01", "0.1")
        ]
        np.testing.assert_allclose(np.asarray(image.get_array()), expected)
    assert len({axes.get_images()[0].get_clim() for axes in maps}) == 1


def test_a_sweep_of_many_settings_is_still_one_figure(tmp_path: Path) -> None:
    grid = [(BOTH, {**width(w), "optimizer": {"lr": lr}}) for w in range(8, 14) for lr in (0.1, 0.01, 0.001)]
    made(tmp_path, grid, folds=2, val_accuracy=None)
    found = drawn(tmp_path)
    # Without validation nothing is chosen, so that all 36 settings are arms.
    assert len(study_of(tmp_path).comparisons[0].summaries) == 36
    assert max(figure.get_size_inches()[1] for figure in found.values()) < 12


def test_a_dollar_sign_is_no_formula(tmp_path: Path) -> None:
    made_sweep(
        tmp_path, np.random.default_rng(0), skill={"$fft$_{": 1.0, "$cwt$": 2.0}, classes=("$a$", r"$\b", "c"), n=60
    )
    found = drawn(tmp_path)
    assert all({"$cwt$", "$fft$_{"} <= texts(found[name]) for name in ("accuracy", "classes", "confusion"))
    assert {"$a$", r"$\b"} <= texts(found["confusion"])
    assert "$cwt$ \N{MINUS SIGN} $fft$_{" in texts(found["differences"])


def test_confusion_shows_shares_and_their_difference(tmp_path: Path) -> None:
    made(tmp_path, [(BOTH, width(16))])
    study = study_of(tmp_path)
    analysis = analyse(study)
    assert analysis
    images = [axes.get_images()[0] for axes in figures(study, analysis)["confusion"].axes]
    first, second, difference = (np.asarray(image.get_array()) for image in images)
    np.testing.assert_allclose(first.sum(axis=1), 100)
    np.testing.assert_allclose(first, 100 * analysis.confusions["cwt"] / 4)  # four recordings of each class a fold
    np.testing.assert_allclose(difference, first - second)
    low, high = images[2].get_clim()
    assert low == -high


def test_sixty_classes_fit(tmp_path: Path) -> None:
    made_sweep(
        tmp_path, np.random.default_rng(0), skill=BOTH, classes=[f"class {each}" for each in range(60)], n=600, seeds=1
    )
    found = drawn(tmp_path)
    assert {f"class {each}" for each in range(60)} <= texts(found["confusion"])
    assert {f"class {each} (10)" for each in range(60)} <= texts(found["classes"])
    assert len(saved(found["confusion"], "svg")) < 300_000


@pytest.mark.slow
def test_many_classes_make_no_figure_without_end(tmp_path: Path) -> None:
    names = [f"class {each:03}" for each in range(130)]
    made_sweep(tmp_path, np.random.default_rng(0), skill=BOTH, classes=names, n=650, seeds=1)
    analysis = analyse(study_of(tmp_path))
    assert analysis is not None
    found = drawn(tmp_path)
    assert max(found["confusion"].get_size_inches().tolist() + found["classes"].get_size_inches().tolist()) < 40
    counts = np.sum(list(analysis.confusions.values()), axis=0)
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    worst = {names[place] for place in np.argsort(-wrong)[:50]}
    assert worst <= texts(found["confusion"])
    assert len(set(names) & texts(found["confusion"])) == 100


def test_drawn_again_a_file_is_the_same(tmp_path: Path) -> None:
    made(tmp_path, [(BOTH, width(16)), (BOTH, width(32))])
    one, two = drawn(tmp_path), drawn(tmp_path)
    for name in one:
        assert saved(one[name], "svg") == saved(two[name], "svg")
    assert saved(one["accuracy"], "png").startswith(b"\x89PNG")
    assert saved(one["accuracy"], "pdf").startswith(b"%PDF")
