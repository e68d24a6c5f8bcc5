"""What a search found, in the report on the runs that judge it; its record may come from anybody."""

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audioid.comparison.figures.search import MOST_KEYS, search_figures
from audioid.comparison.page import Chapter, html_page
from audioid.comparison.records import find_runs
from audioid.comparison.report import compare
from audioid.comparison.searches import LARGEST, SearchRecord, read_search
from audioid.comparison.study import studies
from audioid.comparison.tables import written
from tests.comparison.made_search import search_of, write_search

EVIL = "<script>alert(1)</script>"


class Section(HTMLParser):
    """What stands below the heading of a search: its tables and pictures; and every tag of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings, self.rows, self.pictures, self.tags = list[str](), list[list[str]](), list[str](), set[str]()
        self.text, self._tag = "", ""
        self.feed(page)

    @property
    def is_inside(self) -> bool:
        return bool(self.headings) and self.headings[-1].startswith("Search")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._tag = tag
        if tag in ("h1", "h2"):
            self.headings.append("")
        elif self.is_inside and tag == "tr":
            self.rows.append([])
        elif self.is_inside and tag in ("th", "td"):
            self.rows[-1].append("")
        elif self.is_inside and tag == "img":
            self.pictures.append(base64.b64decode((dict(attrs)["src"] or "").partition(",")[2]).decode())

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._tag in ("h1", "h2"):
            self.headings[-1] += data.strip()
        elif self.is_inside and self._tag in ("th", "td"):
            self.rows[-1][-1] += data.strip()


@pytest.fixture
def sweep(write_run: Any, tmp_path: Path) -> Path:
    for seed in (0, 1):
        write_run("cwt", seed, 0.9)
        write_run("fft", seed, 0.8)
    return tmp_path / "runs"


def section_of(root: Path) -> Section:
    """Of the page alone, without what other parts of the report take."""
    (study,) = studies(find_runs(root)[0])
    return Section(html_page([Chapter(study, None, {}, methods="", latex="", again="")], [], root=root))


def test_the_page_tells_what_the_search_found_each_time_it_is_written(sweep: Path) -> None:
    record = search_of("cwt", "fft")
    record["transforms"]["cwt"]["best"]["settings"]["transform.wavelet"] = "mexh"
    record["transforms"]["cwt"]["importances"]["transform.wavelet"] = 0.0
    write_search(sweep, record)
    for _ in range(2):
        compare(sweep, sweep)
        found = Section((sweep / "report.html").read_text(encoding="utf-8"))
        assert found.headings.count("Search") == 1
        assert found.rows == [
            ["", "cwt", "fft"],
            ["trials", "30", "30"],
            ["given up or diverged", "10", "10"],
            ["best trial", "027", "027"],
            ["its validation loss", "0.123", "0.123"],
            ["model.depth", "4 (59 %)", "4 (59 %)"],
            ["optimizer.lr", "0.00346 (41 %)", "0.00346 (41 %)"],
            ["transform.wavelet", "mexh (0 %)", "\N{EN DASH}"],
        ]
        history, importance = found.pictures
        assert "validation loss" in history
        assert {"optimizer.lr", "model.depth"} <= set(re.findall("[a-z]+[.][a-z]+", importance))
    assert "| best trial " in (sweep / "report.md").read_text(encoding="utf-8")


def test_without_a_search_there_is_no_such_section(sweep: Path) -> None:
    assert "Search" not in section_of(sweep).headings


def test_of_sweeps_in_one_folder_each_search_is_told(write_run: Any, tmp_path: Path) -> None:
    for seed, name in enumerate(("first", "second")):
        for transform in ("cwt", "fft"):
            run = write_run(transform, seed, 0.9)
            (tmp_path / "all" / name).mkdir(parents=True, exist_ok=True)
            run.rename(tmp_path / "all" / name / run.name)
    write_search(tmp_path / "all" / "second", search_of("cwt", "fft", "mfcc"))
    found = section_of(tmp_path / "all")
    assert [each for each in found.headings if each.startswith("Search")] == ["Search in second"]
    assert found.rows[0] == ["", "cwt", "fft"]  # mfcc has no runs here


def test_a_record_without_its_trials_has_a_table_alone(sweep: Path) -> None:
    record = search_of("cwt", "fft")
    for each in record["transforms"].values():
        del each["history"]
        each["importances"] = {}
    write_search(sweep, record)
    found = section_of(sweep)
    assert found.rows[-1] == ["model.depth", "4", "4"]
    assert not found.pictures


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    record = search_of("cwt", "fft")
    for each in record["transforms"].values():
        change(each)
    return record


@pytest.mark.parametrize(
    "record",
    [
        [],
        "",
        "{",
        "[" * 100_000,
        '{"transforms": ' * 100_000,
        {"judged_by": "test_loss", "transforms": {}},
        {"judged_by": EVIL, "transforms": search_of("cwt", "fft")["transforms"]},
        changed(lambda each: each.update(trials="many")),
        changed(lambda each: each.update(trials=True)),
        changed(lambda each: each.update(trials=10**400)),
        changed(lambda each: each.update(trials=float("inf"))),
        changed(lambda each: each.update(best=None)),
        changed(lambda each: each["best"].update(val_loss=float("nan"))),
        changed(lambda each: each["best"].update(settings=[1])),
        changed(lambda each: each["best"].update(settings={"a": {"b": 1}})),
        changed(lambda each: each.update(importances={"a": 1e308})),
        changed(lambda each: each.update(importances={"\ud800": 0.5})),
        changed(lambda each: each.update(importances={"a\x00": 0.5})),
        changed(lambda each: each.update(history=[{"state": "complete", "value": 1e300}])),
        changed(lambda each: each.update(history=[{"state": "complete"}] * 10_001)),
        '{"judged_by": "val_loss", "transforms": {}, "more": "' + "x" * LARGEST + '"}',
    ],
    ids=lambda record: str(record)[:40],
)
def test_a_record_that_is_none_is_passed_over(sweep: Path, record: object) -> None:
    write_search(sweep, record)
    assert read_search(sweep / "search" / "search.json") is None
    found = section_of(sweep)
    assert "Search" not in found.headings
    assert len(find_runs(sweep)[0]) == 4  # its runs are none the worse


@pytest.mark.parametrize(
    "record",
    [
        changed(lambda each: each["best"].update(settings={EVIL: EVIL}, trial=0)),
        changed(lambda each: each.update(importances={EVIL: 1.0, "$x_{$": 0.0, "_a": 0.1, "]]>": 0.5, "a" * 200: 0.1})),
        changed(lambda each: each.update(importances={f"key{number}": 0.001 for number in range(1000)})),
        changed(lambda each: each["best"].update(settings={"a": "x" * 10**6, "b": -1e308, "c": 10**4000})),
        changed(lambda each: each.update(history=[{"state": "complete", "value": 3.4e38}, {"state": "pruned"}])),
        changed(lambda each: each.update(history=[{"state": "pruned"}])),
        changed(lambda each: each["best"].pop("val_loss")),
    ],
    ids=lambda record: str(record)[50:90],
)
def test_a_strange_record_runs_nothing_and_ends_nothing(sweep: Path, record: dict[str, Any]) -> None:
    write_search(sweep, record)
    found = section_of(sweep)
    assert "Search" in found.headings
    assert not {"script", "iframe", "object"} & found.tags
    for picture in found.pictures:
        assert "<script" not in picture
    if EVIL in record["transforms"]["cwt"]["best"]["settings"]:
        assert [EVIL, EVIL, EVIL] in found.rows


def test_a_cell_of_a_written_table_stays_one() -> None:
    made = written((["arm", "value"], [["cwt", "a\n| b | <img src=x>\x1b[2J"]]), "github")
    assert len(made.splitlines()) == 3
    assert not {"\x1b", "<"} & set(made)
    assert made.count("|") - made.count("\\|") == 9


def test_a_figure_shows_the_keys_that_matter_most() -> None:
    record = search_of("cwt")
    record["transforms"]["cwt"]["importances"] = {f"key{number}": number / 1000 for number in range(1000)}
    found = search_figures(SearchRecord.model_validate_json(json.dumps(record)), ["cwt"])
    (axes,) = found["importance"].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"key{number}" for number in range(999, 999 - MOST_KEYS, -1)]


def test_the_best_so_far_is_that_of_trials_that_came_to_their_end() -> None:
    record = search_of("cwt")
    values = [0.5, 0.1, 0.4, 0.6]
    record["transforms"]["cwt"]["history"] = [
        {"state": "pruned" if value == 0.1 else "complete", "value": value} for value in values
    ]
    (axes,) = search_figures(SearchRecord.model_validate_json(json.dumps(record)), ["cwt"])["history"].axes
    *_, line = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), [0.5, 0.5, 0.4, 0.4])
