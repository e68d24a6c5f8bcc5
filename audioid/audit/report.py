"""The audit of a corpus: what was found, as a page for the terminal, `audit.json` and `audit.html`."""

import json
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from audioid.audit.checks import Finding, balance_warnings, class_table, duplicate_findings, recording_findings
from audioid.audit.measure import LONGEST_SECONDS, measure
from audioid.audit.page import html_page
from audioid.audit.probe import Gap, gap
from audioid.audit.shortcuts import Shortcut, shortcuts
from audioid.data.corpus import large_group
from audioid.data.grouping import joined
from audioid.data.index import Index
from audioid.data.near_duplicates import groups_of, near_duplicate_pairs
from audioid.data.resemblance import ALL_WITH_ALL
from audioid.data.split import numbered
from audioid.errors import listed
from audioid.files import replacing
from audioid.schema import SplitSettings

# Cases of one kind that the terminal names; audit.json holds all.
SHOWN = 5
# Values of a property that are named in the summary, and in its row; audit.json holds all.
SHOWN_IN_SUMMARY, SHOWN_IN_ROW = 3, 8
# Classes of each kind, the largest, the smallest and those with most cases, where not all are shown.
CLASSES_SHOWN = 8
SAMPLED = "Of a part, not of all"
# A gap between random and grouped split that is worth a warning.
LARGE_GAP = 0.05


@dataclass(frozen=True)
class Audit:
    """All that was found in one corpus; `sampled` tells what was not looked for in all of it.

    Instead of a gap there may be the reason why none can be told.
    """

    root: str
    recordings: int
    groups_from: str
    findings: list[Finding]
    classes: pd.DataFrame
    balance: list[str]
    large_group: str | None
    shortcuts: list[Shortcut]
    gap: Gap | str | None
    sampled: list[str]
    seconds: float


def audit(index: Index, split: SplitSettings, command: str) -> Audit:
    """Measure and check every recording of the index. Groups are those of the index joined with near duplicates.

    `command` trains on this corpus with these groups kept together, in parts as large as `split` says.
    """
    begin = time.perf_counter()
    table = pd.concat([index.table, measure(index)], axis=1)
    pairs = near_duplicate_pairs(index)
    groups, given = groups_of(pairs, len(table)), index.groups
    if given is not None:
        groups = joined(numbered(given), groups)
    classes = class_table(table, groups)
    with warnings.catch_warnings():
        # Labels are classes, however many there are of few recordings.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        properties, splits = shortcuts(table), gap(index, groups)
    findings = duplicate_findings(table, pairs, command) + recording_findings(table, index.skipped)
    return Audit(
        root=str(index.root),
        recordings=len(table),
        groups_from="near duplicates" if given is None else "the index and near duplicates",
        findings=[finding for finding in findings if finding.cases],
        classes=classes,
        balance=balance_warnings(classes),
        large_group=large_group(index, groups, split.model_copy(update={"name": "grouped"})),
        shortcuts=properties,
        gap=splits,
        sampled=sampled(table["seconds"], properties, splits),
        seconds=time.perf_counter() - begin,
    )


def sampled(seconds: "pd.Series[float]", properties: Sequence[Shortcut], splits: Gap | str | None) -> list[str]:
    """Sentences on what comes from a part of the recordings, which last `seconds`, or of what is in them."""
    count, sentences = len(seconds), []
    if drawn := [each for each in properties if each.drawn]:
        part = f"{drawn[0].rows:,} recordings drawn from {count:,}, equally from {drawn[0].labels:,} labels"
        sentences.append(f"What a property tells of the label: {part}.")
    if isinstance(splits, Gap) and splits.drawn:
        part = f"{splits.rows:,} recordings drawn from {count:,}, equally from {splits.labels:,} labels"
        sentences.append(f"What splits promise: {part}, some of a group at a time.")
    if count > ALL_WITH_ALL:
        sentences.append(
            f"Near duplicates: with more than {ALL_WITH_ALL:,} recordings each is compared with a few of similar sound "
            "alone; where thousands sound alike some trimmed copies are missed."
        )
    if long := int((seconds > LONGEST_SECONDS).sum()):
        sentences.append(f"Level, clipping and bandwidth of {long:,} recordings: their first {LONGEST_SECONDS:.0f} s.")
    return sentences


def write(found: Audit, index: Index, out: Path) -> None:
    """`audit.json` and `audit.html` in `out`.

    Raises:
        AudioidError: `out` cannot be written.
    """
    with replacing(out / "audit.json") as part, part.open("w", encoding="utf-8") as file:
        # Findings case by case, since there may be millions.
        json.dump(plain(found), file, indent=2, ensure_ascii=False, allow_nan=False, default=vars)
        file.write("\n")
    with replacing(out / "audit.html") as part:
        part.write_text(_html(found, index), "utf-8")


def _html(found: Audit, index: Index) -> str:
    sampled = [f"{SAMPLED}: {sentence}" for sentence in found.sampled]
    return html_page(found.root, summary(found), sampled, sections(found), found.findings, index)


def plain(found: Audit) -> dict[str, Any]:
    """The content of `audit.json`: numbers, text, lists and objects alone; `vars` makes them of findings and cases."""
    classes = found.classes.astype(object).where(found.classes.notna(), None)
    return {
        "root": found.root,
        "recordings": found.recordings,
        "groups_from": found.groups_from,
        "findings": {finding.key: finding for finding in found.findings},
        "classes": classes.to_dict("records"),
        "balance": found.balance,
        "large_group": found.large_group,
        "shortcuts": [asdict(shortcut) for shortcut in found.shortcuts],
        "gap": asdict(found.gap) if isinstance(found.gap, Gap) else None,
        "no_gap": found.gap if isinstance(found.gap, str) else None,
        "sampled": found.sampled,
        "seconds": found.seconds,
    }


def summary(found: Audit) -> list[tuple[bool, str]]:
    """The verdict in lines, each with whether it is severe; the most urgent first."""
    lines = [(finding.severe, f"{finding.title}: {len(finding.cases):,}") for finding in found.findings]
    for each in found.shortcuts:
        if each.warning:
            alone = f"{each.accuracy:.0%} of the labels show in the {each.title} alone (chance: {each.chance:.0%})"
            detail = (
                ["this may belong to the sounds themselves"] if each.natural else _first(each.telling, SHOWN_IN_SUMMARY)
            )
            lines.append((not each.natural, "; ".join([alone, *detail])))
    if isinstance(found.gap, str):
        # Then no split keeps groups together and has each label in each part.
        is_refused = int((found.classes["groups"] > 1).sum()) < 2
        compared = f"A random split cannot be compared with one that keeps groups together: {found.gap}"
        lines.append((is_refused, f"{compared}; split=grouped refuses to train" if is_refused else compared))
    elif found.gap:
        lines.append((found.gap.random - found.gap.grouped >= LARGE_GAP, gap_sentence(found.gap, found.groups_from)))
    lines += [(True, found.large_group)] if found.large_group else []
    lines += [(False, warning) for warning in found.balance]
    return sorted(lines, key=lambda line: not line[0]) or [(False, "Nothing suspicious was found")]


def gap_sentence(found: Gap, groups_from: str) -> str:
    """What a random split would promise and a grouped one keep."""
    less = f"; not counted: {listed(found.one_group)} (one group each)" if found.one_group else ""
    return (
        f"A random split promises {found.random:.0%}, one that keeps groups together {found.grouped:.0%} "
        f"({found.groups:,} groups from {groups_from}; nearest neighbour on log-mel features{less})"
    )


def _first(sentences: Sequence[str], most: int) -> list[str]:
    more = len(sentences) - most
    return [*sentences[:most], *[f"and {more:,} more"] * (more > 0)]


def sections(found: Audit) -> list[tuple[str, list[str], list[list[str]]]]:
    """The tables of the report: title, headers, rows of text."""
    cases = Counter(label for finding in found.findings for case in finding.cases for label in set(case.labels))
    shown = _classes_shown(found.classes, cases)
    part = f" ({len(shown)} of {len(found.classes):,}: the largest, the smallest, and those with most cases"
    classes = [
        [
            str(row.label),
            f"{row.recordings:,}",
            f"{row.groups:,}",
            f"{row.seconds_median:.2f} ({row.seconds_min:.2f} to {row.seconds_max:.2f})",
            f"{row.level_median:.0f} ({row.level_min:.0f} to {row.level_max:.0f})",
            f"{cases[str(row.label)]:,}" if cases[str(row.label)] else "",
        ]
        for row in shown.itertuples()
    ]
    headers = ["label", "recordings", "groups", "length in s: median (range)", "level in dBFS", "cases"]
    properties = [
        [
            each.title,
            f"{each.accuracy:.0%}",
            f"{each.chance:.0%}",
            "may be natural" if each.warning and each.natural else "WARNING" if each.warning else "",
            "; ".join(_first(each.telling, SHOWN_IN_ROW)),
        ]
        for each in found.shortcuts
    ]
    return [
        ("Classes" + f"{part}; audit.json has all)" * (len(shown) < len(found.classes)), *_filled(headers, classes)),
        (
            "What one property alone tells of the label",
            *_filled(["property", "accuracy", "chance", "verdict", "values"], properties),
        ),
    ]


def _classes_shown(classes: pd.DataFrame, cases: Mapping[str, int]) -> pd.DataFrame:
    """The rows of all classes, or of those that matter most, the largest first."""
    order = classes.sort_values(["recordings", "label"], ascending=[False, True])
    if len(order) <= 3 * CLASSES_SHOWN:
        return classes
    by_cases = sorted((label for label in order["label"] if cases.get(label)), key=lambda label: -cases[label])
    matters = {*order["label"][:CLASSES_SHOWN], *order["label"][-CLASSES_SHOWN:], *by_cases[:CLASSES_SHOWN]}
    return order[order["label"].isin(matters)]


def _filled(headers: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns in which some row has something."""
    filled = [column for column in range(len(headers)) if any(row[column] for row in rows)]
    return [headers[column] for column in filled], [[row[column] for column in filled] for row in rows]


def text(found: Audit) -> str:
    """The page for the terminal."""
    parts = [f"{found.root}: {found.recordings:,} recordings, {len(found.classes)} classes ({found.seconds:.0f} s)"]
    parts.append("\n".join(f"{'!!' if severe else ' -'} {line}" for severe, line in summary(found)))
    if found.sampled:
        parts.append("\n".join([f"{SAMPLED}:", *(f"    {sentence}" for sentence in found.sampled)]))
    for finding in found.findings:
        lines = [f"{finding.title} ({len(finding.cases):,}). {finding.meaning}"]
        lines += [f"    {finding.command}"] * bool(finding.command)
        lines += [f"    {' = '.join(case.paths)}: {case.detail}" for case in finding.cases[:SHOWN]]
        if len(finding.cases) > SHOWN:
            lines.append(f"    ... and {len(finding.cases) - SHOWN:,} more")
        parts.append("\n".join(lines))
    for title, headers, rows in sections(found):
        if rows:
            widths = [60 if header == "values" else None for header in headers]
            parts.append(f"{title}\n{tabulate(rows, headers, maxcolwidths=widths, disable_numparse=True)}")
    return "\n\n".join(parts)
