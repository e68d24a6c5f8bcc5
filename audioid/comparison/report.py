"""The comparison of a folder of runs as text, table, JSON and picture."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from audioid.comparison.records import LeftOut, Run, find_runs
from audioid.comparison.statistics import MARGIN, Comparison, Summary, comparisons
from audioid.files import replacing

HEADERS = ("transform", "runs", "test % mean", "std", "min", "max", "train %", "seconds")
LONGEST_TEXT = 60  # characters in the picture
LARGEST_PICTURE = 20_000  # rows of pixels; a sweep over hundreds of settings is drawn smaller


def compare(runs_dir: Path, out: Path) -> str:
    """Writes `comparison.json`, `.csv` (a row per run), `.md` and `.png` to `out`; returns the text to print.

    Raises:
        AudioidError: `runs_dir` holds no finished run, or `out` cannot be written.
    """
    runs, left_out = find_runs(runs_dir)
    found = comparisons(runs)
    with replacing(out / "comparison.json") as part:
        part.write_text(json.dumps(_plain(found, left_out, runs_dir), indent=2, ensure_ascii=False) + "\n", "utf-8")
    with replacing(out / "comparison.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _row(runs[0], found[0], runs_dir).keys())
        writer.writeheader()
        writer.writerows(_row(run, comparison, runs_dir) for comparison in found for run in comparison.runs)
    with replacing(out / "comparison.png") as part:
        draw(found, part)
    with replacing(out / "comparison.md") as part:
        body = text(found, left_out, runs_dir, "github")
        part.write_text(f"# Comparison\n\n{body}\n\n![Test accuracy of each run](comparison.png)\n", "utf-8")
    return f"{text(found, left_out, runs_dir, 'simple')}\n\nWritten to {out}: comparison.md, .csv, .json and .png"


def text(found: Sequence[Comparison], left_out: Sequence[LeftOut], root: Path, style: str) -> str:
    """Tables in tabulate's `style`, verdicts and notes, with paragraphs apart."""
    paragraphs = []
    for comparison in found:
        if comparison.settings:
            paragraphs.append(f"{_title(comparison)}:")
        rows = [_cells(summary) for summary in comparison.summaries]
        paragraphs.append(tabulate(rows, HEADERS, tablefmt=style, disable_numparse=True, colalign=_ALIGN))
        paragraphs += [difference.verdict for difference in comparison.differences]
        paragraphs += comparison.notes
    if left_out:
        lines = [f"- {_relative(each.folder, root)}: {each.reason}" for each in left_out]
        paragraphs.append("\n".join([f"Left out ({len(left_out)}):", *lines]))
    return "\n\n".join(paragraphs)


_ALIGN = ("left", *["right"] * (len(HEADERS) - 1))


def _cells(summary: Summary) -> tuple[str, ...]:
    std = "-" if summary.std is None else f"{100 * summary.std:.1f}"
    figures = (f"{100 * value:.1f}" for value in (summary.min, summary.max, summary.train_accuracy))
    return summary.transform, str(summary.n), f"{100 * summary.mean:.1f}", std, *figures, f"{summary.seconds:.1f}"


def _title(comparison: Comparison) -> str:
    return ", ".join(f"{key}={value}" for key, value in comparison.settings.items())


def _relative(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()


def _plain(found: Sequence[Comparison], left_out: Sequence[LeftOut], root: Path) -> dict[str, Any]:
    return {
        "margin": MARGIN,
        "comparisons": [
            {
                "settings": comparison.settings,
                "transforms": [asdict(summary) for summary in comparison.summaries],
                "differences": [asdict(difference) for difference in comparison.differences],
                "notes": comparison.notes,
                "runs": [_relative(run.folder, root) for run in comparison.runs],
            }
            for comparison in found
        ],
        "left_out": [{"folder": _relative(each.folder, root), "reason": each.reason} for each in left_out],
    }


def _row(run: Run, comparison: Comparison, root: Path) -> dict[str, Any]:
    return {
        "run": _relative(run.folder, root),
        "transform": run.transform,
        **comparison.settings,
        "seed": run.seed,
        "split_seed": run.split_seed,
        "fold": run.fold,
        "test_accuracy": run.test_accuracy,
        "train_accuracy": run.train_accuracy,
        "n_test": run.n_test,
        "seconds": run.seconds,
        "index_digest": run.index_digest,
        "commit": run.commit,
    }


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}\N{HORIZONTAL ELLIPSIS}"


def draw(found: Sequence[Comparison], path: Path) -> None:
    """A PNG with a row per comparison: the runs, paired by lines, and each difference with its interval."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = 3.2 * len(found)  # inches
    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasAgg(figure)
    for (left, right), comparison in zip(figure.subplots(len(found), 2, squeeze=False), found, strict=True):
        _draw_runs(left, comparison)
        _draw_differences(right, comparison)
    figure.savefig(path, format="png", dpi=min(110, LARGEST_PICTURE / height))


def _draw_runs(axes: Any, comparison: Comparison) -> None:
    names = [summary.transform for summary in comparison.summaries]
    pairs: dict[object, list[Run]] = {}
    for run in comparison.runs:
        pairs.setdefault(run.pairing, []).append(run)
    for members in pairs.values():
        places = sorted((names.index(run.transform), 100 * run.test_accuracy) for run in members)
        axes.plot(*zip(*places, strict=True), "o-", color="0.6", linewidth=0.8, markersize=5)
    means = [100 * summary.mean for summary in comparison.summaries]
    axes.plot(range(len(names)), means, "_", color="C3", markersize=40, markeredgewidth=2, label="mean")
    axes.set(ylabel="test accuracy in %", xlim=(-0.5, len(names) - 0.5))
    # A dollar sign in a setting is no formula.
    axes.set_title(_short(_title(comparison)), fontsize="medium", parse_math=False)
    axes.set_xticks(range(len(names)), [_short(name) for name in names], parse_math=False)
    axes.legend(frameon=False, markerscale=0.4)


def _draw_differences(axes: Any, comparison: Comparison) -> None:
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color="0.92")
    axes.axvline(0, color="0.5", linewidth=0.8)
    shown = [each for each in comparison.differences if each.mean is not None]
    for place, each in enumerate(shown):
        axes.plot(100 * np.array([each.mean]), [place], "o", color="C3")
        if each.low is not None:
            axes.plot(100 * np.array([each.low, each.high]), [place, place], color="C3", linewidth=2)
    axes.set(
        xlabel=f"difference in points and its interval (grey: below {100 * MARGIN:g})",
        ylim=(max(len(shown), 1) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(shown)), [_short(f"{each.first} - {each.second}") for each in shown], parse_math=False)
