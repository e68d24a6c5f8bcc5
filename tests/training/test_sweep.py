"""What is told at the end of a sweep of which runs have no end."""

import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from audioid.training.budget import Asked
from audioid.training.sweep import ShowProgress


def test_runs_that_did_not_end_are_named_and_first_those_that_had_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ShowProgress()
    shown.since = time.time() - 60
    shown.runs = {tmp_path / f"seed={seed}": Asked(10, None) for seed in range(10)}
    (tmp_path / "seed=5").mkdir()
    config = OmegaConf.create({"hydra": {"sweep": {"dir": "here"}, "overrides": {"task": []}}})
    with pytest.raises(SystemExit, match="1"):
        shown.on_multirun_end(config)
    first, second = capsys.readouterr().err.splitlines()
    names = "seed=5, seed=0, seed=1, seed=2, seed=3, seed=4, seed=6, seed=7"
    assert first == f"error: {names} and 2 more: stopped before they ended"
    assert second.startswith("10 of the runs have not ended; go on: ")
    assert second.endswith(" resume='here'")
