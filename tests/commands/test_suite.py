"""A suite of two tiny corpora, run, broken off and gone on with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOCOL = [
    "transform=fft,cwt",
    "seed=0,1",
    "trainer.max_epochs=1",
    "model.width=4",
    "data.per_class=4",
    "image.size=16",
]


def suite(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "suite.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_suite_is_one_table_and_goes_on_where_it_was(tmp_path: Path) -> None:
    protocol = [*PROTOCOL, "metric=test_loss", "margin=0.5", f"store.root={tmp_path / 'cache'}"]
    file = tmp_path / "two.yaml"
    file.write_text(json.dumps({"protocol": protocol, "corpora": {"one": ["data.seed=0"], "two": ["data.seed=1"]}}))
    done = suite(file, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "suite.json").read_text())
    assert [each["corpus"] for each in found["corpora"]] == ["one", "two"]
    assert [arm["arm"] for arm in found["corpora"][0]["arms"]] == ["cwt", "fft"]
    assert len(found["consistency"]) == 1
    sweep = json.loads((tmp_path / "out" / "one" / "comparison.json").read_text())["comparisons"][0]
    assert found["corpora"][0]["metric"] == sweep["metric"] == "test_loss"
    assert found["corpora"][0]["differences"] == [{**each, "corrected_t": None} for each in sweep["differences"]]

    kept, *others = sorted((tmp_path / "out" / "one").glob("*/metrics.json"))
    before = kept.stat().st_mtime_ns
    others[0].unlink()
    again = suite(file, "--out", tmp_path / "out")
    assert again.returncode == 0, again.stderr
    assert kept.stat().st_mtime_ns == before
    assert others[0].is_file()

    file.write_text(json.dumps({"protocol": PROTOCOL, "corpora": {"one": []}}))
    other = suite(file, "--out", tmp_path / "out")
    assert other.returncode == 1
    assert "was begun with other choices; choose another --out" in other.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("corpora: {a: []}", "protocol: is missing; give it a value"),
        ("{protocol: [seed=0], corpora: {}}", "corpora: "),
        ("{protocol: [seed=0], corpora: {../a: []}}", "'../a' cannot be a folder's name"),
        ("[", "is no YAML"),
        ("{protocol: [optimzer.lr=1], corpora: {a: []}}", "did you mean optimizer.lr?"),
    ],
)
def test_a_wrong_suite_is_told_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(text)
    done = suite(file, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
