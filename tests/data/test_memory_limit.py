from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from audioid.data import memory_limit as module
from audioid.data.memory_limit import memory_limit

TOTAL = psutil.virtual_memory().total
MIB = 2**20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty tree of control groups; the file `own` beside it says which this process is in."""
    monkeypatch.setattr(module, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(module, "OWN", tmp_path / "own")
    memory_limit.cache_clear()
    yield tmp_path
    memory_limit.cache_clear()


def bound(group: Path, file: str, limit: object) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / file).write_text(f"{limit}\n")


def test_a_machine_without_groups_gives_all_that_it_has(groups: Path) -> None:
    assert memory_limit() == TOTAL


def test_the_least_limit_of_a_group_and_those_that_it_is_in(groups: Path) -> None:
    (groups / "own").write_text("0::/jobs/7/step\n")
    bound(groups / "groups", "cgroup.procs", 1)
    bound(groups / "groups" / "jobs", "memory.max", 900 * MIB)
    bound(groups / "groups" / "jobs" / "7", "memory.max", 300 * MIB)
    bound(groups / "groups" / "jobs" / "7" / "step", "memory.max", "max")
    assert memory_limit() == 300 * MIB


def test_groups_of_the_first_version(groups: Path) -> None:
    (groups / "own").write_text("5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n")
    bound(groups / "groups" / "memory" / "box", "memory.limit_in_bytes", 200 * MIB)
    bound(groups / "groups" / "memory", "memory.limit_in_bytes", 2**63 - 4096)  # what it says where there is none
    assert memory_limit() == 200 * MIB


def test_a_container_sees_its_own_group_as_the_root(groups: Path) -> None:
    (groups / "own").write_text("0::/system/that/is/not/seen/here\n")
    bound(groups / "groups", "memory.max", 100 * MIB)
    assert memory_limit() == 100 * MIB
