"""Several corpora side by side."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from audioid.comparison.records import find_runs
from audioid.comparison.study import Study, studies
from audioid.comparison.suite import consistency, fewest_corpora, plain, table_of, tidy


def corpora(write_run: Any, tmp_path: Path, gaps: list[float]) -> dict[str, Study]:
    """Of each corpus three splits, cwt above fft by the gap."""
    found = {}
    for number, gap in enumerate(gaps):
        folders = []
        for split in range(3):
            for transform, accuracy in (("cwt", 0.8 + gap + 0.002 * split), ("fft", 0.8)):
                options = {"split_seed": split, "index_digest": str(number)}
                folders.append(write_run(transform, 0, accuracy, **options))
        root = tmp_path / f"corpus {number}"
        root.mkdir(parents=True)
        for folder in folders:
            folder.rename(root / folder.name)
        (found[f"corpus {number}"],) = studies(find_runs(root)[0])
    return found


def test_each_corpus_has_a_row_with_its_decision(write_run: Any, tmp_path: Path) -> None:
    headers, rows = table_of(corpora(write_run, tmp_path, [0.1, -0.1, 0.0]))
    assert headers == ["corpus", "recordings", "measure", "cwt", "fft", "decision"]
    assert rows[0][:3] == ["corpus 0", "500", "test accuracy"]
    assert rows[0][3].startswith("90.2 (")
    assert [row[:4] for row in tidy(corpora(write_run, tmp_path / "again", [0.1]))] == [
        ["corpus", "arm", "metric", "n"],
        ["corpus 0", "cwt", "test_accuracy", 3],
        ["corpus 0", "fft", "test_accuracy", 3],
    ]
    assert [row[-1] for row in rows] == ["cwt by 10.2", "fft by 9.8", "no difference"]


def test_consistency_is_wilcoxon_s_over_corpora(write_run: Any, tmp_path: Path) -> None:
    gaps = [0.05, 0.04, 0.03, -0.01, 0.06, 0.02, 0.07]
    (found,) = consistency(corpora(write_run, tmp_path, gaps))
    assert (found.first, found.second, found.corpora, found.ahead) == ("cwt", "fft", 7, 6)
    assert found.p_value == pytest.approx(stats.wilcoxon([gap + 0.002 for gap in gaps]).pvalue)
    assert found.sentence == "cwt and fft: cwt is ahead in 6 of 7 corpora (signed ranks: p = 0.031), consistently so."


def test_few_corpora_can_show_nothing_and_it_is_said(write_run: Any, tmp_path: Path) -> None:
    found = corpora(write_run, tmp_path, [0.1, 0.1, 0.1, 0.1, 0.1])
    (each,) = consistency(found)
    assert each.p_value == pytest.approx(2 / 2**5)  # all five ahead: the smallest there is
    assert "which may be chance; 5 corpora are too few" in each.sentence
    assert [corpus["corpus"] for corpus in plain(found)["corpora"]] == list(found)


def many(write_run: Any, tmp_path: Path, means: list[dict[str, float]], **more: Any) -> dict[str, Study]:
    """Of each corpus three splits of each arm about its mean."""
    found = {}
    for number, arms in enumerate(means):
        root = tmp_path / f"corpus {number}"
        root.mkdir(parents=True)
        for place, (transform, mean) in enumerate(arms.items()):
            for split in range(3):
                accuracy = mean + 0.001 * place * (split - 1)
                folder = write_run(transform, 0, accuracy, split_seed=split, index_digest=str(number), **more)
                folder.rename(root / folder.name)
        (found[root.name],) = studies(find_runs(root)[0])
    return found


def test_every_pair_of_many_arms_is_ranked_over_every_corpus(write_run: Any, tmp_path: Path) -> None:
    """Also where neither is the best of its corpus: else the outcome would choose the corpora that count."""
    rng = np.random.default_rng(0)
    means = [{arm: 0.5 + 0.1 * place + rng.normal(0, 0.04) for place, arm in enumerate("abcde")} for _ in range(12)]
    found = consistency(many(write_run, tmp_path, means))
    pairs = list(combinations("abcde", 2))
    assert [(each.first, each.second, each.corpora) for each in found] == [(*pair, 12) for pair in pairs]
    raw = [stats.wilcoxon([arms[one] - arms[other] for arms in means]).pvalue for one, other in pairs]
    assert [each.p_value for each in found] == pytest.approx(list(multipletests(raw, method="holm")[1]))
    assert [each.ahead for each in found] == [sum(arms[one] > arms[other] for arms in means) for one, other in pairs]


def test_of_many_decisions_a_cell_spells_out_those_that_are_made(write_run: Any, tmp_path: Path) -> None:
    _, ((*_, few),) = table_of(many(write_run, tmp_path / "few", [{"a": 0.5, "b": 0.5, "c": 0.8}]))
    assert few == "no difference (a, b); c by 30.0 (a, c); c by 30.0 (b, c)"
    spread = [{"a": 0.5, "b": 0.501, "c": 0.502, "d": 0.503, "e": 0.9}]
    found = many(write_run, tmp_path / "many", spread, n_test=1000)
    _, ((*_, cell),) = table_of(found)
    decisions = [each["decision"] for each in plain(found)["corpora"][0]["differences"]]
    assert len(decisions) == 10
    assert cell.endswith(f"; {decisions.count('undecided')} undecided")
    assert "e by 40.0 (a, e)" in cell


@pytest.mark.parametrize(("pairs", "fewest"), [(1, 6), (3, 7), (6, 8), (15, 10)])
def test_the_fewest_corpora_that_can_show_something(pairs: int, fewest: int) -> None:
    """In which an arm that is ahead in all of them is consistently so, though as many pairs are judged."""
    surely = [stats.wilcoxon(np.arange(1.0, n + 1)).pvalue * pairs <= 0.05 for n in (fewest - 1, fewest)]
    assert surely == [False, True]
    assert fewest_corpora(pairs) == fewest


def test_a_pair_is_one_whichever_arm_comes_first(write_run: Any, tmp_path: Path) -> None:
    """Where one setting has no validation part, all settings are arms, and each corpus has them in its own order."""
    found = {}
    for number, (cwt, fft) in enumerate([(0.9, 0.8), (0.7, 0.85), (0.7, 0.83)]):
        root = tmp_path / f"corpus {number}"
        root.mkdir(parents=True)
        for split in range(3):
            for transform, accuracy in {"cwt": cwt + 0.001 * split, "fft": fft}.items():
                for width in (8, 16):
                    model = {"model": {"name": "cnn", "width": width}, "transform": {"name": transform}}
                    more = {"val_accuracy": None} if (transform, width) == ("cwt", 16) else {}
                    folder = write_run(
                        transform, 0, accuracy, split_seed=split, index_digest=str(number), settings=model, **more
                    )
                    folder.rename(root / folder.name)
        (found[root.name],) = studies(find_runs(root)[0])
    orders = [[each.arm.name for each in study.comparisons[0].summaries] for study in found.values()]
    assert orders[0].index("cwt width=8") < orders[0].index("fft width=8")
    assert orders[1].index("cwt width=8") > orders[1].index("fft width=8")
    (each,) = [each for each in consistency(found) if {each.first, each.second} == {"cwt width=8", "fft width=8"}]
    assert (each.first, each.corpora, each.ahead) == ("cwt width=8", 3, 1)
    assert each.mean == pytest.approx((0.1 - 0.15 - 0.13) / 3 + 0.001)
    assert each.sentence.startswith("cwt width=8 and fft width=8: fft width=8 is ahead in 2 of 3 corpora")
