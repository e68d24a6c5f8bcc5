"""What the benchmark of searches counts."""

from pathlib import Path

from audioid.search.study import write_outcome
from scripts.bench_search import ended, written


def test_a_trial_that_is_done_again_is_noticed_though_it_came_to_the_same(tmp_path: Path) -> None:
    folder, outcome = tmp_path / "trials" / "fft 000", {"arm": "fft", "number": 0}
    folder.mkdir(parents=True)
    write_outcome(folder, outcome)
    assert written(tmp_path) == ended(tmp_path) == {}
    write_outcome(folder, outcome | {"state": "complete", "value": 0.5, "epochs": 2})
    before, alike = written(tmp_path), ended(tmp_path)
    write_outcome(folder, outcome | {"state": "complete", "value": 0.5, "epochs": 2})
    assert ended(tmp_path) == alike
    assert written(tmp_path).keys() == before.keys()
    assert written(tmp_path) != before
