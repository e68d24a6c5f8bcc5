"""How much memory a process may take, which is less than the machine has where its control group is bounded."""

from functools import cache
from pathlib import Path, PurePosixPath

import psutil

GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")  # of Linux
LIMITS = {"memory": "memory.limit_in_bytes", "": "memory.max"}  # by controller, as the two versions have them


@cache
def memory_limit() -> int:
    """Bytes: what the machine has, or what a job or a container was given of it."""
    return min([psutil.virtual_memory().total, *_limits()])


def _limits() -> list[int]:
    """Those of the control groups that this process is in, and of the groups that these are in."""
    try:
        lines = OWN.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in LIMITS.keys() & set(controllers.split(",")):
            group = PurePosixPath(path.lstrip("/"))
            for each in (group, *group.parents):  # a container may see its own group as the root alone
                try:
                    found.append(int((GROUPS / controller / each / LIMITS[controller]).read_text(encoding="utf-8")))
                except (OSError, ValueError):  # there is none, or no limit
                    continue
    return found
