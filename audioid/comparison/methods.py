"""What a thesis takes over: a paragraph of methods, a table in LaTeX, how to run it all again."""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from audioid.comparison.arms import choices_told
from audioid.comparison.decisions import CONFIDENCE, points
from audioid.comparison.premises import BUDGET
from audioid.comparison.records import Run
from audioid.comparison.study import Comparison, Study
from audioid.files import read_yaml
from audioid.program import program

CLASSES_NAMED = 12
PLAINLY_QUOTED = re.compile(r"^([\w.]+)='([^'\\]*)'$")  # paths, which the command line quotes by itself
FRACTION = re.compile(r"-?\d+\.\d+(e-?\d+)?")
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def methods(study: Study) -> str:
    """Corpus, counts, split, pictures, network, budget, statistics and versions, in plain sentences.

    What older runs did not write down is left out.
    """
    comparison = study.comparisons[0]
    runs = [run for summary in comparison.summaries for run in summary.arm.runs]
    parts = (
        _corpus(runs),
        _split(comparison, runs),
        _pictures(comparison, runs[0]),
        _training({summary.arm.name: summary.arm.runs for summary in comparison.summaries}),
        _beginnings(comparison),
        choices_told(summary.arm for summary in comparison.summaries),
        _sureness(comparison),
        _judged(study),
        _made_by(runs),
    )
    return " ".join(part for part in parts if part)


def _corpus(runs: Sequence[Run]) -> str:
    run = runs[0]
    total = round(sum(each.n_train + each.n_val + each.n_test for each in runs) / len(runs))
    names = ", ".join(run.classes[:CLASSES_NAMED]) + (", ..." if len(run.classes) > CLASSES_NAMED else "")
    computed = {"synthetic": "audioid's built-in corpus", "generated": "The corpus of audioid's generated sounds"}
    corpus = computed.get(run.settings.get("data", ""), f"The corpus {run.corpus}")
    told = f"{names}; digest {run.index_digest[:8]}"
    has = "has" if _train_per_class(run) is None else "gave a run (on average)"
    return f"{corpus} {has} {total:,} recordings of {len(run.classes)} classes ({told})."


def _train_per_class(run: Run) -> str | None:
    chosen = run.settings.get("split.train_per_class", "None")
    return None if chosen == "None" else chosen


def _split(comparison: Comparison, runs: Sequence[Run]) -> str:
    splits, seeds = len({run.split for run in runs}), len({run.seed for run in runs})
    name = runs[0].settings.get("split")
    how = {
        "stratified": "at random within each class",
        "grouped": "so that no group is on two sides",
        "kfold": f"by {runs[0].settings.get('split.folds')} folds",
        "given": "as published with the corpus",
    }.get(name or "", "")
    if runs[0].settings.get("split.group") == "near_duplicates" and name in ("grouped", "kfold", "given"):
        how += ", near-duplicates and given groups kept on one side"
    mean = [round(sum(getattr(run, key) for run in runs) / len(runs)) for key in ("n_train", "n_val", "n_test")]
    most = f" (at most {limit} of each class, drawn from more)" if (limit := _train_per_class(runs[0])) else ""
    chosen = f", {mean[1]} to choose the epoch" if mean[1] else ""
    arms = [summary.arm.runs for summary in comparison.summaries]
    counts = " or ".join(str(each) for each in sorted({len(arm) for arm in arms}))
    times = f"{splits} split{'s' * (splits > 1)} and {seeds} seed{'s' * (seeds > 1)}"
    times += f" in {counts} run{'s' * (counts != '1')} of each arm"
    is_paired = len({frozenset(run.pairing for run in arm) for arm in arms}) == 1
    is_equal = len({tuple(run.settings.get(key) for key in BUDGET) for run in runs}) == 1
    same = " and ".join(["the same splits and seeds"] * is_paired + ["the same budget"] * is_equal)
    return (
        f"They were parted {how} into (on average) {mean[0]} recordings to train on{most}{chosen} and {mean[2]} to "
        f"judge at the end, with {times}{f'; every arm had {same}' * bool(same)}."
    )


def _pictures(comparison: Comparison, run: Run) -> str:
    value = run.settings.get
    if value("audio.sample_rate") is None:
        return ""
    firsts = {summary.arm.name: summary.arm.runs[0] for summary in comparison.summaries}
    axes = {name: _axis(first) for name, first in firsts.items()}
    is_shared, arms = len(set(axes.values())) == 1, []
    for name, first in firsts.items():
        told = [*([] if is_shared else [axes[name]]), *_transform(first)]
        arms.append(f"{name} ({', '.join(told)})" if told else name)
    rate = value("audio.sample_rate", "")
    hertz = f"{int(rate):,}" if rate.isdecimal() else rate
    return (
        f"{_clips(value('audio.windows'))} of {_lengths(comparison)} at {hertz} Hz became images of "
        f"{value('image.size')} x {value('image.size')} values{f', {axes[next(iter(axes))]}' * is_shared}: "
        f"{'; '.join(arms)}."
    )


def _axis(run: Run) -> str:
    """Such as `log rows from 40 to 10000 Hz, decibel values`."""
    value = run.settings.get
    least, most = (_rounded(value(key, "None")) for key in ("image.f_min", "image.f_max"))
    rows = f"{value('image.frequency_scale')} rows from {least} to {most} Hz"
    if value("transform.scales", "None") != "None":
        rows = "rows of scales"
    return f"{rows}, {value('image.amplitude_scale')} values"


def _transform(run: Run) -> list[str]:
    """The options of the picture, such as `n_fft 2048`, with the lengths that `auto` came to."""
    options = {k.removeprefix("transform."): v for k, v in run.settings.items() if k.startswith("transform.")}
    came_to = {"n_fft": run.n_fft, "win_length": run.win_length}
    options |= {key: str(length) for key, length in came_to.items() if key in options and length is not None}
    return [f"{key} {_rounded(value)}" for key, value in options.items() if value != "None"]


def _clips(windows: str | None) -> str:
    if windows in (None, "1"):
        return "Clips"
    count = "all" if windows == "all" else f"at most {windows}"
    return f"Clips ({count} of each recording, in turn to learn from, their log-probabilities averaged to judge by)"


def _lengths(comparison: Comparison) -> str:
    """Such as `1.0 s`, or what came of `auto`; by arm where they differ."""
    arms = {summary.arm.name: _length(summary.arm.runs) for summary in comparison.summaries}
    if len(set(arms.values())) == 1:
        return next(iter(arms.values()))
    return ", ".join(f"{length} ({name})" for name, length in arms.items())


def _length(runs: Sequence[Run]) -> str:
    asked = {run.settings.get("audio.seconds", "") for run in runs}
    if "auto" not in asked:
        return f"{' or '.join(sorted(asked))} s"
    found = sorted({run.clip_seconds or 0.0 for run in runs})
    return (
        f"{found[0]:g}{f' to {found[-1]:g}' * (len(found) > 1)} s (as long as nine of ten recordings to train on sound)"
    )


def _training(arms: Mapping[str, Sequence[Run]]) -> str:
    runs = [run for each in arms.values() for run in each]
    if runs[0].settings.get("model") is None:
        return ""

    def value(key: str) -> str | None:
        return _by_arm(arms, lambda run: run.settings.get(key))

    model = _options(arms, lambda run: _of_group(run, "model"))
    weights = _by_arm(arms, lambda run: None if run.parameters is None else f"{run.parameters:,} weights")
    best = ""
    if runs[0].n_val and (by := value("trainer.best_by")):
        best = f"; the epoch with the best validation {by.replace('val_', '')} was kept"
    return (
        f"The network ({', '.join(each for each in (model, weights) if each)}) was trained for "
        f"{_budget(arms)} in batches of {value('data.batch_size')} by "
        f"{_options(arms, lambda run: _of_group(run, 'optimizer'))} ({value('scheduler')} schedule, "
        f"{'classes weighted to count alike, ' * (value('trainer.class_weights') == 'balanced')}"
        f"augmentation {_options(arms, _augmentation)}){best}."
    )


def _budget(arms: Mapping[str, Sequence[Run]]) -> str:
    runs = [run for each in arms.values() for run in each]
    if "None" not in [run.settings.get("trainer.max_epochs") for run in runs]:
        return _by_arm(arms, lambda run: _epochs(run.settings.get("trainer.max_epochs"))) or ""
    spans = []
    for counts, name in (
        ([run.max_steps or 0 for run in runs], "steps"),
        ([run.max_epochs or 0 for run in runs], "epochs"),
    ):
        least, most = min(counts), max(counts)
        spans.append(f"{least:,}{f' to {most:,}' * (most > least)} {name if most > 1 else name[:-1]}")
    return f"{spans[0]} ({spans[1]})"


def _epochs(count: str | None) -> str:
    return f"{count} epoch{'s' * (count != '1')}"


def _beginnings(comparison: Comparison) -> str:
    arms = {each.arm.name: _either(map(_beginning, each.arm.runs)) for each in comparison.summaries}
    if None in arms.values():
        return ""
    if len(set(arms.values())) == 1:
        return f"It began {next(iter(arms.values()))}."
    told = f"It began for {'; for '.join(f'{name} {told}' for name, told in arms.items())}."
    begun = [run.pretrained for each in comparison.summaries for run in each.arm.runs]
    if not all(begun):
        return told
    return f"{told} So what the arms had learned before is part of what is compared."


def _beginning(run: Run) -> str | None:
    chosen, digest = run.settings.get("model.pretrained"), run.pretrained.sha256[:16] if run.pretrained else ""
    match chosen:
        case None:
            return None
        case "none":
            return "from random weights"
        case "imagenet":
            return "with weights that were trained on ImageNet"
        case "synthetic":
            source = f"with weights that were trained on generated sounds alone (no recordings; sha256 {digest})"
        case _:
            source = f"with the weights in {chosen} (sha256 {digest})"
    return f"{source}, at a quarter of the learning rate but for the last layer"


def _either(values: Iterable[str | None]) -> str | None:
    """`16 or 32` where runs differ."""
    return " or ".join(dict.fromkeys(each for each in values if each is not None)) or None


def _by_arm(arms: Mapping[str, Sequence[Run]], value: Callable[[Run], str | None]) -> str | None:
    """`16 (cwt) or 32 (fft)` where arms differ, `16` where they do not."""
    names = dict[str | None, list[str]]()
    for name, runs in arms.items():
        names.setdefault(_either(map(value, runs)), []).append(name)
    if len(names) == 1:
        return next(iter(names))
    return " or ".join(f"{told} ({', '.join(having)})" for told, having in names.items() if told is not None)


def _options(arms: Mapping[str, Sequence[Run]], of: Callable[[Run], Mapping[str, str]]) -> str:
    """`cnn, width 16 (cwt) or 32 (fft), depth 4` of what a run has: `of` it the choice under no name, and keys."""

    def told(key: str) -> str | None:
        return _by_arm(arms, lambda run: of(run).get(key))

    keys = dict.fromkeys(key for runs in arms.values() for run in runs for key in of(run))
    return ", ".join(f"{key} {told(key)}".strip() for key in keys)


def _of_group(run: Run, group: str) -> dict[str, str]:
    """The option of a group that a run had, and its values."""
    found = {key.removeprefix(f"{group}."): value for key, value in run.settings.items() if key.startswith(f"{group}.")}
    found.pop("pretrained", None)  # see `_beginnings`
    return {"": run.settings.get(group, "")} | {key: _rounded(value) for key, value in found.items()}


def _augmentation(run: Run) -> dict[str, str]:
    """The option, and what it changes: `none` where that is nothing."""
    keys = [key for key in run.settings if key.startswith("augment.") and key != "augment.p"]
    off = dict.fromkeys(keys, ("0.0", "0", "None")) | {"augment.min_snr_db": ("None",)}  # 0 dB is much noise
    found = dict(run.settings)
    if run.frequency_shift is not None and "augment.frequency_shift" in found:  # may have been `auto`
        found["augment.frequency_shift"] = str(run.frequency_shift)
    changes = {key.removeprefix("augment."): _rounded(found[key]) for key in keys if found[key] not in off[key]}
    name = run.settings.get("augment", "none")
    return {"": name if changes else name.replace("auto", "none")} | changes


def _rounded(value: str) -> str:
    """A fraction to four digits, of which a search gives seventeen."""
    if not FRACTION.fullmatch(value):
        return value
    return f"{float(value):.4g}" if abs(float(value)) < 1000 else f"{float(value):.0f}"


def _sureness(comparison: Comparison) -> str:
    """What can be expected of the models' answers, by arm."""
    told = []
    for summary in comparison.summaries:
        runs = summary.arm.runs
        before, after, known, generated, unknown = (
            _mean(getattr(run, name) for run in runs)
            for name in (
                "test_ece_uncalibrated",
                "test_ece",
                "known_rejected",
                "generated_rejected",
                "unknown_rejected",
            )
        )
        if before is None or after is None:
            return ""
        text = f"{summary.arm.name} by {100 * after:.1f} points of probability"
        text += f" ({100 * before:.1f} before)" * any(run.n_val for run in runs)
        shares = (
            (known, "test recordings"),
            (generated, "generated sounds of all kinds"),
            (unknown, "unknown recordings"),
        )
        rejected = ", ".join(f"{100 * share:.0f} % of {what}" for share, what in shares if share is not None)
        told.append(f"{text}{f', calling unknown {rejected}' if rejected else ''}")
    was_fitted = any(run.n_val for summary in comparison.summaries for run in summary.arm.runs)
    how = "were calibrated by a temperature fitted on" if was_fitted else "are as the networks give them, without"
    return (
        f"Probabilities {how} validation data; on test data they are off (expected calibration error in 15 bins, mean "
        f"over runs, some of it chance where few are tested) for {'; for '.join(told)}."
    )


def _mean(values: Iterable[float | None]) -> float | None:
    found = [each for each in values if each is not None]
    return fmean(found) if found else None


def _judged(study: Study) -> str:
    crossed = all(not study.evidence.problems.get(str(run.folder)) for run in study.runs)
    percent, amount = f"{100 * CONFIDENCE:g} %", points(study.margin, study.measure)
    basis = (
        "whose variance is that of crossed random effects of recordings (or their groups) and runs, from each test "
        "recording's predictions"
        if crossed
        else "whose variance is that of the corrected resampled t (Nadeau and Bengio 2003)"
    )
    return (
        f"Arms were compared by {study.measure.name}, seeds averaged within splits; intervals are Student's at "
        f"{percent} together, {basis}; p-values are Holm's; probabilities are those of a Bayesian correlated t-test "
        f"with a region of practical equivalence of {amount} {study.measure.unit} (Benavoli et al. 2017)."
    )


def _made_by(runs: Sequence[Run]) -> str:
    versions = runs[0].versions or {}
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    commits = sorted({run.commit[:10] for run in runs if run.commit})
    at = f" (commit {', '.join(commits)})" if commits else ""
    return f"Made with {told}{at}." if told else ""


def latex(study: Study) -> str:
    """The arms and their differences as a booktabs table."""
    comparison, measure = study.comparisons[0], study.measure
    unit = r"\%" if measure.is_share else measure.unit
    lines = [
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        rf"arm & runs & {measure.name} / {unit} & std \\",
        r"\midrule",
    ]
    for each in comparison.summaries:
        spread = "--" if each.std is None else points(each.std, measure)
        lines.append(rf"{escaped(each.arm.name)} & {each.n} & {points(each.mean, measure)} & {spread} \\")
    lines.append(r"\midrule")
    for difference in comparison.differences:
        if difference.mean is None:
            continue
        name = escaped(f"{difference.first} - {difference.second}").replace(" - ", " $-$ ")
        interval = ""
        if difference.low is not None and difference.high is not None:
            interval = f" [{points(difference.low, measure)}, {points(difference.high, measure)}]"
        lines.append(rf"{name} & {difference.n} & {points(difference.mean, measure)}{interval} & \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def escaped(text: str) -> str:
    """Text with LaTeX's own signs made harmless."""
    return re.sub(r"[\\~^&%$#_{}]", lambda sign: LATEX.get(sign[0], rf"\{sign[0]}"), text)


def command(root: Path) -> str:
    """The sweep that made the runs below `root`, as far as it is known, and the comparison again."""
    again = f"{program('compare')} {shlex.quote(str(root))}"
    try:
        chosen = read_yaml(root / "multirun.yaml")["hydra"]["overrides"]["task"]
        words = [shlex.quote(PLAINLY_QUOTED.sub(r"\1=\2", str(each))) for each in chosen]
    except Exception:  # no sweep, or a damaged file: then only the second is known
        return again
    return f"{program('train')} -m {' '.join(words)}\n{again}"
