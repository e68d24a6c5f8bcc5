"""The jobs of a sweep: every combination of what it varies, each once, and in each only the keys that its options have.

In `transform=fft,cwt transform.wavelet=mexh,cmor1.5-1.0` only cwt has a wavelet: that is three jobs, not four.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import prod

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override

from audioid.overrides import Options, alternatives, parse
from audioid.schema import OPTIONS

MOST_JOBS = 200  # of a sweep that are all checked; of a larger one each value, and pairs of few
PARALLEL = "trainer.parallel_seeds"
SEEDS = ("seed", "split.seed")  # go with any other value

PROTOCOL = ("transform", *SEEDS, "split.fold")  # what a comparison varies: arms, and splits to judge them by

Swept = Mapping[str, Sequence[str]]


def jobs(overrides: Sequence[Override], options: Options) -> list[tuple[str, ...]]:
    """The overrides of each job, in order; the last one varies fastest. Of a key that is given twice the last counts.

    Raises:
        AudioidError: a value cannot be swept.
    """
    last = {override.get_key_element(): override for override in overrides}
    swept = swept_options(list(last.values()), options)
    every = product(*(alternatives(override, options) for override in last.values()))
    return list(dict.fromkeys(applying(job, swept) for job in every))


def jobs_of(arguments: Sequence[str], loader: ConfigLoader) -> list[tuple[str, ...]]:
    """The jobs of a sweep as Hydra has it, of which `arguments` are the overrides."""
    overrides = parse(arguments)
    groups = {override.key_or_group for override in overrides}
    return jobs(overrides, {group: loader.get_group_options(group) for group in groups})


def in_parallel(found: Sequence[tuple[str, ...]], most: int) -> list[tuple[str, ...]]:
    """The jobs of a sweep put together: one for at most `most` that differ in the seed alone.

    It is the first of them, and its `trainer.parallel_seeds` lists their seeds; 1 where no plain number is the seed.
    """
    alike = defaultdict[tuple[str, ...], list[tuple[str, ...]]](list)
    for job in found:
        others = tuple(text for text in job if not _is_seed(text))
        alike[job if any("${seed}" in text for text in job) else others].append(job)
    put_together = list[tuple[str, ...]]()
    for group in alike.values():
        for first in range(0, len(group), most):
            seeds = [text.partition("=")[2] for job in group[first : first + most] for text in job if _is_seed(text)]
            texts = (text for text in group[first] if not text.startswith(f"{PARALLEL}="))
            put_together.append((*texts, f"{PARALLEL}=[{','.join(seeds)}]" if seeds else f"{PARALLEL}=1"))
    return put_together


def _is_seed(text: str) -> bool:
    return re.fullmatch(r"seed=\d+", text) is not None


def swept_options(overrides: Sequence[Override], options: Options) -> dict[str, list[str]]:
    """The options between which a sweep chooses, for each group of which it chooses one."""
    return {
        override.key_or_group: [text.partition("=")[2] for text in alternatives(override, options)]
        for override in overrides
        if override.key_or_group in OPTIONS and override.is_sweep_override()
    }


def applying(job: Sequence[str], swept: Swept) -> tuple[str, ...]:
    """The job without the keys of a swept group that the chosen option lacks and another of the swept ones has."""
    chosen = {key: option for key, _, option in (text.partition("=") for text in job) if key in swept}

    def applies(text: str) -> bool:
        group, _, name = text.lstrip("+").partition("=")[0].partition(".")
        if group not in chosen or not name:
            return True
        return has_key(group, chosen[group], name) or not any(has_key(group, each, name) for each in swept[group])

    return tuple(text for text in job if applies(text))


def has_key(group: str, option: str, name: str) -> bool:
    """Whether the option has the key; one out of a user's own folder, whose settings are not known here, is let be."""
    return option not in OPTIONS[group] or name.partition(".")[0] in OPTIONS[group][option].model_fields


def sample_choices(overrides: Sequence[Override], options: Options) -> list[list[str]]:
    """The texts of each override that need to be judged: all, but of seeds the few that may be wrong."""
    return [
        _doubtful(alternatives(override, options))
        if override.key_or_group in SEEDS
        else alternatives(override, options)
        for override in overrides
    ]


def _doubtful(texts: Sequence[str]) -> list[str]:
    """Of seeds the first, the largest, and whatever is no plain number: the others are right if these are."""
    numbers = [text for text in texts if text.partition("=")[2].isdecimal()]
    largest = max(numbers, key=lambda text: int(text.partition("=")[2]), default=texts[0])
    return list(dict.fromkeys([texts[0], largest, *(text for text in texts if text not in set(numbers))]))


def sample_jobs(choices: Sequence[Sequence[str]], are_options: Sequence[bool]) -> Iterator[tuple[str, ...]]:
    """Every combination of the choices; of more than MOST_JOBS each choice, and pairs, others at their first.

    The pairs are those that are few, and those with a choice of options, on which it depends which keys apply.
    """
    if prod(map(len, choices)) <= MOST_JOBS:
        yield from product(*choices)
        return
    first = [texts[0] for texts in choices]
    for i, texts in enumerate(choices):
        yield from ((*first[:i], text, *first[i + 1 :]) for text in texts)
    for i, j in combinations(range(len(choices)), 2):
        if are_options[i] or are_options[j] or len(choices[i]) * len(choices[j]) <= MOST_JOBS:
            for one, other in product(choices[i], choices[j]):
                yield tuple(one if k == i else other if k == j else text for k, text in enumerate(first))
