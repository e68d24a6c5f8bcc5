"""What a search varies, out of a sweep's overrides: the space of each arm, and what its trials and its judges get."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from audioid.errors import AudioidError
from audioid.jobs import PROTOCOL, Swept, applying, jobs, swept_options
from audioid.overrides import Options, alternatives, is_single, text_of
from audioid.schema import FREE_ON_RESUME

ARM = "transform"
SEARCHED = ("audio", "image", "transform", "augment", "model", "optimizer", "scheduler", "data.batch_size")

# What trials of one search may have otherwise: as for a run that goes on, but all have the same budget.
FREE = tuple(key for key in FREE_ON_RESUME if not key.startswith("trainer.max_"))

Space = Mapping[str, BaseDistribution]


@dataclass(frozen=True)
class Plan:
    """A search: the space of each arm, what all runs have in common, and the runs that judge.

    `asked` are the overrides that no trial of the same search may have otherwise.
    """

    asked: Sequence[str]
    spaces: Mapping[str, Space]
    common: Sequence[str]
    judging: Sequence[tuple[str, ...]]
    swept: Swept

    def trial(self, arm: str, texts: Iterable[str]) -> tuple[str, ...]:
        """The overrides of a trial, whose own are `texts`."""
        return applying((*self.common, f"{ARM}={arm}", *texts), self.swept)

    def judges(self, best: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
        """The overrides of each run that judges the best settings of its arm."""
        arms = [next(arm for arm in best if f"{ARM}={arm}" in job) for job in self.judging]
        return [applying((*job, *best[arm]), self.swept) for arm, job in zip(arms, self.judging, strict=True)]


def plan_of(overrides: Sequence[Override], options: Options) -> Plan:
    """The search that a sweep's overrides make.

    Raises:
        AudioidError: a key cannot be searched, or its values are no space.
    """
    last = list({override.key_or_group: override for override in overrides}.values())
    searched = [each for each in last if is_searched(each)]
    protocol = [each for each in last if each not in searched]
    space = {each.key_or_group: _distribution(each, options) for each in searched}
    swept = swept_options(last, options)
    seeds = [text for each in last if each.key_or_group == "split.seed" for text in alternatives(each, options)]
    unseen = next(text for number in range(len(seeds) + 1) if (text := f"split.seed={number}") not in seeds)
    common = [
        alternatives(each, options)[0]
        for each in protocol
        if each.key_or_group not in (ARM, "split.seed") and (not each.is_sweep_override() or is_single(each))
    ]
    arms = [text for each in last if each.key_or_group == ARM for text in alternatives(each, options)]
    asked = [text for text in (*common, unseen, *map(text_of, searched)) if not text.startswith(FREE)]
    return Plan(
        sorted(asked),
        {arm.partition("=")[2]: _space_of(arm, space, swept) for arm in arms},
        [*common, unseen],
        jobs(protocol, options),
        swept,
    )


def is_searched(override: Override) -> bool:
    """Whether a search varies the key of this override."""
    return override.is_sweep_override() and not is_single(override) and override.key_or_group not in PROTOCOL


def _space_of(arm: str, space: Space, swept: Swept) -> Space:
    """The keys that the arm has, its own at the end: so that arms draw the same values of what they share."""
    found = {key: each for key, each in space.items() if applying((arm, f"{key}="), swept)[1:]}
    return {key: found[key] for key in sorted(found, key=lambda key: key.startswith(f"{ARM}."))}


def _distribution(override: Override, options: Options) -> BaseDistribution:
    key, value = override.key_or_group, override.value()
    if not f"{key}.".startswith(tuple(f"{each}." for each in SEARCHED)):
        raise AudioidError(f"{key}: cannot be searched, since trials are to be judged alike; give it one value")
    try:
        if isinstance(value, IntervalSweep):
            assert value.start is not None
            assert value.end is not None
            is_log = "log" in value.tags
            if value.start > value.end:
                raise AudioidError(f"{text_of(override)}: the first bound is above the second; exchange them")
            if is_log and value.start <= 0:
                raise AudioidError(f"{text_of(override)}: a log scale begins above 0; raise the first bound")
            if isinstance(value.start, int) and isinstance(value.end, int):
                return IntDistribution(value.start, value.end, log=is_log)
            return FloatDistribution(value.start, value.end, log=is_log)
        if isinstance(value, RangeSweep) and isinstance(value.step, int):
            every = [int(text.partition("=")[2]) for text in alternatives(override, options)]
            return IntDistribution(min(every), max(every), step=abs(value.step))
        return CategoricalDistribution([text.partition("=")[2] for text in alternatives(override, options)])
    except (ValueError, IndexError) as error:
        raise AudioidError(f"{text_of(override)}: is no space to search ({error}); correct it") from error


def texts_of(params: Mapping[str, Any], space: Space) -> list[str]:
    """A trial's values as overrides.

    They come from a file that anybody may have written: what is not in the space is refused.

    Raises:
        AudioidError: they are of another space.
    """
    for key, value in params.items():
        if key not in space or not _holds(space[key], value):
            raise AudioidError(f"{key}: the search that is there has {value}, which is not in the space; start another")
    if missing := sorted(set(space) - set(params)):
        raise AudioidError(f"{missing[0]}: the search that is there did without it; start another")
    return [f"{key}={value}" for key, value in params.items()]


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:
        return False
