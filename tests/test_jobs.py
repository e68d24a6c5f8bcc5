"""Which jobs a sweep has: each combination once, without keys that its options do not have."""

from itertools import chain, combinations

import pytest

from audioid.config import check_command_line, compose, known_options
from audioid.errors import AudioidError
from audioid.jobs import applying, in_parallel, jobs, sample_jobs
from audioid.overrides import parse

OPTIONS = known_options(None)


def expanded(*texts: str) -> list[str]:
    return [" ".join(job) for job in jobs(parse(texts), OPTIONS)]


def test_a_key_of_one_arm_goes_to_that_arm_alone_and_equal_jobs_are_one() -> None:
    assert expanded("transform=fft,cwt", "transform.wavelet=mexh,cmor1.5-1.0", "seed=0,1") == [
        "transform=fft seed=0",
        "transform=fft seed=1",
        "transform=cwt transform.wavelet=mexh seed=0",
        "transform=cwt transform.wavelet=mexh seed=1",
        "transform=cwt transform.wavelet=cmor1.5-1.0 seed=0",
        "transform=cwt transform.wavelet=cmor1.5-1.0 seed=1",
    ]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["optimizer=sgd,adamw", "optimizer.lr=1"], ["optimizer=sgd optimizer.lr=1", "optimizer=adamw optimizer.lr=1"]),
        (["optimizer=adamw,sgd", "optimizer.momentum=0"], ["optimizer=adamw", "optimizer=sgd optimizer.momentum=0"]),
        (["model=cnn,original", "model.depth=3,4"],
         ["model=cnn model.depth=3", "model=cnn model.depth=4", "model=original"]),
        # The order of the command line is no matter.
        (["transform.n_fft=512", "transform=cwt,fft"], ["transform=cwt", "transform.n_fft=512 transform=fft"]),
        (["model=cnn,custom", "model.arguments.hidden=8"], ["model=cnn", "model=custom ++model.arguments.hidden=8"]),
        # One that is chosen without a sweep gets what is said of it, so that a mistake is told.
        (["transform=fft", "transform.wavelet=mexh"], ["transform=fft transform.wavelet=mexh"]),
        (["transform=fft,mfcc", "transform.wavelet=mexh"],
         ["transform=fft transform.wavelet=mexh", "transform=mfcc transform.wavelet=mexh"]),
        (["seed=0,0,1", "seed=range(1,3)"], ["seed=1", "seed=2"]),
    ],
)  # fmt: skip
def test_jobs(texts: list[str], found: list[str]) -> None:
    assert sorted(expanded(*texts)) == sorted(found)


def test_each_job_has_just_the_keys_that_its_own_option_composes() -> None:
    """Against Hydra's composition of each option rather than against the settings' classes."""
    keys = {
        name: set(compose([f"transform={name}"]).transform.model_dump()) - {"name"} for name in OPTIONS["transform"]
    }
    every = sorted(set().union(*keys.values()))
    for options in chain(combinations(sorted(keys), 2), combinations(sorted(keys), 3)):
        anyones = set().union(*(keys[option] for option in options))
        for option in options:
            job = [f"transform={option}", *(f"transform.{key}=1" for key in every)]
            kept = {text.partition("=")[0] for text in applying(job, {"transform": options})} - {"transform"}
            assert kept == {f"transform.{key}" for key in every if key in keys[option] or key not in anyones}


def test_an_option_of_one_s_own_keeps_what_is_said_of_it() -> None:
    swept = {"model": ["mine", "original"]}
    assert applying(["model=mine", "model.depth=3"], swept) == ("model=mine", "model.depth=3")
    assert applying(["model=original", "model.depth=3"], swept) == ("model=original",)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("transform.wavelet=mexh,nonesuch", "transform.wavelet: there is no 'nonesuch'"),
        ("transform.n_fft=4096,3", "transform.n_fft: 3"),
        ("transform.filter_scale=1", "transform.filter_scale: not a key of the chosen transform; transform=cqt has it"),
    ],
)
def test_a_key_of_one_arm_is_judged_with_that_arm(wrong: str, message: str) -> None:
    with pytest.raises(AudioidError, match=f"^{message}"):
        check_command_line(["-m", "transform=fft,cwt", wrong, "seed=0,1"])


def test_a_wrong_value_for_one_arm_is_found_among_any_number() -> None:
    many = "transform.first_samples=" + ",".join(map(str, [*range(2, 300), 1]))
    with pytest.raises(AudioidError, match=r"transform\.first_samples: 1 is out"):
        check_command_line(["-m", "transform=fft,cwt", many])


def test_a_large_sweep_is_sampled_with_every_choice_and_every_pair_with_an_option() -> None:
    choices = [["a", "b"], [f"x{n}" for n in range(300)], [f"y{n}" for n in range(300)]]
    found = list(sample_jobs(choices, [True, False, False]))
    assert {(job[0], job[1]) for job in found} == {(a, x) for a in choices[0] for x in choices[1]}
    assert {job[2] for job in found} == set(choices[2])
    assert len(found) < 2000


def test_jobs_that_differ_in_the_seed_alone_become_one_of_at_most_so_many() -> None:
    found = jobs(parse(["seed=0,7,8", "transform=fft,cwt", "split.seed=0,1", "trainer.parallel_seeds=2"]), OPTIONS)
    assert len(found) == 12
    together = in_parallel(found, 2)
    assert [" ".join(job) for job in together if "transform=cwt" in job and "split.seed=1" in job] == [
        "seed=0 transform=cwt split.seed=1 trainer.parallel_seeds=[0,7]",
        "seed=8 transform=cwt split.seed=1 trainer.parallel_seeds=[8]",
    ]
    assert len(together) == 8


def test_jobs_in_which_more_goes_with_the_seed_stay_apart() -> None:
    found = jobs(parse(["seed=0,1", "split.seed=${seed}"]), OPTIONS)
    assert [job[-1] for job in in_parallel(found, 2)] == ["trainer.parallel_seeds=[0]", "trainer.parallel_seeds=[1]"]
    found = jobs(parse(["split.seed=0,1", "seed=${split.seed}"]), OPTIONS)
    assert [job[-1] for job in in_parallel(found, 2)] == ["trainer.parallel_seeds=1", "trainer.parallel_seeds=1"]
