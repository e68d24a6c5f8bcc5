"""How far a sweep is, by what lies in its runs' folders: so each of its processes can tell, on any machine."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from audioid.training.budget import Asked

State = Literal["done", "failed", "running", "to go"]


def sweep_progress(runs: Mapping[Path, Asked], since: float, now: float) -> str:
    """One line on the sweep of `runs`, whose budgets are given by folder.

    Args:
        since: when the sweep was started, or last gone on with: what failed before is tried again, and the time that
            is left is judged by the runs that ended after. Seconds as of `time.time()`, as is `now`.
    """
    states = {folder: state_of(folder, budget, since) for folder, budget in runs.items()}
    ended = sum(ended_at(folder) >= since for folder, state in states.items() if state in ("done", "failed"))
    return progress_line(Counter(states.values()), ended, now - since)


def progress_line(counts: Mapping[State, int], ended: int, elapsed: float) -> str:
    """Such as `sweep: 7 of 20 done, 1 failed, 12 to go, about 3 min left`; `ended` runs took the `elapsed` seconds."""
    parts = [f"{counts.get('done', 0)} of {sum(counts.values())} done"]
    others: tuple[State, ...] = ("failed", "running", "to go")
    parts += [f"{counts[state]} {state}" for state in others if counts.get(state)]
    open_runs = counts.get("running", 0) + counts.get("to go", 0)
    if open_runs and ended:
        parts.append(f"about {duration(elapsed / ended * open_runs)} left")
    return f"sweep: {', '.join(parts)}"


def state_of(folder: Path, budget: Asked, since: float) -> State:
    """What has become of a run that is to train for this budget; one that an earlier process left unended is to go."""
    if _is_recorded(folder, budget):
        return "done"
    if _written(folder / "error.txt") >= since:
        return "failed"
    return "running" if _written(folder) >= since else "to go"  # a run's start renews the time of its folder


def ended_at(folder: Path) -> float:
    """When the run's result, or its failure, was written, as seconds of `time.time()`; 0 where there is neither."""
    return max(_written(folder / name) for name in ("metrics.json", "error.txt"))


def _is_recorded(folder: Path, budget: Asked) -> bool:
    try:
        return budget.is_met_by(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def duration(seconds: float) -> str:
    """Such as `3 min`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
