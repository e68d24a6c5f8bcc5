import re

import pytest

from audioid.config import compose
from audioid.errors import AudioidError
from audioid.pipeline.device import device_of

TASK = {"SLURM_JOB_NAME": "run", "SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}


@pytest.mark.parametrize(
    ("nodes", "tasks", "per_node", "trouble"),
    [
        ("1", "2", "2", ""),
        ("2", "4", "2", "--nodes=2"),
        ("1", "1", "1", "--ntasks-per-node=1"),
        ("1", "2", None, "--ntasks"),
    ],
)
def test_other_tasks_than_devices_are_told_before_anything_is_made(
    nodes: str, tasks: str, per_node: str | None, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
    for name, value in (TASK | {"SLURM_NNODES": nodes, "SLURM_NTASKS": tasks}).items():
        monkeypatch.setenv(name, value)
    if per_node:
        monkeypatch.setenv("SLURM_NTASKS_PER_NODE", per_node)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    settings = compose(["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"])
    if not trouble:
        assert device_of(settings) == "cpu"
        return
    with pytest.raises(AudioidError, match=re.escape(trouble)) as raised:
        device_of(settings)
    assert "srun --nodes=1 --ntasks-per-node=2" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert device_of(compose(["trainer.accelerator=cpu"])) == "cpu"  # one run of a job of several tasks
