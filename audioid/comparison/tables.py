"""A study as tables and plain values: for the screen, Markdown, JSON and CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from audioid.comparison import words
from audioid.comparison.decisions import Difference
from audioid.comparison.measures import Measure
from audioid.comparison.records import LeftOut, Run, varying
from audioid.comparison.spread import worth_telling
from audioid.comparison.study import Comparison, Study, Summary, number_apart
from audioid.comparison.words import Row
from audioid.terminal import on_a_line

SETTINGS_SHOWN = 20
LEFT_OUT_SHOWN = 10

Table = tuple[Row, list[Row]]


def arms_table(comparison: Comparison, measure: Measure) -> Table:
    """A row an arm: the measure, the accuracy where that is another, training accuracy, and what it costs."""
    unit = "%" if measure.is_share else measure.unit
    headers = ["arm", "runs", f"{measure.name} {unit}", "std", "min", "max"]
    headers += [*words.beside(measure), "train %", "ms a clip", "fit s"]
    return headers, [_arm_row(summary, measure) for summary in comparison.summaries]


def _arm_row(summary: Summary, measure: Measure) -> Row:
    values = (summary.mean, summary.std, summary.min, summary.max)
    costs = [words.spelled(each) for each in (summary.cost.transform_ms_per_clip, summary.cost.fit_seconds)]
    figures = [words.amount(value, measure) for value in values]
    accuracy = [f"{100 * summary.test_accuracy:.1f}" for _ in words.beside(measure)]
    return [summary.arm.name, str(summary.n), *figures, *accuracy, f"{100 * summary.train_accuracy:.1f}", *costs]


def ranking_table(study: Study) -> Table:
    """A row a setting, the best by validation first."""
    unit = "%" if study.measure.is_share else study.measure.unit
    headers = [*study.keys, "runs", f"validation {unit}", f"test {unit}", "std of runs"]
    return headers, words.ranking(study.ranking, study.keys, study.measure)


def importance_table(study: Study) -> Table:
    """A row a key: from its worst to its best value, all other choices averaged."""
    headers = ["key", f"worst to best value, {study.measure.unit} of {study.measure.name}"]
    order = sorted(study.importance.items(), key=lambda item: -item[1])
    return headers, [[key, words.amount(span, study.measure)] for key, span in order]


def overview_table(studies: Sequence[Study]) -> Table | None:
    """A row for each value of the number that tells the studies apart; None where none does."""
    if (key := number_apart(studies)) is None:
        return None
    arms = list(dict.fromkeys(each.arm.name for study in studies for each in study.comparisons[0].summaries))
    measure = studies[0].measure
    unit = "%" if measure.is_share else measure.unit
    headers = [
        key,
        "to learn from",
        *(f"{name} {unit}" for name in arms),
        *(f"{name} fit s" for name in arms),
        "decision",
    ]
    return headers, [_overview_row(study.settings[key], study, arms) for study in studies]


def _overview_row(value: str, study: Study, arms: Sequence[str]) -> Row:
    headline, measure = study.comparisons[0], study.measure
    by_name = {each.arm.name: each for each in headline.summaries}
    n_train = np.mean([run.n_train for run in study.runs])
    means = [words.with_interval(by_name.get(name), measure) for name in arms]
    seconds = [words.spelled(by_name[name].cost.fit_seconds if name in by_name else None) for name in arms]
    decisions = words.decisions(headline.differences, measure)
    return [value, f"{n_train:,.0f}", *means, *seconds, decisions or words.NONE]


def paragraphs(study: Study, style: str) -> Iterator[str]:
    """The verdicts first, then tables in tabulate's `style`, warnings and notes."""
    if study.settings:
        yield f"{study.title}:"
    for place, comparison in enumerate(study.comparisons):
        if len(study.comparisons) > 1:
            yield f"By {comparison.key}:"
        if len(comparison.differences) > 1:
            yield words.headline(comparison, study.measure)
        for difference in comparison.differences:
            yield difference.verdict
            odds = words.odds(difference, study.margin, study.measure)
            if odds and place == 0:
                yield odds
        yield written(arms_table(comparison, study.measure), style)
        if place == 0:
            yield from (each.sentence for each in worth_telling(comparison.spreads))
        known = study.comparisons[0].warnings if place else []
        yield from (f"Mind: {text}" for text in comparison.warnings if text not in known)
        yield from comparison.notes
    if len(study.ranking) > len(study.comparisons[0].summaries):
        headers, rows = ranking_table(study)
        more = len(rows) - SETTINGS_SHOWN
        told_more = f" ({SETTINGS_SHOWN} of {len(rows)}; comparison.json has all)" if more > 0 else ""
        yield f"All settings, the best by validation first{told_more}:"
        yield written((headers, rows[:SETTINGS_SHOWN]), style)
    if len(study.importance) > 1:
        yield "How much each key matters:"
        yield written(importance_table(study), style)


def written(table: Table, style: str) -> str:
    headers, rows = table
    if style == "github":  # names are anybody's
        rows = [[_escaped(cell) for cell in row] for row in rows]
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, tablefmt=style, disable_numparse=True, colalign=align if rows else None)


def _escaped(cell: str) -> str:
    return on_a_line(cell).replace("|", "\\|").replace("<", "&lt;")


def left_out_paragraph(left_out: Sequence[LeftOut], root: Path) -> str | None:
    if not left_out:
        return None
    lines = [f"- {relative(each.folder, root)}: {each.reason}" for each in left_out[:LEFT_OUT_SHOWN]]
    if len(left_out) > LEFT_OUT_SHOWN:
        lines.append(f"- and {len(left_out) - LEFT_OUT_SHOWN} more, all in comparison.json")
    return "\n".join([f"Left out ({len(left_out)}):", *lines])


def relative(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()


def plain(studies: Sequence[Study], left_out: Sequence[LeftOut], root: Path) -> dict[str, Any]:
    """What `comparison.json` holds."""
    return {
        "comparisons": [
            {
                "settings": study.settings,
                "key": comparison.key,
                "metric": study.measure.key,
                "margin": study.margin,
                "transforms": [_plain_summary(summary) for summary in comparison.summaries],
                "differences": [_plain_difference(each) for each in comparison.differences],
                "spreads": [asdict(each) for each in comparison.spreads],
                "warnings": comparison.warnings,
                "notes": comparison.notes,
                "runs": [relative(run.folder, root) for each in comparison.summaries for run in each.arm.runs],
            }
            for study in studies
            for comparison in study.comparisons
        ],
        "rankings": [
            {
                "settings": study.settings,
                "keys": study.keys,
                "importance": study.importance,
                "ranking": [
                    {
                        "values": each.values,
                        "n": len(each.runs),
                        "validation": each.validation,
                        "test": each.test,
                        "std": each.std,
                    }
                    for each in study.ranking
                ],
            }
            for study in studies
        ],
        "left_out": [{"folder": relative(each.folder, root), "reason": each.reason} for each in left_out],
    }


def _plain_summary(summary: Summary) -> dict[str, Any]:
    arm = summary.arm
    told = {"transform": arm.name, "chosen": arm.chosen, "tried": arm.tried}
    told |= {"validation": arm.validation, "chosen_anew": arm.anew}
    figures = {
        key: getattr(summary, key)
        for key in ("n", "mean", "std", "low", "high", "min", "max", "test_accuracy", "train_accuracy")
    }
    return told | figures | {"cost": asdict(summary.cost)}


def _plain_difference(difference: Difference) -> dict[str, Any]:
    found = asdict(difference)
    corrected = found.pop("corrected_t")
    found["corrected_t"] = None if corrected is None else dict(zip(("low", "high"), corrected, strict=True))
    return found


def rows(studies: Sequence[Study], root: Path) -> Iterator[dict[str, Any]]:
    """What `comparison.csv` holds: a row a run, with every setting that differs between any two runs."""
    every = [run for study in studies for run in study.runs]
    keys = varying([run.settings for run in every])
    for run in every:
        settings = {key: run.settings.get(key) for key in keys if key != "transform"}
        yield {"run": relative(run.folder, root), "transform": run.transform, **settings, **_figures(run)}


def _figures(run: Run) -> dict[str, Any]:
    left = ("transform", "folder", "settings", "classes", "versions", "search")
    return {key: getattr(run, key) for key in Run.model_fields if key not in left} | {"searched": run.searched}
