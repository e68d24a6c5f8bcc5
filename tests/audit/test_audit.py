"""The audit on corpora that the tests make, whose defects are known."""

import json
import re
import subprocess
import sys
import tracemalloc
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.random import default_rng
from numpy.typing import NDArray
from scipy.signal import firwin, lfilter

from audioid.audit import probe, report
from audioid.audit import shortcuts as shortcuts_module
from audioid.audit.checks import Case, Finding, balance_warnings, class_table, recording_findings
from audioid.audit.measure import clipped_samples, cutoff, measure
from audioid.audit.probe import Gap, gap
from audioid.audit.report import Audit, audit, plain, sections, text, write
from audioid.audit.shortcuts import PROPERTIES, Shortcut, shortcuts
from audioid.commands.audit import grouped_training
from audioid.commands.audit import main as run_audit
from audioid.config import compose
from audioid.data.index import Index, index_folder
from audioid.errors import AudioidError

RATE = 16000
SPLIT = compose([]).split
COMMAND = "python train.py data.root='<b> & c' split=grouped"


def save(path: Path, signal: NDArray, rate: int = RATE, **how: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal, rate, **how)


def noise(seed: int, seconds: float = 0.3, rate: int = RATE) -> NDArray[np.float64]:
    return 0.1 * default_rng(seed).standard_normal(round(seconds * rate)).clip(-4, 4)


def sine(frequency: float, rate: int = RATE, seconds: float = 1.0) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_levels_in_closed_form(tmp_path: Path) -> None:
    save(tmp_path / "x/sine.wav", 0.5 * sine(1000))
    save(tmp_path / "x/zero.wav", np.zeros(RATE))
    table = measure(index_folder(tmp_path))
    assert table["peak_dbfs"].to_numpy() == pytest.approx([20 * np.log10(0.5), -120], abs=0.01)
    assert table["level_dbfs"].to_numpy() == pytest.approx([20 * np.log10(0.5 / np.sqrt(2)), -120], abs=0.01)
    assert table["clipped"].tolist() == [0, 0]
    assert table["format"].tolist() == ["WAV", "WAV"]


def test_clipping_counts_the_samples_of_flat_tops() -> None:
    wave = np.array([0, 1, 1, 1, 1, 0.5, -1, -1, -1, 0.2, 0.99, 0.99, 0.99, 0.99, 0.99, 1, 0], np.float32)
    # Four at 1 and five at 0.99; three at -1 are too few.
    assert clipped_samples(wave[:, None]) == 9
    assert clipped_samples(np.stack([wave, wave], axis=1)) == 18


@pytest.mark.parametrize("frequency", [60, 1000])
def test_a_full_scale_tone_is_not_clipped_and_a_louder_one_is(frequency: float) -> None:
    full = (np.round(32767 * sine(frequency, 44100)) / 32768).astype(np.float32)
    assert clipped_samples(full[:, None]) == 0
    # |2 sin| > 1 for two thirds of the time.
    assert clipped_samples(np.clip(2 * full, -1, 1)[:, None]) == pytest.approx(2 / 3 * full.size, rel=0.05)


@pytest.mark.parametrize("edge", [8000, 12000, 16000])
def test_cutoff_of_filtered_noise(edge: float) -> None:
    white = default_rng(0).standard_normal(44100)
    wave = lfilter(firwin(1001, edge, fs=44100, window=("kaiser", 10)), 1, white).astype(np.float32)
    assert cutoff(wave, 44100) == pytest.approx(edge, abs=300)


def test_no_cutoff_where_there_is_none() -> None:
    white = default_rng(0).standard_normal(44100).astype(np.float32)
    assert cutoff(white, 44100) == 22000
    pink = lfilter([1], [1, -0.9], white).astype(np.float32)
    assert cutoff(pink, 44100) == 22000
    assert cutoff(white[:20], 44100) == 22000


def test_recordings_that_cannot_be_measured(tmp_path: Path) -> None:
    save(tmp_path / "x/a.wav", noise(0))
    save(tmp_path / "x/b.wav", np.array([0.1, np.nan]), subtype="FLOAT")
    index = index_folder(tmp_path)
    (tmp_path / "x/a.wav").write_bytes(b"")
    assert measure(index)["reason"].str.contains("empty|no numbers").tolist() == [True, True]


def made_table(rate: object) -> pd.DataFrame:
    """Two hundred recordings of four classes whose properties are drawn alike, but for the sample rate."""
    random = default_rng(0)
    labels = np.repeat(["a", "b", "c", "d"], 50)
    return pd.DataFrame(
        {
            "label": labels,
            "sample_rate": [rate(label, random) for label in labels],  # type: ignore[operator]
            "subtype": random.choice(["PCM_16", "PCM_24"], 200),
            "channels": 1,
            "format": "WAV",
            "cutoff": random.choice([16000.0, 22000.0], 200),
            "seconds": random.uniform(0.1, 2, 200),
            "level_dbfs": random.normal(-20, 3, 200),
        }
    )


def test_a_rate_that_gives_labels_away_is_warned_of_and_named() -> None:
    found = shortcuts(made_table(lambda label, random: 44101 if label in "ab" else 44100))
    assert [each.title for each in found if each.warning] == ["sample rate"]
    assert found[0].accuracy == pytest.approx(0.5, abs=0.02)
    assert found[0].chance == pytest.approx(0.25, abs=0.05)
    assert "44,101 Hz: only in a, b: 100 files" in found[0].telling


def test_a_rate_that_is_drawn_by_chance_is_not() -> None:
    found = shortcuts(made_table(lambda label, random: random.choice([44101, 44100])))
    assert len(found) == len(PROPERTIES) - 2  # constant ones say nothing
    assert not any(each.warning for each in found)


def test_lengths_that_differ_are_called_natural() -> None:
    table = made_table(lambda label, random: 44100)
    table.loc[table["label"] == "c", "seconds"] += 5
    (warned,) = [each for each in shortcuts(table) if each.warning]
    assert (warned.title, warned.natural) == ("length", True)
    assert warned.telling[0].startswith("c: mostly 5.")


def test_numbers_of_a_range_are_plain() -> None:
    table = made_table(lambda label, random: 44100)
    table["cutoff"] = 2750 + default_rng(0).uniform(0, 100, len(table)).round(2)
    table.loc[table["label"].isin(["a", "b"]), "cutoff"] += 10000
    table.loc[table["label"] == "c", "cutoff"] = 2700.0
    (found,) = [each for each in shortcuts(table) if each.warning]
    assert re.fullmatch(r"c: mostly 2,700 Hz \(median of all 7,[78]\d\d\)", found.telling[0])
    assert re.fullmatch(r"[ab]: mostly 12,7\d\d to 12,8\d\d Hz \(median of all 7,[78]\d\d\)", found.telling[1])


def found_in(**parts: object) -> Audit:
    """An audit of the classes x and y that found nothing but the given."""
    classes = class_table(
        pd.DataFrame({"label": ["x", "y"], "path": "", "seconds": 1.0, "level_dbfs": -20.0}), np.arange(2)
    )
    nothing = Audit("root", 2, "near duplicates", [], classes, [], None, [], None, [], 1.0)
    return replace(nothing, **parts)  # type: ignore[arg-type]


def test_the_summary_names_few_values_and_says_how_many_more() -> None:
    telling = [f"{rate} Hz: only in x: 5 files" for rate in range(10)]
    rate = Shortcut("sample rate", 0.9, 0.5, 0.5, True, False, telling, 2, 2, False)
    page = text(found_in(shortcuts=[rate]))
    (line,) = [line for line in page.splitlines() if line.startswith("!!")]
    assert line.endswith(f"{telling[2]}; and 7 more")
    row = " ".join(page.partition("What one property")[2].split())
    assert f"{telling[7]}; and 2 more" in row


def test_of_many_classes_those_are_shown_that_matter() -> None:
    sizes = {f"label{number:03}": 1000 - number for number in range(150)}
    table = pd.DataFrame({"label": np.repeat(list(sizes), list(sizes.values()))})
    classes = class_table(table.assign(path="", seconds=1.0, level_dbfs=-20.0), np.arange(len(table)))
    case = Case(["a.wav", "b.wav"], ["label070", "label071"], "likeness 0.90")
    found = found_in(classes=classes, findings=[Finding("near", "Near", "Twice.", False, [case, case])])
    title, headers, rows = sections(found)[0]
    assert title.startswith("Classes (18 of 150: ")
    numbers = [*range(8), 70, 71, *range(142, 150)]
    assert [row[0] for row in rows] == [f"label{number:03}" for number in numbers]
    assert [row[headers.index("cases")] for row in rows if row[0] in case.labels] == ["2", "2"]
    assert len(plain(found)["classes"]) == 150


def test_no_column_of_a_table_is_empty_or_without_a_heading() -> None:
    found = found_in(shortcuts=[Shortcut("level", 0.5, 0.5, 0.5, False, True, [], 2, 2, False)])
    assert [headers for _, headers, _ in sections(found)] == [
        ["label", "recordings", "groups", "length in s: median (range)", "level in dBFS"],
        ["property", "accuracy", "chance"],
    ]
    found = found_in(shortcuts=[Shortcut("level", 0.9, 0.5, 0.5, True, False, ["x: 5"], 2, 2, False)])
    assert sections(found)[1][1] == ["property", "accuracy", "chance", "verdict", "values"]


def test_a_rare_label_s_own_rate_is_seen_in_a_large_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two values tell one label of four from the others, so two of four are named rightly.
    common = made_table(lambda label, random: 44100)
    common = pd.concat([common[common["label"] != "d"]] * 40, ignore_index=True)
    rare = made_table(lambda label, random: 8000).query("label == 'd'").head(12)
    monkeypatch.setattr(shortcuts_module, "MOST_ROWS", 1200)
    found = shortcuts(pd.concat([common, rare], ignore_index=True))
    (warned,) = [each for each in found if each.warning]
    assert (warned.title, warned.telling) == ("sample rate", ["8,000 Hz: only in d: 12 files"])
    assert warned.accuracy == pytest.approx(0.5, abs=0.02)
    assert (warned.rows, warned.labels, warned.drawn) == (3 * 300 + 12, 4, True)


def test_of_very_many_labels_some_are_judged_with_enough_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.concat([made_table(lambda label, random: 44100)] * 2, ignore_index=True)
    table["label"] = np.arange(len(table)) % 20
    monkeypatch.setattr(shortcuts_module, "MOST_ROWS", 55)
    assert {(each.labels, each.rows) for each in shortcuts(table)} == {(5, 55)}


def test_one_class_has_no_shortcuts() -> None:
    table = made_table(lambda label, random: 44100)
    assert shortcuts(table[table["label"] == "a"]) == []


def test_the_gap_of_a_corpus_whose_groups_alone_can_be_learnt(tmp_path: Path) -> None:
    # Each group is one tone of its own, played for one label drawn by chance: nothing carries over to other groups.
    random = default_rng(0)
    pitches = random.permutation(np.geomspace(200, 6000, 24))
    for group, pitch in enumerate(pitches):
        for take in range(4):
            signal = 0.5 * sine(pitch, seconds=0.4) + 0.2 * noise(100 * group + take, 0.4)
            save(tmp_path / "ab"[group % 2] / f"g{group}_{take}.wav", signal)
    index = index_folder(tmp_path, group_pattern=r"(g\d+)_")
    found = gap(index, pd.factorize(index.table["group"])[0].astype(np.int64))
    assert isinstance(found, Gap)
    assert found.random > 0.95
    assert found.grouped < 0.75
    assert (found.groups, found.rows, found.one_group) == (24, 96, [])
    assert gap(index, np.arange(96)) is None
    # One group per class cannot be split.
    assert gap(index, index.targets) == "fewer than two labels have recordings of two groups"


def features_of_targets(index: Index, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return index.targets[rows][:, None] + default_rng(0).uniform(-0.1, 0.1, (len(rows), 2))


@pytest.mark.parametrize(
    ("sizes", "fewest", "most"),
    [([1000] * 10, 10, 10), ([9000] + [1] * 1000, 20, 200), ([170] * 56, 20, 56), ([40] * 250, 20, 160)],
    ids=["few large", "one giant", "kits", "many"],
)
def test_splits_of_a_large_corpus_are_judged_on_a_bounded_part_of_its_groups(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], fewest: int, most: int
) -> None:
    monkeypatch.setattr(probe, "MOST_ROWS", 800)
    monkeypatch.setattr(probe, "mel_features", features_of_targets)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.where(np.arange(len(groups)) < 20, "rare", [f"label {number}" for number in np.arange(len(groups)) % 3])
    labels[-20:] = "rare"
    index = Index(Path(), pd.DataFrame({"path": [f"{row}.wav" for row in range(len(groups))], "label": labels}))
    found = gap(index, groups)
    assert isinstance(found, Gap)
    assert (found.labels, found.one_group, found.drawn) == (4, [], True)
    assert 3 * 200 + 20 <= found.rows <= 800
    assert fewest <= found.groups <= most
    assert (found.random, found.grouped) == (1, 1)


@pytest.mark.parametrize("sizes", [[150] * 8 + [1] * 1200, [200] * 12], ids=["among single ones", "large groups"])
def test_a_drawn_part_shows_the_gap_of_the_whole(monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = groups % 4
    features = rng.normal(size=(len(sizes), 12))[groups] + 1.2 * np.eye(4, 12)[labels]
    features += 0.4 * rng.normal(size=features.shape)
    index = Index(Path(), pd.DataFrame({"path": "x", "label": [f"label {label}" for label in labels]}))
    monkeypatch.setattr(probe, "mel_features", lambda index, rows: features[rows])
    whole = gap(index, groups)
    monkeypatch.setattr(probe, "MOST_ROWS", 800)
    for seed in range(3):
        drawn = gap(index, groups, seed=seed)
        assert isinstance(whole, Gap)
        assert isinstance(drawn, Gap)
        assert (whole.drawn, drawn.drawn) == (False, True)
        assert drawn.random - drawn.grouped > 0.5 * (whole.random - whole.grouped) > 0.05


def test_an_audit_says_why_it_tells_nothing_of_splits(tmp_path: Path) -> None:
    for number in range(8):
        save(tmp_path / "ab"[number % 2] / f"kit{number % 2}_{number}.wav", noise(number))
    found = audit(index_folder(tmp_path, group_pattern=r"(kit\d)_"), SPLIT, COMMAND)
    reason = "fewer than two labels have recordings of two groups"
    assert f"cannot be compared with one that keeps groups together: {reason}" in text(found)
    assert (plain(found)["gap"], plain(found)["no_gap"]) == (None, reason)
    (line,) = [line for line in text(found).splitlines() if reason in line]
    assert line.startswith("!!")


@pytest.mark.parametrize(("of_giant", "consequence"), [(33, "parts are uneven"), (36, "nothing can be parted")])
def test_a_group_larger_than_any_part_is_warned_of(tmp_path: Path, of_giant: int, consequence: str) -> None:
    for number in range(36):
        kit = 1 if number < of_giant else number
        save(tmp_path / "ab"[number % 2] / f"kit{kit}_{number}.wav", noise(number))
    found = audit(index_folder(tmp_path, group_pattern=r"kit(\d+)_"), SPLIT, COMMAND)
    (line,) = [line for line in text(found).splitlines() if "more than any part" in line]
    assert line.startswith(f"!! split=grouped: group '1' has {of_giant} of 36 recordings")
    assert consequence in line
    assert plain(found)["large_group"] == line.removeprefix("!! ")
    assert "refuses to train" in text(found) if of_giant == 36 else "refuses" not in text(found)


def test_many_labels_of_two_recordings_are_classes_to_sklearn(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    for number in range(60):
        save(tmp_path / f"label{number // 2}" / f"{number}.wav", noise(number, 0.1 + number / 300))
    found = audit(index_folder(tmp_path, group_pattern=r"label(\d)"), SPLIT, COMMAND)
    assert found.shortcuts
    assert not [each for each in recwarn if "regression" in str(each.message)]


def test_drawn_recordings_of_which_no_two_are_of_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MOST_ROWS", 40)
    monkeypatch.setattr(probe, "mel_features", features_of_targets)
    groups = np.minimum(np.arange(10_000), 9_998)
    labels = np.where(np.arange(10_000) % 2, "a", "b")
    index = Index(Path(), pd.DataFrame({"path": "x", "label": labels}))
    assert gap(index, groups) == "no two of 40 recordings that were drawn are of one group"


def test_balance() -> None:
    classes = pd.DataFrame({"label": ["a", "b"], "recordings": [60, 8]})
    assert balance_warnings(classes) == [
        "Fewer than 10 recordings: b.",
        "Uneven classes: a has 60 recordings, b 8; look at macro-F1 beside accuracy.",
    ]
    many = pd.DataFrame({"label": [f"s{number:04}" for number in range(3000)], "recordings": 3})
    shown = ", ".join(many["label"][:7])
    assert balance_warnings(many) == [f"Fewer than 10 recordings: {shown} and 2,993 more."]
    assert balance_warnings(classes[:1]) == ["There is one class only: nothing can be told apart."]


def test_very_long_is_relative_to_the_corpus() -> None:
    rows = pd.DataFrame(
        {"path": list("abc"), "label": "x", "seconds": [1.0, 1.0, 11.0], "peak_dbfs": -6.0, "clipped": 0, "reason": ""}
    )
    long = {finding.key: finding for finding in recording_findings(rows, [])}["very_long"]
    assert [case.paths for case in long.cases] == [["c"]]


NASTY = "<script>alert(1)</script> & 'quotes'"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    for number in range(12):
        save(root / "one" / f"{number}.wav", noise(number))
        save(root / "two" / f"{number}.wav", noise(50 + number, rate=RATE + 1), RATE + 1)
    save(root / "two" / "one's.wav", -0.5 * noise(3))
    save(root / "one" / "3 again.wav", noise(3))
    save(root / "one" / "4 louder.wav", 2 * noise(4))
    save(root / "two" / "silent.wav", np.zeros(5000))
    save(root / "two" / "short.wav", noise(99, 0.005))
    save(root / "two" / "loud.wav", np.clip(30 * noise(98), -1, 1))
    save(root / "two" / f"{NASTY.replace('/', '')}.wav", np.zeros(4000))
    (root / "one" / "broken.wav").write_bytes(b"RIFF")
    return root


def test_the_audit_finds_what_was_hidden(corpus: Path, tmp_path: Path) -> None:
    index = index_folder(corpus)
    found = audit(index, SPLIT, COMMAND)
    write(found, index, tmp_path)
    content = json.loads((tmp_path / "audit.json").read_text())
    assert content == json.loads(json.dumps(plain(found), default=asdict))
    cases = {key: [case["paths"] for case in finding["cases"]] for key, finding in content["findings"].items()}
    assert cases["near_across_labels"] == [["one/3 again.wav", "two/one's.wav"]]
    assert cases["exact"] == [["one/3 again.wav", "one/3.wav"]]
    assert cases["unreadable"] == [["one/broken.wav"]]
    assert len(cases["silent"]) == 2
    assert cases["very_short"] == [["two/short.wav"]]
    assert cases["clipped"] == [["two/loud.wav"]]
    assert cases["near"] == [["one/4 louder.wav", "one/4.wav"]]
    assert content["recordings"] == 31
    assert [row["recordings"] for row in content["classes"]] == [14, 17]
    rate = next(each for each in content["shortcuts"] if each["title"] == "sample rate")
    assert rate["warning"]
    assert rate["telling"] == ["16,001 Hz: only in two: 12 files"]
    assert content["findings"]["near"]["command"] == COMMAND
    page = text(found)
    assert COMMAND in page
    assert page.index("Near duplicates with different labels") < page.index("Equal files")
    assert "16,001 Hz: only in two: 12 files" in page


def test_very_many_cases_are_written_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "html_page", lambda *_: "")
    case = Case(["a.wav", "b.wav"], ["x", "x"], "likeness 0.90")
    cases = [case] * 20_000
    near = Finding("near", "Near duplicates", "Twice.", False, cases)
    found = found_in(findings=[near])
    index = Index(tmp_path, pd.DataFrame())
    tracemalloc.start()
    write(found, index, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    content = (tmp_path / "audit.json").read_text()
    assert json.loads(content)["findings"]["near"]["cases"] == [asdict(case)] * 20_000
    assert peak < len(content) / 2


class Tags(HTMLParser):
    """Counts tags and keeps the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_escapes_names(corpus: Path, tmp_path: Path) -> None:
    index = index_folder(corpus)
    write(audit(index, SPLIT, COMMAND), index, tmp_path)
    page = Tags((tmp_path / "audit.html").read_text())
    assert "script" not in page.tags
    assert NASTY.replace("/", "") in page.text
    assert COMMAND in page.text
    assert page.tags.count("audio") == page.tags.count("img") > 5
    assert all(source.startswith("data:") for source in page.sources)


def test_what_was_judged_on_a_part_is_told_everywhere(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_folder(corpus)
    whole = audit(index, SPLIT, COMMAND)
    assert whole.sampled == []
    assert report.SAMPLED not in text(whole)
    monkeypatch.setattr(shortcuts_module, "MOST_ROWS", 20)
    monkeypatch.setattr(probe, "MOST_ROWS", 20)
    monkeypatch.setattr(report, "ALL_WITH_ALL", 30)
    monkeypatch.setattr(report, "LONGEST_SECONDS", 0.2)
    found = audit(index, SPLIT, COMMAND)
    write(found, index, tmp_path)
    content = json.loads((tmp_path / "audit.json").read_text())
    page = Tags((tmp_path / "audit.html").read_text()).text
    assert len(content["sampled"]) == 4
    for sentence in content["sampled"]:
        assert sentence in page
        assert sentence in text(found)
    assert "20 recordings drawn from 31, equally from 2 labels" in text(found)
    assert f"{content['gap']['rows']} recordings drawn from 31, equally from 2 labels" in text(found)
    assert content["gap"]["drawn"]
    assert {(each["rows"], each["drawn"]) for each in content["shortcuts"]} == {(20, True)}
    assert "more than 30 recordings" in page


def test_a_clean_corpus(tmp_path: Path) -> None:
    for number in range(20):
        save(tmp_path / "ab"[number % 2] / f"{number}.wav", noise(number))
    found = audit(index_folder(tmp_path), SPLIT, COMMAND)
    assert found.findings == []
    assert found.gap is None
    assert "Nothing suspicious was found" in text(found)


def test_out_that_cannot_be_written(corpus: Path, tmp_path: Path) -> None:
    index = index_folder(corpus)
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioidError, match="choose a folder"):
        write(audit(index, SPLIT, COMMAND), index, tmp_path / "file")


def test_out_that_cannot_be_written_is_told_before_any_work(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "audit", lambda *_: pytest.fail("works for nothing"))
    (tmp_path / "file").write_text("")
    chosen = ["data=folder", f"store.root={tmp_path / 'cache'}", f"data.root={corpus}"]
    monkeypatch.setattr(sys, "argv", ["audit.py", *chosen, "--out", str(tmp_path / "file")])
    assert run_audit() == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'file'}: File exists; choose a folder that can be written\n"
    assert {file.name for file in tmp_path.iterdir()} == {"file"}
    monkeypatch.setattr(sys, "argv", ["audit.py", *chosen[:2], "data.root=none", "--out", str(tmp_path / "out")])
    assert run_audit() == 1
    assert not (tmp_path / "out").exists()


def test_groups_of_the_corpus_are_joined_with_near_duplicates(corpus: Path) -> None:
    found = audit(index_folder(corpus, group_pattern=r"/(\d)\.wav"), SPLIT, COMMAND)
    assert found.groups_from == "the index and near duplicates"
    # 0 to 9 are in both folders; those of 3 and 4 have near duplicates, which are no groups of their own.
    assert found.classes["groups"].tolist() == [12, 16]


def test_the_command_that_keeps_near_duplicates_together_says_the_same_to_a_shell() -> None:
    overrides = [
        "data=folder",
        "data.root=it's my [best] sounds",
        r"data.group_pattern=/(\S+) ",
        "split=kfold",
        "split.fold=1",
    ]
    command = grouped_training(overrides)
    shown = subprocess.run(
        ["sh", "-c", f'python() {{ printf "%s\\n" "$@"; }}; {command}'], capture_output=True, text=True
    )
    script, *arguments = shown.stdout.splitlines()
    assert script == "train.py"
    settings, meant = compose(arguments), compose(overrides[:3])
    assert settings.data == meant.data
    assert (settings.split.name, settings.split.group) == ("grouped", "near_duplicates")


def test_nothing_heavy_is_loaded_before_the_choices_are_checked() -> None:
    code = (
        "import sys; sys.argv = ['audit.py', 'data.rot=1']; from audioid.commands import audit; status = audit.main();"
        "print(status, sorted({'torch', 'pandas', 'sklearn', 'PIL', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"


def test_the_command_line(corpus: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "audit.py"
    command = [sys.executable, str(script), "data=folder", f"store.root={tmp_path / 'cache'}"]
    done = subprocess.run(
        [*command, f"data.root={corpus}", "--out", str(tmp_path / "out")], capture_output=True, text=True, check=True
    )
    assert "16,001 Hz: only in two" in done.stdout
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"audit.json", "audit.html"}
    failed = subprocess.run([*command, f"data.root={tmp_path / 'none'}"], capture_output=True, text=True, check=False)
    assert failed.returncode != 0
    assert "Traceback" not in failed.stderr
    assert "does not exist" in failed.stderr
