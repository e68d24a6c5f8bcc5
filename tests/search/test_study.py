"""The trials of a search: as many as were asked for, each once, whoever dies."""

import math
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from audioid.errors import AudioidError
from audioid.search.space import Space
from audioid.search.study import Search, Taken, read_outcome, trial_in, write_outcome

SPACES: dict[str, Space] = {
    "fft": {"optimizer.lr": FloatDistribution(0.001, 0.1, log=True)},
    "cwt": {
        "optimizer.lr": FloatDistribution(0.001, 0.1, log=True),
        "transform.wavelet": CategoricalDistribution(("mexh", "morl")),
    },
}


def begun(
    sweep: Path,
    trials: int = 3,
    seed: int = 0,
    spaces: dict[str, Space] | None = None,
    asked: Sequence[str] = ("image.size=32",),
) -> Search:
    return Search(sweep, spaces or SPACES, asked=asked, trials=trials, seed=seed, best_by="val_loss")


def end(search: Search, taken: Taken) -> None:
    """As a run ends whose loss is least where the rate is 0.01."""
    rate = float(taken.texts[0].partition("=")[2])
    write_outcome(
        taken.folder,
        read_outcome(taken.folder) | {"state": "complete", "value": abs(math.log10(rate) + 2), "epochs": 1},
    )
    search.tell(taken)


def tried(search: Search) -> list[tuple[str, int, list[str]]]:
    """All trials, run to their end."""
    found = []
    while taken := search.take():
        end(search, taken)
        found.append((taken.arm, taken.number, taken.texts))
    return found


def test_each_arm_has_as_many_trials_and_begins_with_the_same_values(tmp_path: Path) -> None:
    search = begun(tmp_path, trials=12)
    found = tried(search)
    assert sorted((arm, number) for arm, number, _ in found) == [(arm, n) for arm in ("cwt", "fft") for n in range(12)]
    assert search.is_over()
    rates = {arm: [texts[0] for each, _, texts in found if each == arm] for arm in SPACES}
    assert rates["fft"][:10] == rates["cwt"][:10]  # drawn at random, before anything is learned from trials
    assert len(set(rates["fft"])) == 12
    least = min(found, key=lambda each: (each[0] != "fft", abs(math.log10(float(each[2][0].partition("=")[2])) + 2)))
    assert search.best("fft").number == least[1]


def test_a_search_is_the_same_again_and_when_it_is_gone_on_with(tmp_path: Path) -> None:
    whole = tried(begun(tmp_path / "whole", trials=12))
    parts = []
    for _ in range(5):  # each time another process, which dies with a trial in its hands
        search = begun(tmp_path / "parts", trials=12)
        for _ in range(4):
            taken = search.take()
            assert taken
            end(search, taken)
            parts.append((taken.arm, taken.number, taken.texts))
        died = search.take()
        assert died
        died.lock.release()
    parts += tried(begun(tmp_path / "parts", trials=12))
    assert parts == whole
    assert tried(begun(tmp_path / "other", trials=12, seed=1)) != whole


def test_processes_share_trials_and_one_that_dies_leaves_its_own_to_the_others(tmp_path: Path) -> None:
    one, other = begun(tmp_path, trials=2), begun(tmp_path, trials=2)
    taken = [search.take() for search in (one, other, one, other)]
    assert all(taken)
    assert {(each.arm, each.number) for each in taken if each} == {(arm, n) for arm in SPACES for n in range(2)}
    assert one.take() is None
    assert not one.is_over()
    died = taken[1]
    assert died
    died.lock.release()
    again = one.take()
    assert again
    assert (again.arm, again.number, again.texts) == (died.arm, died.number, died.texts)
    assert other.take() is None


def test_a_process_that_dies_between_asking_and_choosing_leaves_a_trial_to_choose_for(tmp_path: Path) -> None:
    search = begun(tmp_path, trials=1)
    search.studies["fft"].ask()  # no value yet
    found = tried(begun(tmp_path, trials=1))
    assert [(arm, number, len(texts)) for arm, number, texts in found] == [("fft", 0, 1), ("cwt", 0, 2)]


def test_a_failed_run_stops_the_search_and_its_trial_is_taken_up_again(tmp_path: Path) -> None:
    search = begun(tmp_path)
    taken = search.take()
    assert taken
    (taken.folder / "error.txt").write_text("disk: is full\n\nTraceback\n")
    with pytest.raises(AudioidError, match="fft 000: disk: is full"):
        search.tell(taken)
    taken.lock.release()
    again = search.take()
    assert again
    assert again.texts == taken.texts


def test_another_space_is_refused(tmp_path: Path) -> None:
    search = begun(tmp_path, trials=1)
    for taken in (search.take(), search.take()):
        assert taken
        taken.lock.release()
    another = begun(
        tmp_path, spaces={"cwt": {**SPACES["cwt"], "transform.wavelet": CategoricalDistribution(("morl",))}}
    )
    with pytest.raises(AudioidError, match="its search has another space"):
        another.take()


def test_trials_of_one_search_differ_in_nothing_else(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(AudioidError, match=r"^image\.size: the search in .* has image\.size=32; say the same"):
        begun(tmp_path, asked=["image.size=64"])


def test_fewer_trials_than_have_begun_would_be_more_of_one_arm(tmp_path: Path) -> None:
    search = begun(tmp_path, trials=3)
    for _ in range(3):
        taken = search.take()
        assert taken
        end(search, taken)
    assert [len(search.of(arm)) for arm in SPACES] == [2, 1]
    with pytest.raises(AudioidError, match=r"tune\.trials: 2 of an arm have begun in .*; say as many, or more"):
        begun(tmp_path, trials=1)


def test_a_search_that_has_ended_takes_no_more_trials(tmp_path: Path) -> None:
    tried(begun(tmp_path, trials=1))
    (tmp_path / "search" / "search.json").write_text("{}")  # its last file
    begun(tmp_path, trials=1)
    with pytest.raises(AudioidError, match=r"tune\.trials: .* has ended with "):
        begun(tmp_path, trials=2)


def test_trials_that_diverged_are_no_best(tmp_path: Path) -> None:
    search = begun(tmp_path, trials=1)
    taken = search.take()
    assert taken
    write_outcome(taken.folder, read_outcome(taken.folder) | {"state": "diverged", "value": None, "epochs": 0})
    assert search.tell(taken).state == TrialState.PRUNED
    with pytest.raises(AudioidError, match="each trial of fft diverged"):
        search.best("fft")


def test_the_file_is_sqlite_that_optuna_reads_by_itself(tmp_path: Path) -> None:
    tried(begun(tmp_path, trials=2))
    study = optuna.load_study(study_name="cwt", storage=f"sqlite:///{tmp_path}/search/trials.sqlite3")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2


def test_a_run_that_claims_to_be_a_trial_makes_no_search(tmp_path: Path) -> None:
    folder = tmp_path / "trials" / "fft 000"
    (tmp_path / "search").mkdir()
    folder.mkdir(parents=True)
    write_outcome(folder, {"arm": "fft", "number": 0})
    with pytest.raises(AudioidError, match="is no trial of a search"):
        trial_in(folder, NopPruner())
    assert not list((tmp_path / "search").iterdir())
    begun(tmp_path)
    for claim in ({"arm": "of others", "number": 0}, {"arm": "fft", "number": 7}):
        write_outcome(folder, claim)
        with pytest.raises(AudioidError, match="is no trial of a search"):
            trial_in(folder, NopPruner())
