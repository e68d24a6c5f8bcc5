from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audioid.comparison.analysis import analyse
from audioid.comparison.figures import figures
from audioid.comparison.figures.style import saved
from audioid.comparison.records import find_runs
from audioid.comparison.study import Study, studies
from tests.comparison.made_runs import made_sweep

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
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_xticks().tolist() == [8, 16, 128]
    tests = {(each.values["transform"], float(each.values["model.width"])): 100 * each.test for each in study.ranking}
    lines = [each for each in points(axes) if len(each[0]) == 3]
    assert lines == [
        ([8, 16, 128], pytest.approx([tests[arm, each] for each in (8, 16, 128)])) for arm in ("cwt", "fft")
    ]
    assert {"8", "16", "128", "model.width", "cwt", "fft"} <= texts(figure)


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
