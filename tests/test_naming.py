"""Names and rows of runs: what differs is in them, and nothing that a file system refuses."""

import re
from pathlib import PureWindowsPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioid.naming import MAX_NAME, hyperparameters, run_name

KNOWN = ["model.width", "split.seed", "seed", "data.root", "data.group_pattern", "trainer.max_epochs"]


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "cwt seed=0"),
        (["transform=cwt", "model.width=32", "seed=0"], "cwt width=32 seed=0"),
        (["split.seed=4"], "cwt split.seed=4 seed=0"),
        (["data=folder", "data.root='/far/away/my drums'"], "cwt data=folder seed=0"),
        (["data.group_pattern='kit(\\d+)'", "store.root=x", "resume=y", "logger=csv"], "cwt seed=0"),
        (["+experiment=original"], "cwt experiment=original seed=0"),
        (["transform.scales=[1,50]"], "cwt transform.scales=1-50 seed=0"),
    ],
)
def test_a_single_run_is_named_by_what_was_chosen_but_no_path_or_pattern(overrides: list[str], name: str) -> None:
    assert run_name("cwt", 0, overrides, None, KNOWN) == name


def test_a_run_of_a_sweep_is_named_by_what_the_sweep_varies() -> None:
    overrides = ["transform=cwt", "seed=1", "model.width=8", "trainer.max_epochs=3", "data=folder", "data.root=/x"]
    assert run_name("cwt", 1, overrides, ["transform", "seed", "model.width"], KNOWN) == "cwt width=8 seed=1"


def test_folders_of_one_name_stay_different_in_a_sweep_over_them() -> None:
    names = {run_name("fft", 0, [f"data.root=/{disk}/drums"], ["data.root"], KNOWN) for disk in "ab"}
    assert len(names) == 2
    assert all(re.fullmatch(r"fft root=drums-[0-9a-f]{8} seed=0", name) for name in names)


@settings(max_examples=300, deadline=None)
@given(st.sets(st.text(min_size=1, max_size=200), min_size=2, max_size=2), st.sampled_from(KNOWN))
def test_any_values_give_different_names_that_every_system_takes(values: set[str], key: str) -> None:
    names = {run_name("fft", 0, [f"{key}={value}"], [key], KNOWN) for value in values}
    if key != "seed" and len({value.strip("'\"[]").replace(", ", ",").replace(",", "-") for value in values}) == 2:
        assert len(names) == 2
    for name in names:
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
        assert name == name.strip(" .")
        assert not PureWindowsPath(name).is_reserved()
        assert len(name.encode()) <= MAX_NAME


SETTINGS = {
    "seed": 3,
    "transform": {"name": "cwt", "wavelet": "mexh"},
    "data": {"name": "folder", "root": "/x", "group_pattern": None},
    "audio": {"seconds": 2.0, "remove_dc": True},
    "model": {"name": "cnn", "width": 32},
}


def test_a_row_has_the_chosen_keys_with_the_values_that_were_used() -> None:
    overrides = [
        "transform=cwt",
        "audio.seconds=2",
        "data=folder",
        "data.root=/x",
        "audio.remove_dc=yes",
        "store.root=y",
    ]
    assert hyperparameters(SETTINGS, [*overrides, "audio.remove_dc=yes", "experiment=original", "model.width=32"]) == {
        "transform": "cwt",
        "seed": 3,
        "audio.seconds": 2.0,
        "data": "x",
        "audio.remove_dc": True,
        "experiment": "original",
        "model.width": 32,
    }


def test_transform_seed_and_recordings_are_in_every_row() -> None:
    """A run whose recordings come from elsewhere has no column that others lack."""
    assert hyperparameters(SETTINGS, []) == {"transform": "cwt", "seed": 3, "data": "x"}
    sources: dict[str, dict[str, Any]] = {"synthetic": {"per_class": 4}, "manifest": {"file": "lists/birds.csv"}}
    for name, data in sources.items():
        row = hyperparameters(
            SETTINGS | {"data": {"name": name, **data}}, [f"data={name}", "data.file=lists/birds.csv"]
        )
        assert row == {"transform": "cwt", "seed": 3, "data": {"manifest": "birds.csv"}.get(name, name)}
