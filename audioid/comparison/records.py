"""The runs below a folder, read from what they left there."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import yaml

from audioid.errors import AudioidError
from audioid.schema import Range, check_all

# What may differ between paired runs, or says where files lie rather than what was done with them.
# The recordings themselves are known by `index_digest`.
NOT_SETTINGS = (
    "seed",
    "split.seed",
    "split.fold",
    "resume",
    "store.",
    "data.root",
    "data.file",
    "logger",
    "trainer.profiler",
    "hydra.",
)


@dataclass(frozen=True)
class Metrics:
    """What a comparison takes from `metrics.json`."""

    transform: str
    seed: int
    split_seed: int
    fold: int | None
    train_accuracy: Annotated[float, Range(low=0, high=1)]
    test_accuracy: Annotated[float, Range(low=0, high=1)]
    n_test: Annotated[int, Range(low=1)]
    seconds: Annotated[float, Range(low=0)]
    index_digest: str
    commit: str | None


@dataclass(frozen=True)
class Run(Metrics):
    """One finished run; `settings` are the choices that must agree in a comparison."""

    folder: Path
    options: dict[str, str]  # of the transform
    settings: dict[str, str]

    @property
    def pairing(self) -> tuple[int, int, int | None]:
        """What the two runs of a pair share."""
        return self.seed, self.split_seed, self.fold


@dataclass(frozen=True)
class LeftOut:
    folder: Path
    reason: str


def find_runs(root: Path) -> tuple[list[Run], list[LeftOut]]:
    """All runs at or below `root`, and those that cannot be used: unfinished, damaged, or done again later.

    Where the options of one transform differ between runs, they are added to its name: `cwt wavelet=mexh`.

    Raises:
        AudioidError: `root` is no folder, or holds no finished run.
    """
    if not root.is_dir():
        raise AudioidError(f"{root}: is no folder; name the one that the runs were written to")
    runs, left_out = [], []
    for folder in sorted({path.parent for name in ("metrics.json", ".hydra") for path in root.rglob(name)}):
        try:
            runs.append(_read(folder))
        except Exception as error:  # whatever is wrong with one run, the others can be compared
            left_out.append(LeftOut(folder, (str(error) or type(error).__name__).splitlines()[0]))
    if not runs:
        why = f" ({left_out[0].folder}: {left_out[0].reason})" if left_out else ""
        raise AudioidError(f"{root}: holds no finished run{why}; train first, or name another folder")
    newest, repeated = _newest(_told_apart(runs))
    return newest, left_out + repeated


def _read(folder: Path) -> Run:
    """The run in `folder`; ValueError says what is wrong with it."""
    file = folder / "metrics.json"
    if not file.is_file():
        raise ValueError("has no metrics.json: the run is not finished")
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not isinstance(found.get("seconds"), dict):
        raise ValueError("metrics.json: holds no figures of a run")
    found |= {"seconds": found["seconds"].get("total"), "commit": found.get("commit")}
    metrics = {item.name: found[item.name] for item in fields(Metrics) if item.name in found}
    problem = check_all(Metrics, metrics, "metrics.json")
    if problem:
        raise ValueError(problem)
    config = folder / ".hydra" / "config.yaml"
    chosen = yaml.load(config.read_text(encoding="utf-8"), PlainLoader) if config.is_file() else {}
    choices = dict(_flat(chosen))
    return Run(
        **metrics,
        folder=folder,
        options={k.removeprefix("transform."): v for k, v in choices.items() if k.startswith("transform.")},
        settings={k: v for k, v in choices.items() if not k.startswith(("transform.", *NOT_SETTINGS))},
    )


class PlainLoader(yaml.SafeLoader):
    """YAML without references, by which a small file can grow without end."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("config.yaml: refers to parts of itself")
        return super().compose_node(parent, index)


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as text."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif prefix:
        yield prefix, str(values)


def varying(dictionaries: list[dict[str, str]]) -> list[str]:
    """The keys whose values are not the same in all of the dictionaries."""
    keys = sorted({key for dictionary in dictionaries for key in dictionary})
    return [key for key in keys if len({dictionary.get(key) for dictionary in dictionaries}) > 1]


def _told_apart(runs: list[Run]) -> list[Run]:
    """The runs with the differing options of a transform in its name."""
    options = defaultdict(list)
    for run in runs:
        options[run.transform].append(run.options)
    keys = {transform: varying(found) for transform, found in options.items()}
    return [
        replace(run, transform=" ".join([run.transform, *(f"{k}={run.options.get(k)}" for k in keys[run.transform])]))
        for run in runs
    ]


def _newest(runs: list[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Of runs that did the very same, the one written last: counting them twice would feign certainty."""
    kept: dict[object, Run] = {}
    left_out = []
    for run in sorted(runs, key=lambda run: (run.folder / "metrics.json").stat().st_mtime_ns):
        same = (run.transform, run.pairing, run.index_digest, tuple(sorted(run.settings.items())))
        if same in kept:
            left_out.append(LeftOut(kept[same].folder, f"was done again later in {run.folder}"))
        kept[same] = run
    return sorted(kept.values(), key=lambda run: run.folder), left_out
