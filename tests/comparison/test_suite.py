"""Several corpora side by side."""

from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from audioid.comparison.records import find_runs
from audioid.comparison.study import Study, studies
from audioid.comparison.suite import consistency, plain, table_of, tidy


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


def test_a_pair_is_one_whichever_arm_comes_first(write_run: Any, tmp_path: Path) -> None:
    """Of five arms each stands against the best of its corpus: here cwt, there fft."""
    found = {}
    for number, (cwt, fft) in enumerate([(0.9, 0.8), (0.7, 0.85), (0.7, 0.83)]):
        root = tmp_path / f"corpus {number}"
        root.mkdir(parents=True)
        for split in range(3):
            accuracies = {"cwt": cwt, "fft": fft, "a": 0.5, "b": 0.5, "c": 0.5}
            for transform, accuracy in accuracies.items():
                value = accuracy + 0.001 * split * (transform == "cwt")
                folder = write_run(transform, 0, value, split_seed=split, index_digest=str(number))
                folder.rename(root / folder.name)
        (found[root.name],) = studies(find_runs(root)[0])
    (each,) = [each for each in consistency(found) if {each.first, each.second} == {"cwt", "fft"}]
    assert (each.first, each.corpora, each.ahead) == ("cwt", 3, 1)
    assert each.mean == pytest.approx((0.1 - 0.15 - 0.13) / 3 + 0.001)
    assert each.sentence.startswith("cwt and fft: fft is ahead in 2 of 3 corpora")
