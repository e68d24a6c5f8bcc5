"""What a search makes of overrides."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from audioid.config import check_command_line
from audioid.errors import AudioidError
from audioid.overrides import parse
from audioid.search.space import Plan, plan_of, texts_of
from hydra_plugins.audioid import SearchingSweeper

TRANSFORMS = {"transform": {"fft", "cwt"}}
SEARCH = ["experiment=tune", "data=synthetic"]


def planned(*texts: str) -> Plan:
    return plan_of(parse(texts), TRANSFORMS)


def test_each_kind_of_values_is_a_distribution_of_its_own() -> None:
    plan = planned(
        "transform=fft",
        "optimizer.lr=tag(log,interval(0.001,0.1))",
        "model.width=int(interval(4,64))",
        "model.depth=range(3,8,2)",
        "augment=none,auto",
        "seed=0,1",
    )
    assert plan.spaces["fft"] == {
        "optimizer.lr": FloatDistribution(0.001, 0.1, log=True),
        "model.width": IntDistribution(4, 64),
        "model.depth": IntDistribution(3, 7, step=2),
        "augment": CategoricalDistribution(("none", "auto")),
    }


def test_arms_share_all_but_their_own_keys_which_come_last() -> None:
    own = ["transform.wavelet=mexh,morl", "transform.win_length=256,512"]
    plan = planned(*own, "optimizer.lr=interval(0.1,0.2)", "transform=fft,cwt")
    assert list(plan.spaces["fft"]) == ["optimizer.lr", "transform.win_length"]
    assert list(plan.spaces["cwt"]) == ["optimizer.lr", "transform.wavelet"]


def test_judges_have_the_best_of_their_arm_on_splits_that_no_trial_has() -> None:
    plan = planned("model.depth=range(1,5)", "image.size=32", "split.seed=0,1,3", "split.fold=0,1", "transform=fft,cwt")
    assert plan.trial("cwt", ["model.depth=2"]) == ("image.size=32", "split.seed=2", "transform=cwt", "model.depth=2")
    judges = plan.judges({"fft": ["model.depth=3"], "cwt": ["model.depth=4"]})
    assert len(judges) == len(set(judges)) == 12
    assert plan.asked == ["image.size=32", "model.depth=range(1,5)", "split.seed=2"]
    assert ("image.size=32", "split.seed=3", "split.fold=1", "transform=cwt", "model.depth=4") in judges
    assert {job[-1] for job in judges if "transform=fft" in job} == {"model.depth=3"}


def test_trials_of_one_search_are_drawn_by_one_seed() -> None:
    """Else the arms would not begin with the same values."""
    plan = planned("transform=fft", "model.depth=range(1,5)", "tune.seed=1", "tune.trials=5", "tune.at_once=2")
    assert plan.asked == ["model.depth=range(1,5)", "split.seed=0", "tune.seed=1"]


@pytest.mark.parametrize("params", [{}, {"model.depth": 9}, {"model.depth": 2, "model.target": "os.system"}])
def test_values_of_another_space_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(AudioidError, match="start another"):
        texts_of(params, {"model.depth": IntDistribution(1, 4)})


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["model.dpth=choice(1,2)"], "model.dpth: no such key; did you mean model.depth?"),
        (["optimizer.momentum=interval(0.1,0.9)"], "optimizer.momentum: not a key of the chosen optimizer"),
        (["transform=fft", "transform.wavelet=mexh,morl"], "transform.wavelet: not a key of the chosen transform"),
        (["optimizer.lr=interval(0.1,1000)"], "optimizer.lr: 1000.0 is out of range"),
        (["optimizer.lr=tag(log,interval(0.0,0.1))"], r"optimizer.lr=.*: a log scale begins above 0; raise"),
        (
            ["optimizer.lr=tag(log,interval(0.01,0.001))"],
            r"0.001\)\): the first bound is above the second; exchange them$",
        ),
        (["split.train_per_class=4,8"], "split.train_per_class: cannot be searched"),
        (["trainer.best_by=val_loss,val_accuracy"], "trainer.best_by: cannot be searched"),
        (["split.val_fraction=0"], "split.val_fraction: a search chooses by the validation part"),
        (["trainer.fast_dev_run=true"], "trainer.fast_dev_run: leaves nothing"),
        (["seed=0,1", "trainer.parallel_seeds=2"], "trainer.parallel_seeds: a search runs its trials one by one"),
        (["tune.trials=0"], "tune.trials: 0 is out of range"),
    ],
)
def test_a_wrong_space_is_told_before_anything_is_trained(more: list[str], line: str) -> None:
    with pytest.raises(AudioidError, match=line):
        check_command_line([*SEARCH, *more])


def test_a_key_of_a_search_is_not_passed_over_where_nothing_is_searched() -> None:
    for arguments in (["tune.trials=4"], ["experiment=compare", "tune.trials=4"], ["-m", "seed=0,1", "tune.trials=4"]):
        with pytest.raises(AudioidError, match=r"^tune\.trials: belongs to experiment=tune; add that$"):
            check_command_line(["data=synthetic", *arguments])
    check_command_line([*SEARCH, "tune.trials=4"])
    check_command_line([*SEARCH, "tune.trials=4", "--cfg", "job"])


def test_one_value_takes_a_line_out_and_so_does_an_option_without_the_key() -> None:
    arguments = check_command_line([*SEARCH, "transform=fft", "optimizer.lr=0.01", "model=original"])
    searched = {text.partition("=")[0] for text in arguments if "choice(" in text or "interval(" in text}
    assert searched == {
        "optimizer.weight_decay",
        "augment.frequency_mask",
        "augment.time_mask",
        "transform.win_length",
    } | ({"model.width"})


def test_a_key_of_one_arm_may_have_one_value() -> None:
    for experiment in ("compare", "tune"):
        arguments = check_command_line([f"experiment={experiment}", "data=synthetic", "transform.wavelet=mexh"])
        assert "transform.wavelet=choice(mexh)" in arguments
        assert "transform=fft,cwt" in arguments


def test_weights_to_start_from_stay_where_nothing_that_hangs_on_them_is_searched(tones: Path) -> None:
    alike = ["model.width=32", "model.depth=4", "transform.win_length=auto", "transform.wavelet=cmor1.5-1.0"]
    for pinned, is_kept in ((alike, True), (alike[1:], False)):
        arguments = check_command_line(["experiment=tune", "data=folder", f"data.root={tones}", *pinned])
        assert ("model.pretrained='none'" not in arguments) == is_kept


def test_a_search_sends_no_array() -> None:
    launcher = {"_target_": "hydra_plugins.audioid._slurm.SlurmLauncher"}
    config, nothing = OmegaConf.create({"hydra": {"launcher": launcher}}), dict[str, Any](hydra_context=None)
    with pytest.raises(AudioidError, match="start the command in a job"):
        SearchingSweeper(None).setup(**nothing, task_function=lambda _: None, config=config)
