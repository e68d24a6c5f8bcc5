import base64
import io
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audioid.comparison import words
from audioid.comparison.analysis import analyse
from audioid.comparison.decisions import Difference, Odds
from audioid.comparison.figures import figures
from audioid.comparison.measures import MEASURES
from audioid.comparison.page import SHOWN, Chapter, html_page
from audioid.comparison.records import LeftOut, Run, find_runs
from audioid.comparison.showing import Shown
from audioid.comparison.statistics import Estimate
from audioid.comparison.study import studies
from audioid.comparison.together import Combined
from tests.comparison.made_runs import made_sweep

SOUND = b"the sound of"


class Page(HTMLParser):
    """What a reader, and a browser, finds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[tuple[str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            if re.fullmatch("h[1-6]", tag):
                name, before = self.headings[-1]
                self.headings[-1] = name, before + data
        if self._open and self._open[-1] not in ("style", "title"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


class Library:
    """Shows every recording but one, and keeps what it was asked for."""

    def __init__(self, missing: str = "") -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.missing = missing

    def __call__(self, run: Run, paths: Sequence[str]) -> Mapping[str, Shown]:
        self.asked.append((run.transform, list(paths)))
        image = np.zeros((8, 4, 3), np.uint8)
        image[0, :, 0] = 200  # the top row
        return {path: Shown(image, SOUND + path.encode()) for path in paths if path != self.missing}


def chapters(root: Path, **texts: str) -> list[Chapter]:
    found = []
    for study in studies(find_runs(root)[0]):
        analysis = analyse(study)
        said = {"methods": "How it was done.", "latex": r"\begin{tabular}", "again": "audioid train -m", **texts}
        found.append(Chapter(study, analysis, figures(study, analysis), **said))
    return found


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    made_sweep(tmp_path / "runs", np.random.default_rng(0), skill={"fft": 1.0, "cwt": 2.0}, n=150, seeds=1)
    return tmp_path / "runs"


def test_the_first_heading_is_the_verdict(sweep: Path) -> None:
    (chapter,) = chapters(sweep)
    page = Page(html_page([chapter], [], root=sweep))
    (difference,) = chapter.study.comparisons[0].differences
    assert page.headings[0] == ("h1", difference.verdict)
    assert [level for level, _ in page.headings].count("h1") == 1
    levels = [int(level[1]) for level, _ in page.headings]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for text in (
        "How it was done.",
        r"\begin{tabular}",
        "audioid train -m",
        words.odds(difference, 0.01, MEASURES["test_accuracy"]),
    ):
        assert text in page.text
    for line in chapter.study.comparisons[0].warnings:
        assert line in page.text


def test_every_table_has_a_heading_for_each_cell(sweep: Path) -> None:
    (chapter,) = chapters(sweep)
    text = html_page([chapter], [LeftOut(sweep / "x", "why")], root=sweep)
    tables = re.findall("<table>.*?</table>", text, re.DOTALL)
    assert len(tables) == 5
    for table in tables:
        head, *rows = [len(re.findall("<t[hd][ >]", row)) for row in re.findall("<tr>.*?</tr>", table, re.DOTALL)]
        assert rows == [head] * len(rows)


def test_nothing_is_loaded_from_elsewhere(sweep: Path) -> None:
    text = html_page(chapters(sweep), [], root=sweep, showing=Library())
    page = Page(text)
    sources = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert len(sources) > 10
    assert all(value and re.match("data:(image/(png|svg)|audio/mpeg)", value) for value in sources)
    assert not page.all("script") + page.all("link") + page.all("iframe")
    assert "url(" not in text.partition("</style>")[0]
    policy = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"]
    assert all(each.get("alt") for each in page.all("img"))
    assert all(each.get("aria-label") for each in page.all("audio"))


def test_every_figure_is_there_with_its_caption(sweep: Path) -> None:
    (chapter,) = chapters(sweep)
    page = Page(html_page([chapter], [], root=sweep))
    drawings = [each for each in page.all("img") if (each["src"] or "").startswith("data:image/svg+xml;base64,")]
    assert len(drawings) == len(chapter.figures) == len(page.all("figcaption"))
    for each in drawings:
        assert b"<svg" in base64.b64decode((each["src"] or "").partition(",")[2])


def test_recordings_are_shown_as_both_networks_see_them(sweep: Path) -> None:
    (chapter,) = chapters(sweep)
    analysis = chapter.analysis
    assert analysis
    assert len(analysis.disagreements) > SHOWN
    first, *others = [each.path for each in analysis.disagreements[:SHOWN]]
    library = Library(missing=first)
    page = Page(html_page([chapter], [], root=sweep, showing=library))
    assert [transform for transform, _ in library.asked] == ["cwt", "fft"]
    expected = [first, *others, *(each.path for each in analysis.suspects[:SHOWN])]
    assert library.asked[0][1] == library.asked[1][1] == list(dict.fromkeys(expected))
    pictures = [each for each in page.all("img") if (each["src"] or "").startswith("data:image/png")]
    shown = len(expected) - expected.count(first)
    assert len(pictures) == 2 * shown
    assert pictures[0]["alt"] == f"cwt picture of {others[0]}"
    with Image.open(io.BytesIO(base64.b64decode((pictures[0]["src"] or "").partition(",")[2]))) as image:
        assert image.size == (4, 8)
        assert image.convert("RGB").getpixel((0, 0)) == (200, 0, 0)
    players = [base64.b64decode((each["src"] or "").partition(",")[2]) for each in page.all("audio")]
    assert players[: len(others)] == [SOUND + path.encode() for path in others]
    assert first in page.text  # told of, though it cannot be shown


def test_names_out_of_files_stay_names(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    made_sweep(
        tmp_path / "runs", np.random.default_rng(0), skill={"<img src=x>": 1.0, "cwt&": 2.0}, n=60,
        classes=("a", '"><b>', evil), settings={"transform": {"window": evil}},
    )  # fmt: skip
    left_out = [LeftOut(tmp_path / "runs" / evil, "<u>why</u>")]
    found = chapters(tmp_path / "runs", methods=evil, latex=evil, again=evil)
    page = Page(html_page(found, left_out, root=tmp_path / "runs", showing=Library()))
    assert not page.all("script") + page.all("b") + page.all("u")
    assert "x" not in [each["src"] for each in page.all("img")]
    for name in (evil, '"><b>', "<img src=x>", "cwt&", "<u>why</u>"):
        assert name in page.text


def test_studies_follow_one_another_each_with_its_verdict(tmp_path: Path) -> None:
    for digest, skill in (("first", {"fft": 1.0, "cwt": 3.0}), ("second", {"fft": 3.0, "cwt": 1.0})):
        made_sweep(tmp_path, np.random.default_rng(0), skill=skill, n=60, index_digest=digest)
    page = Page(html_page(chapters(tmp_path), [], root=tmp_path))
    tops = [text for level, text in page.headings if level == "h1"]
    assert [text.partition(" better")[0] for text in tops] == ["cwt", "fft"]
    assert {"recordings=first", "recordings=second"} <= set(page.text.split())


def test_one_arm_and_no_predictions_make_a_page_too(tmp_path: Path) -> None:
    made_sweep(tmp_path, np.random.default_rng(0), skill={"fft": 1.0}, n=60)
    for file in tmp_path.glob("*/predictions.csv"):
        file.unlink()
    page = Page(html_page(chapters(tmp_path), [], root=tmp_path, showing=Library()))
    assert page.headings[0] == ("h1", "Only fft was run on these recordings: nothing to compare it with.")


def test_odds_in_words() -> None:
    found = Difference(
        "cwt", "fft", 10, 5, "split", 0.02, 0.01, 0.03, 0.95, 0.01, Odds(0.612, 0.386, 0.002), None, "cwt", "better",
        {}, "cwt better",
    )  # fmt: skip
    assert words.odds(found, 0.01, MEASURES["test_accuracy"]) == (
        "The odds, given these runs: 61 % that cwt is better by more than 1 point, under 1 % that fft is, "
        "39 % that neither is."
    )
    assert "by more than 2 points" in words.odds(found, 0.02, MEASURES["test_accuracy"])


def test_combined_in_words() -> None:
    def gain(mean: float) -> Estimate:
        return Estimate(mean, 0.01, 1000, 0.0, 0.0)

    alone = {"cwt": 0.8, "fft": 0.9}
    more = Combined(alone, 0.95, {"cwt": gain(0.15), "fft": gain(0.05)}, {"cwt": 0.82})
    assert words.combined(more) == (
        "Together they name 95.0 % rightly, alone 80.0 % (cwt) and 90.0 % (fft). Two seeds of the same arm together: "
        "82.0 % (cwt). Together they beat each alone: gain over cwt alone +15.0 points (13.0 to 17.0); over fft alone "
        "+5.0 points (3.0 to 7.0)."
    )
    same = Combined(alone, 0.89, {"cwt": gain(0.09), "fft": gain(-0.01)}, {})
    assert "That they beat fft, the better alone, is not shown" in words.combined(same)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "\N{EN DASH}"), (33_208_064, "33.2 M"), (1.4875, "1.49"), (243_811, "244 k"), (4100.0, "4,100")],
)
def test_amounts_are_spelled(value: float | None, text: str) -> None:
    assert words.spelled(value) == text
