"""What must hold for a verdict to be worth its words, and what a reader is told where it does not."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from audioid.comparison.arms import Arm
from audioid.comparison.curves import read_curves
from audioid.comparison.measures import Measure
from audioid.comparison.pairing import Evidence
from audioid.comparison.records import Run, varying

FEWEST_SPLITS = 5
FEWEST_CLUSTERS = 10
EARLY = 0.1  # of the budget
MOST_NAMED = 10  # runs
BUSY = 3.0  # times as long: the machine had something else to do
BUDGET = ("trainer.max_epochs", "trainer.max_steps", "data.batch_size", "trainer.limit_train_batches")


def warnings(arms: Sequence[Arm], evidence: Evidence, measure: Measure, margin: float) -> list[str]:
    """Sentences, the gravest first."""
    runs = [run for arm in arms for run in arm.runs]
    if len(arms) < 2:
        return [f"Only {arms[0].name} was run on these recordings: nothing to compare it with."]
    return [
        *_leaks(runs),
        *_known_before(runs),
        *_beginnings(arms),
        *_calibration(runs, measure),
        *_splits(runs),
        *_sizes(runs, evidence, measure, margin),
        *_settings(arms),
        *_shifts(arms),
        *_stopped_early(arms),
        *_saturation(arms),
        *_uneven(runs, measure),
        *_partners(arms),
        *_records(runs, evidence),
        *_cost(arms),
    ]


def _leaks(runs: Sequence[Run]) -> Iterator[str]:
    for key, what in (
        ("n_test_group_in_train", "recordings of a group that was also trained on"),
        ("n_test_near_duplicate_in_train", "near-duplicates of recordings that were trained on"),
    ):
        counts = [getattr(run, key) or 0 for run in runs]
        if any(counts):
            share = 100 * sum(counts) / sum(run.n_test for run in runs)
            remedy = ("" if "group" in key else "split.group=near_duplicates with ") + "split=grouped or kfold"
            yield (
                f"{share:.0f} % of the test recordings are {what}, so the figures may flatter; "
                f"{remedy} keeps such together."
            )


def _known_before(runs: Sequence[Run]) -> Iterator[str]:
    """Of weights that may know more of the test part than the training part tells."""
    begun = [run for run in runs if run.pretrained]
    if any(run.settings.get("data") in ("synthetic", "generated") for run in begun):
        yield (
            "The sounds of this corpus are computed, much like those that trained weights have learned from, so the "
            "figures flatter; model.pretrained=none is the honest beginning there."
        )
    if sources := sorted({run.pretrained.source for run in begun if run.pretrained} - {"synthetic"}):
        yield (
            f"Networks began with the weights in {', '.join(sources)}: if those learned from recordings that judge "
            "here, the figures flatter."
        )


def _beginnings(arms: Sequence[Arm]) -> Iterator[str]:
    """Of arms that differ in what they knew before, or whose own runs do."""
    for arm in arms:
        if len({run.pretrained.sha256 for run in arm.runs if run.pretrained}) > 1:
            yield f"The runs of {arm.name} began with different weights of one name (sha256 in metrics.json)."
    key = "model.pretrained"
    begun = [arm.runs[0].settings.get(key, "none") for arm in arms]  # all runs of an arm have one setting
    if any(key in arm.chosen for arm in arms) and len(set(begun)) > 1:
        told = ", ".join(f"{arm.name} with {each}" for arm, each in zip(arms, begun, strict=True))
        yield (
            f"The arms are not at the same {key}: {told}. The difference is that of the beginnings too; a sweep "
            "with one value of it compares the arms alone."
        )


def _calibration(runs: Sequence[Run], measure: Measure) -> Iterator[str]:
    calibrated = [run.test_ece is not None for run in runs]
    if measure.key == "test_loss" and len(set(calibrated)) > 1:
        yield (
            f"{calibrated.count(False)} of the runs are from before probabilities were calibrated, which their losses "
            "are the higher for; run them again to compare losses."
        )


def _splits(runs: Sequence[Run]) -> Iterator[str]:
    splits = {run.split for run in runs}
    seeds = {frozenset(run.seed for run in runs if run.split == split) for split in splits}
    if len(splits) == 1 and len(runs) > 2:
        yield (
            "One split only: other training recordings might decide otherwise, and the interval can say little of "
            "that. experiment=compare judges over several splits."
        )
    elif len(splits) > 1 and len(seeds) == 1:
        yield (
            "All splits were trained with the same seeds: what they owe to those, such as lucky initial weights, does "
            "not show between them. Give each split seeds of its own, as experiment=compare does."
        )
    if 1 < len(splits) < FEWEST_SPLITS:
        yield f"Only {len(splits)} splits: how much they differ is hardly known; have {FEWEST_SPLITS} or more."


def _sizes(runs: Sequence[Run], evidence: Evidence, measure: Measure, margin: float) -> Iterator[str]:
    n_test = len(evidence.cluster) or min(run.n_test for run in runs)  # over all splits, where they are known
    if measure.is_share and 1 / n_test > margin:
        yield (
            f"One test recording of {n_test} is worth {100 / n_test:.1f} points, more than the margin of "
            f"{100 * margin:g}: more recordings are needed for finer claims."
        )
    clusters = len(set(evidence.cluster))
    if 0 < clusters < min(FEWEST_CLUSTERS, len(evidence.cluster)):
        yield f"The recordings come from {clusters} groups only, and so does what is known of others like them."


def _settings(arms: Sequence[Arm]) -> Iterator[str]:
    """Of settings that differ between the arms and were not what was compared, chosen or searched for."""
    known = {key for arm in arms for key in arm.chosen}
    known |= {key for arm in arms for run in arm.runs if run.searched for key in run.chosen.difference(BUDGET)}
    keys = varying([run.settings for arm in arms for run in arm.runs])
    for key in keys:
        if key.partition(".")[0] in keys and "." in key:  # of another option, which is what is to be told
            continue
        values = [{run.settings.get(key, "-") for run in arm.runs} for arm in arms]
        if key in known or key.startswith("transform") or all(each == values[0] for each in values):
            continue
        told = ", ".join(f"{' or '.join(sorted(each))} for {arm.name}" for arm, each in zip(arms, values, strict=True))
        if f"{key.rpartition('.')[2]}=" in told:  # the arms are called by it
            continue
        what = "had different budgets" if key in BUDGET else "do not share"
        yield f"The arms {what}: {key} is {told}." if key in BUDGET else f"The arms {what} {key}: {told}."


def _uneven(runs: Sequence[Run], measure: Measure) -> Iterator[str]:
    if measure.key == "test_macro_f1" and any(run.uneven_classes for run in runs):
        yield (
            "The labels are uneven, and the verdict is about macro F1, in which each counts alike; accuracy is told "
            "beside it."
        )


def _shifts(arms: Sequence[Arm]) -> Iterator[str]:
    """Where `auto` let rows be shifted for one arm and not for another over the same recordings."""
    key = "augment.frequency_shift"
    came_to = defaultdict(set)
    counts = {}
    for arm in arms:
        asked = [run for run in arm.runs if run.settings.get(key) == "auto" and run.frequency_shift is not None]
        for run in asked:
            came_to[run.pairing].add(run.frequency_shift)
        if asked:
            counts[arm.name] = f"{sum(bool(run.frequency_shift) for run in asked)} of {len(asked)} of {arm.name}"
    if any(len(values) > 1 for values in came_to.values()):
        yield (
            f"The arms did not learn alike: {key}=auto shifted rows in {', '.join(counts.values())}, not in the same "
            "runs; a number for it gives all arms the same."
        )


def _stopped_early(arms: Sequence[Arm]) -> Iterator[str]:
    """Where patience ran out for one arm and not so often for another, their budgets were not the same."""
    counts = [sum((run.epochs or 0) < (run.max_epochs or 0) for run in arm.runs) for arm in arms]
    if len({count / len(arm.runs) for count, arm in zip(counts, arms, strict=True)}) > 1:
        told = ", ".join(f"{count} of {len(arm.runs)} of {arm.name}" for count, arm in zip(counts, arms, strict=True))
        yield (
            f"Training was stopped early in {told}: the arms did not have the same budget; trainer.patience=null "
            "gives it to them."
        )


def _saturation(arms: Sequence[Arm]) -> Iterator[str]:
    if all(arm.runs and all(_learned_early(run) for run in arm.runs) for arm in arms):
        yield (
            "All runs named every training recording rightly after a tenth of the budget: the task is easy for this "
            "network, or it learns by heart; harder splits or augmentation would tell the arms apart better."
        )


def _learned_early(run: Run) -> bool:
    accuracy = read_curves(run).get("train_accuracy", np.empty(0))
    return len(accuracy) > 0 and bool(np.nanmax(accuracy[: max(1, round(EARLY * len(accuracy)))]) >= 1)


def _partners(arms: Sequence[Arm]) -> Iterator[str]:
    every = set.intersection(*({run.pairing for run in arm.runs} for arm in arms))
    alone = [(arm.name, run) for arm in arms for run in arm.runs if run.pairing not in every]
    if alone:
        names = ", ".join(f"{name} {_pairing(run)}" for name, run in alone[:MOST_NAMED])
        more = f" and {len(alone) - MOST_NAMED} more" if len(alone) > MOST_NAMED else ""
        yield f"Without a partner in every arm, so not in all differences: {names}{more}."


def _pairing(run: Run) -> str:
    fold = "" if run.fold is None else f" split.fold={run.fold}"
    return f"seed={run.seed} split.seed={run.split_seed}{fold}"


def _records(runs: Sequence[Run], evidence: Evidence) -> Iterator[str]:
    broken = [run for run in runs if str(run.folder) in evidence.problems]
    for run in [run for run in broken if evidence.is_damaged(run)][:MOST_NAMED]:
        yield f"{run.folder.name} is left out of all differences: {evidence.problems[str(run.folder)]}."
    if missing := [run for run in broken if not evidence.is_damaged(run)]:
        over_one = len({run.split for run in runs}) == 1
        yield (
            f"Predictions are missing, as those of {missing[0].folder.name}, so "
            + (
                "the interval covers the luck of training alone and says nothing of the recordings."
                if over_one
                else "the interval is that of the corrected resampled t, which assumes how much the splits share."
            )
        )
    if len({run.commit for run in runs}) > 1:
        yield "The runs were made by different versions of the code (commit in metrics.json)."


def _plainly(value: float) -> str:
    """Two digits, without a power of ten."""
    return f"{float(f'{value:.2g}'):g}"


def _cost(arms: Sequence[Arm]) -> Iterator[str]:
    if together := sorted({run.parallel_seeds for arm in arms for run in arm.runs if run.parallel_seeds > 1}):
        yield (
            f"{' or '.join(map(str, together))} seeds were trained as one: seconds are a run's share, memory that of "
            "all, and neither is what a run alone costs."
        )
    for arm in arms:
        found = [run.transform_ms_per_clip for run in arm.runs if run.transform_ms_per_clip]
        if found and max(found) > BUSY * min(found):
            least, most = _plainly(min(found)), _plainly(max(found))
            yield (
                f"The cost of {arm.name} was measured between {least} and {most} ms a clip: the "
                "machine had something else to do at times."
            )
