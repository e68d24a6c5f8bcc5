import csv
import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from audioid import model_folder
from audioid.classifier import build_classifier
from audioid.data import audio
from audioid.data.index import index_folder
from audioid.identification import answers
from audioid.identification.identify import BATCH_SIZE, find_recordings, identify
from tests.identification.conftest import LABELS, RATE, SETTINGS, Run, tone

SCRIPT = Path(__file__).parents[2] / "scripts" / "identify.py"


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Seven files in folders; two of them cannot be read, and two more are none of our business."""
    rng = np.random.default_rng(1)
    root = tmp_path / "my [own] sounds"
    for name in ("low/a.wav", "low/ä b.FLAC", "high/deep/c.wav", "middle/d.AIFF", "e low.wav"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        label = next(label for label in LABELS if label in name)
        soundfile.write(file, tone(label, rng), RATE)
    (root / "empty.wav").write_bytes(b"")
    (root / "text.wav").write_text("no sound")
    (root / "notes.txt").write_text("not a recording")
    (root / "low" / "._a.wav").write_bytes(b"hidden")
    return root


def test_names_what_is_heard_and_goes_on_after_what_cannot_be_read(trained: Path, recordings: Path) -> None:
    model = model_folder.load(trained)
    answers = list(identify(model, find_recordings([str(recordings)], []), top=2))
    heard = {str(answer.path.relative_to(recordings)): answer.names[0][0] for answer in answers if answer.names}
    assert heard == {
        "e low.wav": "low",
        "high/deep/c.wav": "high",
        "low/a.wav": "low",
        "low/ä b.FLAC": "low",
        "middle/d.AIFF": "middle",
    }
    assert {answer.path.name: answer.error for answer in answers if answer.error} == {
        "empty.wav": "is empty (0 bytes); copy it again",
        "text.wav": next(answer.error for answer in answers if answer.path.name == "text.wav"),
    }
    for answer in answers:
        assert len(answer.names) in (0, 2)
        assert answer.names == sorted(answer.names, key=lambda name: -name[1])


def test_batches_answer_as_single_recordings_do(trained: Path, recordings: Path) -> None:
    model = model_folder.load(trained)
    paths = sorted(recordings.rglob("*.wav"))
    for answer in identify(model, paths * 10, top=3):
        if answer.error is None:
            waveform = torch.from_numpy(audio.load(answer.path, **SETTINGS["audio"]))[None]
            probabilities = model.classifier(waveform)[0].softmax(0)
            for label, probability in answer.names:
                assert probability == pytest.approx(float(probabilities[LABELS.index(label)]), abs=1e-5)
            assert sum(probability for _, probability in answer.names) == pytest.approx(1)


def test_answers_stream_with_bounded_memory(trained: Path, recordings: Path) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        for path in repeat(recordings / "low" / "a.wav"):
            taken += 1
            yield path

    answers = identify(model_folder.load(trained), endless(), top=1)
    for _ in range(BATCH_SIZE + 1):
        assert next(answers).names[0][0] == "low"
    assert taken <= 4 * BATCH_SIZE  # some are decoded ahead


def test_finds_files_folders_and_globs(recordings: Path) -> None:
    def names(*arguments: object) -> list[str]:
        return [path.name for path in find_recordings(map(str, arguments), [])]

    assert names(recordings / "notes.txt") == ["notes.txt"]
    assert names(recordings / "low") == ["a.wav", "ä b.FLAC"]
    assert names(recordings) == ["e low.wav", "empty.wav", "text.wav", "c.wav", "a.wav", "ä b.FLAC", "d.AIFF"]
    assert names(recordings.parent / "*" / "*" / "*.wav") == ["a.wav"]
    assert names(recordings.parent / "**" / "deep") == ["c.wav"]
    assert names(recordings / "none*.wav", recordings / "nowhere") == ["none*.wav", "nowhere"]


def test_what_a_folder_holds_in_vain_is_told_at_the_end(run: Run, trained: Path, recordings: Path) -> None:
    for name in ("low/song.m4a", "high/deep/a.M4A", "z.m4a", "high/old.wma"):
        (recordings / name).write_bytes(b"ftyp")
    done = run(trained, recordings / "low", recordings / "high", recordings)
    assert done.returncode == 0
    assert "song" not in done.stdout
    reason = "which libsndfile cannot read; convert it to wav or flac"
    assert done.stderr.splitlines()[-2:] == [
        f"5 passed over, first {recordings}/low/song.m4a: is m4a, {reason}",
        f"2 passed over, first {recordings}/high/old.wma: is wma, {reason}",
    ]
    assert run(trained, recordings / "low", recordings / "middle").stderr == (
        f"1 passed over: {recordings}/low/song.m4a: is m4a, {reason}\n"
    )
    for path in recordings.rglob("*.wav"):
        path.unlink()
    foreign = run(trained, recordings / "high")
    assert foreign.returncode == 1
    assert foreign.stderr.splitlines() == [
        f"{recordings}/high: holds no recordings",
        f"1 passed over: {recordings}/high/old.wma: is wma, {reason}",
        f"1 passed over: {recordings}/high/deep/a.M4A: is m4a, {reason}",
        "No recording could be read.",
    ]


def test_training_and_identification_find_the_same_recordings(recordings: Path) -> None:
    (recordings / "middle" / "again").symlink_to(recordings / "low")
    (recordings / "middle" / "up").symlink_to(recordings)
    (recordings / "e low.wav").unlink()
    index = index_folder(recordings)
    of_index = [*index.table["path"], *(path for path, _ in index.skipped if path not in ("text.wav", "empty.wav"))]
    found = [path.relative_to(recordings).as_posix() for path in find_recordings([str(recordings)], [])]
    assert sorted(of_index) == sorted(set(found) - {"text.wav", "empty.wav"})
    assert len(found) == len(set(found))


def test_an_empty_folder_is_told(trained: Path, tmp_path: Path) -> None:
    (answer,) = identify(model_folder.load(trained), [tmp_path], top=3)
    assert answer.error == "holds no recordings"


def test_table_csv_and_json_tell_the_same(run: Run, trained: Path, recordings: Path, tmp_path: Path) -> None:
    table = run(trained, recordings, "--top", 2)
    assert table.returncode == 0
    assert [line.split(": ")[0].split("/")[-1] for line in table.stderr.splitlines()] == ["empty.wav", "text.wav"]
    lines = table.stdout.splitlines()
    assert len(lines) == 7
    assert len({line.index(str(recordings)) for line in lines}) == 1
    assert lines[0].startswith("low ")
    assert lines[1].startswith("(not read)")

    assert run(trained, recordings, "--top", 2, "--format", "csv", "--out", tmp_path / "new" / "a.csv").stdout == ""
    with (tmp_path / "new" / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label_1", "probability_1", "label_2", "probability_2", "error"]

    answers = json.loads(run(trained, recordings, "--top", 2, "--format", "json").stdout)
    for line, row, answer in zip(lines, rows, answers, strict=True):
        assert row["path"] == answer["path"]
        assert line.endswith(row["path"])
        assert (row["error"] or None) == answer["error"]
        if not row["error"]:
            assert line.split()[0] == row["label_1"] == answer["names"][0]["label"]
            assert float(row["probability_1"]) == answer["names"][0]["probability"]


@pytest.fixture
def noise(recordings: Path) -> Path:
    """Another of the recordings, which is none of the labels."""
    file = recordings / "noise.wav"
    soundfile.write(file, 0.1 * np.random.default_rng(3).standard_normal(RATE // 4), RATE)
    return file


def test_what_is_none_of_the_labels_is_told_in_every_format(
    run: Run, sure: Path, recordings: Path, noise: Path
) -> None:
    lines = run(sure, recordings, "--top", 2).stdout.splitlines()
    assert [line.split("/")[-1] for line in lines if line.startswith("unknown?")] == ["noise.wav"]
    assert len({line.index(str(recordings)) for line in lines}) == 1
    rows = list(csv.DictReader(run(sure, recordings, "--top", 2, "--format", "csv").stdout.splitlines()))
    answers = json.loads(run(sure, recordings, "--top", 2, "--format", "json").stdout)
    for row, answer in zip(rows, answers, strict=True):
        assert row["unknown"] == {None: "", True: "true", False: "false"}[answer["unknown"]]
        assert answer["unknown"] == (None if answer["error"] else answer["path"] == str(noise))
        if not answer["error"]:
            assert float(row["unknown_score"]) == answer["unknown_score"]
            assert (answer["unknown_score"] > 0) == answer["unknown"]


def test_sorting_from_the_command_line_and_back(
    run: Run, sure: Path, recordings: Path, noise: Path, tmp_path: Path
) -> None:
    out, before = tmp_path / "sorted", sorted(recordings.rglob("*"))
    done = run(sure, recordings, "--move-to", out, "--rename", "{label} {name}", "--format", "csv")
    assert done.returncode == 0
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    (steps,) = (name for name in found if name.startswith("undo "))
    names = {"low/low a.wav", "low/low ä b.FLAC", "low/low e low.wav", "high/high c.wav", "middle/middle d.AIFF"}
    assert {name for name in found if not name.startswith(("undo ", "unknown/"))} == names
    assert len([name for name in found if name.startswith("unknown/")]) == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("moved 6 (high 1, low 3, middle 1, unknown 1); to take it back: ")
    assert "5 named, 1 unknown, 2 not read" in done.stderr
    refused = run("--undo", out / steps, "--dry-run")
    assert refused.returncode == 2
    assert "--undo: goes alone" in refused.stderr
    assert run("--undo", out / steps).stdout == "6 taken back\n"
    assert sorted(recordings.rglob("*")) == before
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        ["--min-confidence", "0.5"],
        ["--dry-run"],
        ["--copy-to", "x", "--min-confidence", "80"],
        ["--copy-to", "x", "--move-to", "y"],
        ["--undo", "x"],
    ],
)
def test_sorting_that_contradicts_itself_is_told(run: Run, sure: Path, recordings: Path, wrong: list[str]) -> None:
    assert run(sure, recordings, *wrong).returncode == 2


def test_paths_may_come_from_the_input(
    run: Run, trained: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [recordings / "low" / "a.wav", recordings / "e low.wav"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{path}\n" for path in paths)))
    lines = run(trained, "-", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["path"] for line in lines] == list(map(str, paths))


def test_a_sorting_that_breaks_off_says_how_what_was_done_is_taken_back(
    run: Run, sure: Path, recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sorted"
    out.mkdir()
    (out / "middle").symlink_to(tmp_path)
    done = run(sure, recordings, "--copy-to", out)
    assert done.returncode == 1
    told, error = done.stderr.splitlines()[-2:]
    assert told.startswith("copied ")
    assert "to take it back: " in told
    assert error.startswith(f"error: {out / 'middle'}: leads out of")


def test_several_models_answer_together(run: Run, trained: Path, sure: Path, recordings: Path, tmp_path: Path) -> None:
    file, other = recordings / "low" / "a.wav", shutil.copytree(trained, tmp_path / "other")
    weights = load_file(other / "weights.safetensors")
    weights["network.head.bias"] += torch.tensor([9.0, 0.0, 0.0])  # to which everything is high
    save_file(weights, other / "weights.safetensors")
    description = json.loads((other / "model.json").read_text())
    description["weights_sha256"] = hashlib.sha256((other / "weights.safetensors").read_bytes()).hexdigest()
    (other / "model.json").write_text(json.dumps(description))
    (one,), (two,), (both,) = (
        json.loads(run(*models, file, "--format", "json").stdout)
        for models in ([sure], [other], [sure, "--with", other])
    )
    probabilities = [{name["label"]: name["probability"] for name in each["names"]} for each in (one, two, both)]
    means = {name: math.sqrt(probabilities[0][name] * probabilities[1][name]) for name in LABELS}
    expected = {name: mean / sum(means.values()) for name, mean in means.items()}
    assert probabilities[2] == pytest.approx(expected, abs=0.01)
    assert both["agree"] in (1, 2)
    assert both["unknown_score"] == one["unknown_score"]  # the other cannot tell
    some = run(sure, "--with", other, file, "--labels", "low,high", "--format", "csv").stdout
    assert some.splitlines()[0].endswith(",unknown,unknown_score,agree,error")

    other_audio = description | {"audio": description["audio"] | {"level": "peak"}}
    (other / "model.json").write_text(json.dumps(other_audio))
    done = run(sure, "--with", other, file)
    assert done.returncode == 1
    assert f"error: {other}: hears recordings differently (audio.level peak, not none as {sure})" in done.stderr
    description["labels"] = ["high", "low", "bird"]
    (other / "model.json").write_text(json.dumps(description))
    done = run(sure, "--with", other, file)
    assert done.returncode == 1
    assert f"error: {other}: knows other names than {sure}, such as bird; " in done.stderr


def test_probabilities_are_calibrated_whatever_names_are_asked_for(trained: Path, sure: Path, recordings: Path) -> None:
    file = recordings / "low" / "a.wav"
    (plain,), (tempered,) = (list(identify(model_folder.load(model), [file], top=3)) for model in (trained, sure))
    squares = {name: probability**2 for name, probability in plain.names}  # a temperature of a half
    expected = {name: square / sum(squares.values()) for name, square in squares.items()}
    assert dict(tempered.names) == pytest.approx(expected, rel=1e-4)
    (some,) = identify(answers.only(model_folder.load(sure), ["low", "middle"]), [file], top=2)
    among = squares["low"] + squares["middle"]
    assert dict(some.names) == pytest.approx({name: squares[name] / among for name in ("low", "middle")}, rel=1e-4)
    assert some.unknown_score == pytest.approx(tempered.unknown_score, abs=1e-5)


def test_neither_level_nor_silence_changes_an_answer(sure: Path, tmp_path: Path) -> None:
    rng, silence = np.random.default_rng(5), np.zeros(RATE // 10)
    sounds = {
        "tone": tone("low", rng)[: RATE // 8] * np.exp(-np.arange(RATE // 8) / 200),
        "noise": 0.3 * rng.standard_normal(RATE // 8),
    }
    for name, sound in sounds.items():
        variants = [sound, sound / 300, np.concatenate([silence, sound]), np.concatenate([sound, silence, silence])]
        files = [tmp_path / f"{name}{number}.wav" for number in range(len(variants))]
        for file, samples in zip(files, variants, strict=True):
            soundfile.write(file, samples, RATE, "FLOAT")
        first, *others = identify(model_folder.load(sure), files, top=3)
        assert first.unknown_score is not None
        assert dict(others[-1].names) == pytest.approx(dict(first.names), abs=1e-6)
        assert others[-1].unknown_score == pytest.approx(first.unknown_score, abs=1e-5)
        for other in others:
            assert dict(other.names) == pytest.approx(dict(first.names), abs=0.05)  # it may begin a sample later
            assert other.unknown_score == pytest.approx(first.unknown_score, abs=0.05, rel=0.06)


def test_one_picked_recording_and_more_names_than_there_are(run: Run, trained: Path, recordings: Path) -> None:
    done = run(trained, recordings / "low" / "ä b.FLAC", "--top", 9, "--format", "csv")
    header, row = done.stdout.splitlines()
    assert header == "path,label_1,probability_1,label_2,probability_2,label_3,probability_3,error"
    assert ",low," in row


def test_nothing_read_is_a_failure_with_its_rows_written(
    run: Run, trained: Path, recordings: Path, tmp_path: Path
) -> None:
    done = run(trained, recordings / "text.wav", "nowhere*", "--format", "json", "--out", tmp_path / "a.json")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "No recording could be read."
    assert len(done.stderr.splitlines()) == 3
    assert [bool(row["error"]) for row in json.loads((tmp_path / "a.json").read_text())] == [True, True]


@pytest.mark.parametrize("level", [0.0, 0.3])  # of a constant, which nobody hears
def test_what_is_silent_has_no_name(run: Run, sure: Path, tmp_path: Path, level: float) -> None:
    soundfile.write(tmp_path / "quiet.wav", np.full(RATE, level), RATE)
    soundfile.write(tmp_path / "low.wav", tone("low", np.random.default_rng(0)), RATE)
    done = run(sure, tmp_path, "--format", "csv", "--out", tmp_path / "a.csv")
    assert done.stderr.splitlines() == [
        f"{tmp_path}/quiet.wav: there is nothing to hear in it",
        "1 named, 1 with nothing to hear",
    ]
    rows = {Path(row["path"]).name: row for row in csv.DictReader((tmp_path / "a.csv").open())}
    assert (rows["low.wav"]["label_1"], rows["quiet.wav"]["label_1"]) == ("low", "")


def test_of_how_many_little_was_heard(run: Run, trained: Path, tmp_path: Path) -> None:
    clip = model_folder.load(trained).audio["seconds"]
    for name, seconds in (("short", 9 * clip), ("long", 11 * clip)):
        soundfile.write(
            tmp_path / f"{name}.wav", 0.1 * np.random.default_rng(0).normal(size=round(RATE * seconds)), RATE
        )
    done = run(trained, tmp_path, "--format", "csv", "--out", tmp_path / "a.csv")
    assert f"1 far longer than the {clip:g} s that is heard of each; --window or --onsets" in done.stderr


def test_wrong_arguments_are_told_in_a_line(run: Run, trained: Path, recordings: Path) -> None:
    done = run(recordings, recordings)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {recordings}/model.json: No such file or directory")
    assert done.stderr.count("\n") == 1
    wrong = run(trained, recordings, "--top", 0)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "error: --top: must be at least 1; python scripts/identify.py --help tells what there is\n"
    swapped = run(recordings / "low" / "a.wav", trained)
    assert swapped.stderr.endswith("is a file, no model; name a run or builtin first, then the recordings\n")
    assert run(trained, recordings, "--with", trained).stderr.endswith(": is named twice; name each model once\n")
    assert run(trained, recordings / "*.nothing").stderr.startswith(f"{recordings}/*.nothing: stands for no file;")
    blocked = run(trained, recordings / "low", "--out", recordings / "notes.txt" / "a.csv")
    assert blocked.returncode == 1
    assert blocked.stderr.endswith("choose a folder that can be written\n")
    assert run(trained, recordings, "--out", "").stderr == "error: '': is no path; name a file or a folder\n"
    assert run(trained, recordings, "--out", "-").stderr.endswith("name a file or a folder, or leave it out\n")
    assert run(trained, recordings, "--out", recordings).stderr == f"error: {recordings}: is a folder; name a file\n"


def test_a_strange_name_stays_on_its_line(run: Run, trained: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a\nb\x1b[2J.wav", tone("low", np.random.default_rng(0)), RATE)
    (tmp_path / "c\rd.wav").write_text("no sound")
    done = run(trained, tmp_path)
    assert [line.rpartition("/")[2] for line in done.stdout.splitlines()] == ["a\\nb\\x1b[2J.wav", "c\\rd.wav"]
    assert done.stderr.startswith(f"{tmp_path}/c\\rd.wav: ")


def test_a_reader_who_has_seen_enough_is_no_error(trained: Path, recordings: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, str(SCRIPT), str(trained), str(recordings / "low")]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_is_not_utf_8_is_told(trained: Path, recordings: Path) -> None:
    odd = os.fsencode(recordings) + b"/\xff.wav"
    try:
        shutil.copy(os.fsencode(recordings / "low" / "a.wav"), odd)
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    done = subprocess.run([sys.executable, SCRIPT, trained, odd], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == odd + b": has a name that is not UTF-8; rename it"
    assert done.stdout.rstrip().endswith(odd)


def test_needs_neither_hydra_nor_lightning_nor_the_data(trained: Path, recordings: Path, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere"
    shutil.copytree(trained, alone)
    code = (
        f"import runpy, sys; sys.argv = {[str(SCRIPT), str(alone), str(recordings / 'low')]!r};"
        "runpy.run_path(sys.argv[0], run_name='__main__');"
        "assert not {'hydra', 'omegaconf', 'pytorch_lightning', 'lightning', 'tensorboard'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_files_of_many_clips_and_none_are_answered_one_by_one(tmp_path: Path) -> None:
    """In batches by clips, so that memory does not grow with how many long files there are."""
    settings: dict[str, Any] = SETTINGS | {"audio": SETTINGS["audio"] | {"windows": "all"}}
    classifier = build_classifier(**settings, n_classes=3).eval()
    model_folder.save(tmp_path / "model", classifier, labels=LABELS, **settings)
    model = model_folder.load(tmp_path / "model")
    rng, paths = np.random.default_rng(0), []
    for number, seconds in enumerate([0.1, 5.0, 0.25, 12.0, 0.5, 0.0001]):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], 0.1 * rng.standard_normal(max(1, round(RATE * seconds))), RATE)
    paths.insert(2, tmp_path / "text.wav")
    paths[2].write_bytes(b"no sound")
    together = list(identify(model, paths, top=3))
    assert [answer.path for answer in together] == paths
    # Of the last a single sample is left, of which nothing is heard without its mean.
    assert [answer.error is None for answer in together] == [True, True, False, True, True, True, False]
    for path, answer in zip(paths, together, strict=True):
        (alone,) = identify(model, [path], top=3)
        assert [name for name, _ in alone.names] == [name for name, _ in answer.names]
        np.testing.assert_allclose([p for _, p in alone.names], [p for _, p in answer.names], atol=1e-6)
