"""The runs below a folder, read from what they left there."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Annotated, Any

from pydantic import Field

from audioid.comparison.searches import SEARCH, SearchRecord, read_search
from audioid.errors import AudioidError
from audioid.files import read_yaml
from audioid.schema import Section, flat, later_keys
from audioid.validation import checked

# What may differ between paired runs, or says where files lie rather than what was done with them.
# The recordings themselves are known by `index_digest`.
NOT_SETTINGS = (
    "seed",
    "split.seed",
    "split.fold",
    "resume",
    "fit",
    "store.",
    "tune.",
    "unknown.",
    "data.unknown",
    "data.root",
    "data.file",
    "logger",
    "metric",
    "margin",
    "trainer.profiler",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.parallel_seeds",
    "trainer.strategy",
    "hydra.",
)

TRIAL = "trial.json"  # in the folder of a search's trial, which nothing judges

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class Pretrained(Section):
    """The trained weights that a run began with: `synthetic`, or the folder that was chosen."""

    source: str
    sha256: str


class Metrics(Section):
    """What a comparison takes from `metrics.json`; what older runs did not write is None."""

    transform: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    split_seed: Annotated[int, Field(ge=0, lt=2**63)]
    fold: Annotated[int, Field(ge=0, lt=2**31)] | None
    train_accuracy: Share
    val_accuracy: Share | None = None
    val_loss: Amount | None = None
    test_accuracy: Share
    test_macro_f1: Share
    test_loss: Amount
    test_ece_uncalibrated: Share | None = None
    test_ece: Share | None = None
    known_rejected: Share | None = None
    generated_rejected: Share | None = None
    unknown_rejected: Share | None = None
    clip_seconds: Annotated[float, Field(gt=0)] | None = None
    frequency_shift: Share | None = None
    n_fft: Count | None = None
    win_length: Count | None = None
    n_train: Count
    n_val: Count
    n_test: Annotated[int, Field(ge=1)]
    classes: list[str]
    uneven_classes: bool | None = None
    n_test_group_in_train: Count | None = None
    n_test_near_duplicate_in_train: Count | None = None
    epochs: Count | None = None
    max_epochs: Count | None = None
    max_steps: Count | None = None
    seconds: Amount
    fit_seconds: Amount | None = None
    decode_ms_per_file: Amount | None = None
    transform_ms_per_clip: Amount | None = None
    parameters: Count | None = None
    multiply_adds: Count | None = None
    peak_memory_mib: Amount | None = None
    parallel_seeds: Annotated[int, Field(ge=1)] = 1
    pretrained: Pretrained | None = None
    index_digest: str
    commit: str | None
    versions: dict[str, str] | None = None


class Run(Metrics):
    """One finished run; `settings` are its values, `transform.*` among them, as text.

    `chosen` are the keys that its command line names; none where that was not kept. `search` is the one that chose
    its settings, where one did.
    """

    folder: Path
    corpus: str  # its folder's or file's name
    settings: dict[str, str]
    chosen: frozenset[str] = frozenset()
    search: SearchRecord | None = None

    @property
    def searched(self) -> int | None:
        """Of how many trials its settings are the best."""
        return self.search.transforms[self.transform].trials if self.search else None

    @property
    def split(self) -> tuple[int, int | None]:
        """What the runs over one partition of the recordings share; of an official one no seed draws the test part."""
        return 0 if self.settings.get("split") == "given" else self.split_seed, self.fold

    @property
    def pairing(self) -> tuple[int, int, int | None]:
        """What the two runs of a pair share."""
        return self.seed, self.split_seed, self.fold


@dataclass(frozen=True)
class Searched:
    """The search that chose the settings of some runs: in the folder of which sweep, and for which arms of it."""

    sweep: Path
    search: SearchRecord
    arms: list[str]


@dataclass(frozen=True)
class LeftOut:
    folder: Path
    reason: str


def find_runs(root: Path) -> tuple[list[Run], list[LeftOut]]:
    """All runs at or below `root`, and those that cannot be used: unfinished, damaged, or done again later.

    A search's trials are neither.

    Raises:
        AudioidError: `root` is no folder, or holds no finished run.
    """
    if not root.is_dir():
        raise AudioidError(f"{root}: is no folder; name the one that the runs were written to")
    runs, left_out, search_in = [], [], cache(read_search)  # which the runs of a sweep share
    for folder in sorted(
        {path.parent for name in ("metrics.json", ".hydra", "error.txt") for path in root.rglob(name)}
    ):
        if (folder / TRIAL).exists():
            continue
        try:
            runs.append(_read(folder, search_in))
        except Exception as error:  # whatever is wrong with one run, the others can be compared
            left_out.append(LeftOut(folder, (str(error) or type(error).__name__).splitlines()[0]))
    if not runs:
        why = f" ({left_out[0].folder}: {left_out[0].reason})" if left_out else ""
        raise AudioidError(f"{root}: holds no finished run{why}; train first, or name another folder")
    newest, repeated = _newest(runs)
    return newest, left_out + repeated


def searches_of(runs: Iterable[Run]) -> list[Searched]:
    """The searches that chose the settings of the runs, as far as any did; arms by name."""
    searches, arms = dict[Path, SearchRecord](), defaultdict[Path, set[str]](set)
    for run in runs:
        if run.search:
            searches[run.folder.parent] = run.search
            arms[run.folder.parent].add(run.transform)
    return [Searched(sweep, search, sorted(arms[sweep])) for sweep, search in searches.items()]


def _read(folder: Path, search_in: Callable[[Path], SearchRecord | None]) -> Run:
    """The run in `folder`; ValueError says what is wrong with it."""
    file = folder / "metrics.json"
    failure = folder / "error.txt"
    if not file.is_file() and failure.is_file():
        raise ValueError(f"failed: {failure.read_text(encoding='utf-8').partition(chr(10))[0]}")
    if not file.is_file():
        raise ValueError("has no metrics.json: the run is not finished")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"metrics.json: is damaged ({error})") from error
    if not isinstance(found, dict) or not isinstance(found.get("seconds"), dict):
        raise ValueError("metrics.json: holds no figures of a run")
    seconds = found["seconds"]
    found |= {"seconds": seconds.get("total"), "fit_seconds": seconds.get("fit"), "commit": found.get("commit")}
    metrics = checked(Metrics, {key: found[key] for key in Metrics.model_fields if key in found}, "metrics.json")
    config = folder / ".hydra" / "config.yaml"
    choices = {key: str(value) for key, value in flat(read_yaml(config) if config.is_file() else {}).items()}
    corpus = PurePath(choices.get("data.root") or choices.get("data.file") or "the built-in corpus").name
    settings = _settings(choices, metrics, found)
    search = search_in(folder.parent / SEARCH)
    return Run(
        **metrics.model_dump(),
        folder=folder,
        corpus=corpus,
        settings=settings,
        chosen=_chosen(folder),
        search=search if search and metrics.transform in search.transforms else None,
    )


def _chosen(folder: Path) -> frozenset[str]:
    """As the keys of `settings`: of `model.arguments.hidden`, which is part of one value, `model.arguments`."""
    file = folder / ".hydra" / "overrides.yaml"
    texts = read_yaml(file) if file.is_file() else None
    keys = (str(text).lstrip("+").partition("=")[0] for text in texts or ())
    return frozenset(".".join(key.split(".")[:2]) for key in keys)


def _settings(choices: dict[str, str], metrics: Metrics, found: dict[str, Any]) -> dict[str, str]:
    earlier, last = found.get("earlier_max_epochs") or [], found.get("max_epochs")
    if last is not None and (earlier or choices.get("trainer.max_epochs") != "None"):
        # After a change on the way the learning rate did not follow the curve of an unbroken run.
        choices["trainer.max_epochs"] = ", then ".join(map(str, [*earlier, last]))
    # A group is called by its option, as on the command line.
    choices = {key.removesuffix(".name"): value for key, value in choices.items()} | {"transform": metrics.transform}
    if choices.get("model") == "cnn":  # what came of `auto`; older runs had no choice
        choices["model.pretrained"] = metrics.pretrained.source if metrics.pretrained else "none"
    if "trainer.max_epochs" in choices:
        choices.setdefault("trainer.max_steps", "auto")  # as in older runs, which count epochs
    choices |= {key: str(value) for key, value in later_keys(choices).items()}
    return {key: value for key, value in choices.items() if not _is_apart(key)}


def _is_apart(key: str) -> bool:
    return any(key == name or (name.endswith(".") and key.startswith(name)) for name in NOT_SETTINGS)


def varying(dictionaries: Iterable[Mapping[str, str]]) -> list[str]:
    """The keys whose values are not the same in all of the dictionaries."""
    found = list(dictionaries)
    keys = sorted({key for dictionary in found for key in dictionary})
    return [key for key in keys if len({dictionary.get(key) for dictionary in found}) > 1]


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
