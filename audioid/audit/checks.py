"""What is wrong or suspicious in a corpus, recording by recording and class by class."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audioid.data.index import are_uneven
from audioid.errors import listed

SILENT_DBFS = -60.0
SHORT_SECONDS = 0.02
# Very long: this many times the corpus's median, and a few seconds at least.
LONG_MEDIANS, LONG_SECONDS = 10.0, 5.0
FEW_RECORDINGS = 10


@dataclass(frozen=True)
class Finding:
    """A kind of defect: `title`, what it means, a `command` against it if there is one, and its cases."""

    key: str
    title: str
    meaning: str
    severe: bool
    cases: list["Case"] = field(default_factory=list)
    command: str = ""


@dataclass(frozen=True)
class Case:
    """The paths and labels of one case, and what is to be said of them."""

    paths: list[str]
    labels: list[str]
    detail: str


def recording_findings(table: pd.DataFrame, skipped: list[tuple[str, str]]) -> list[Finding]:
    """Unreadable, silent, clipped, very short and very long recordings, worst first within each.

    Args:
        table: the index's table with the columns of `measure`.
        skipped: `(path, reason)` of what the index left out.
    """
    broken = table[table["reason"] != ""]
    unreadable = [Case([path], [], reason) for path, reason in skipped]
    unreadable += [Case([str(row.path)], [str(row.label)], str(row.reason)) for row in broken.itertuples()]
    silent = table[table["peak_dbfs"] < SILENT_DBFS].sort_values("peak_dbfs")
    clipped = table[table["clipped"] > 0].sort_values("clipped", ascending=False)
    short = table[table["seconds"] < SHORT_SECONDS].sort_values("seconds")
    longest = max(LONG_SECONDS, LONG_MEDIANS * float(table["seconds"].median()))
    long = table[table["seconds"] > longest].sort_values("seconds", ascending=False)
    return [
        Finding("unreadable", "Unreadable files", "Training leaves them out.", True, unreadable),
        Finding(
            "silent",
            "Silent recordings",
            f"Their peak is below {SILENT_DBFS:.0f} dBFS: nothing can be learnt from them.",
            True,
            _cases(silent, lambda row: f"peak {row.peak_dbfs:.0f} dBFS"),
        ),
        Finding(
            "clipped",
            "Clipped recordings",
            "Samples in flat tops near full scale: distortion that may stand for one source or class.",
            False,
            _cases(clipped, lambda row: f"{row.clipped:,} samples in flat tops"),
        ),
        Finding(
            "very_short",
            "Very short recordings",
            f"Shorter than {1000 * SHORT_SECONDS:.0f} ms.",
            False,
            _cases(short, lambda row: f"{1000 * row.seconds:.1f} ms"),
        ),
        Finding(
            "very_long",
            "Very long recordings",
            f"Longer than {longest:.1f} s; all but audio.seconds of each is left out.",
            False,
            _cases(long, lambda row: f"{row.seconds:.1f} s"),
        ),
    ]


def _cases(rows: pd.DataFrame, detail: Callable[[Any], str]) -> list[Case]:
    return [Case([str(row.path)], [str(row.label)], detail(row)) for row in rows.itertuples()]


def duplicate_findings(table: pd.DataFrame, pairs: pd.DataFrame, command: str) -> list[Finding]:
    """Equal files and near duplicates, each first those with different labels.

    Args:
        pairs: as `near_duplicate_pairs` returns them.
        command: trains on this corpus with near duplicates kept together.
    """
    label, path = table["label"].to_numpy(), table["path"].to_numpy()
    first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    across = label[first] != label[second]
    exact = pairs["exact"].to_numpy(bool)

    def cases(chosen: np.ndarray) -> list[Case]:
        return [
            Case(
                [path[first[k]], path[second[k]]],
                [label[first[k]], label[second[k]]],
                "byte for byte" if exact[k] else f"likeness {pairs['score'].iloc[k]:.2f}",
            )
            for k in np.flatnonzero(chosen)
        ]

    wrong = "The same sound under two labels: at least one is wrong."
    copies = "Every split that is drawn has them on one side, but the sound counts once for each; keep one."
    alike = "In a random split one may train and the other test. This keeps them together:"
    return [
        Finding("exact_across_labels", "Equal files with different labels", wrong, True, cases(exact & across)),
        Finding("near_across_labels", "Near duplicates with different labels", wrong, True, cases(~exact & across)),
        Finding("exact", "Equal files", copies, False, cases(exact & ~across)),
        Finding("near", "Near duplicates", alike, False, cases(~exact & ~across), command),
    ]


def class_table(table: pd.DataFrame, groups: NDArray[np.int64]) -> pd.DataFrame:
    """A row per label: `recordings`, `groups`, and medians and extremes of length (s) and level (dBFS)."""
    by_label = table.assign(group_number=groups).groupby("label")
    return by_label.agg(
        recordings=("path", "size"),
        groups=("group_number", "nunique"),
        seconds_median=("seconds", "median"),
        seconds_min=("seconds", "min"),
        seconds_max=("seconds", "max"),
        level_median=("level_dbfs", "median"),
        level_min=("level_dbfs", "min"),
        level_max=("level_dbfs", "max"),
    ).reset_index()


def balance_warnings(classes: pd.DataFrame) -> list[str]:
    """Sentences on classes that are few, uneven or of one group."""
    counts = classes.set_index("label")["recordings"]
    warnings = []
    if len(counts) < 2:
        warnings.append("There is one class only: nothing can be told apart.")
    if len(few := counts[counts < FEW_RECORDINGS].index):
        warnings.append(f"Fewer than {FEW_RECORDINGS} recordings: {listed(few)}.")
    if are_uneven(counts):
        warnings.append(
            f"Uneven classes: {counts.idxmax()} has {counts.max():,} recordings, {counts.idxmin()} {counts.min():,}; "
            "look at macro-F1 beside accuracy."
        )
    return warnings
