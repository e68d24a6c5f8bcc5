import base64
import csv
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.neighbors import NearestNeighbors

from audioid import model_folder
from audioid.data import audio
from audioid.data.clips import load_clips
from audioid.errors import AudioidError
from audioid.identification import builtin, library
from audioid.identification.directions import count_axes, directions
from audioid.identification.library import Library, index_file, open_library
from audioid.identification.search import nearest
from audioid.identification.similar import similar
from audioid.model_folder import TrainedModel
from audioid.sureness import Sureness
from tests.conftest import RATE, Ship, write_tones
from tests.identification.conftest import Run

SCRIPT = Path(__file__).parents[2] / "scripts" / "similar.py"
SMALL = ["image.size=24", "model.width=4", "audio.seconds=0.25", f"audio.sample_rate={RATE}"]
HALF = 1e-3  # by how much cosines of half-precision directions may be off


@pytest.fixture
def folder(ship: Ship) -> Path:
    """A model folder with random weights, which is also all that comes with audioid."""
    return ship("fft", "transform=fft", *SMALL)


@pytest.fixture
def model(folder: Path) -> TrainedModel:
    return model_folder.load(folder)


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    """A library of a dozen recordings in the folders `high` and `low`."""
    return write_tones(tmp_path / "my [own] tones", per_class=6)


@pytest.fixture
def opened(model: TrainedModel, folder: Path, tones: Path) -> Callable[[], Library]:
    return lambda: open_library(model, tones, index_file(tones, [folder]))


def write_noise(path: Path, seed: int, seconds: float = 0.25) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(round(RATE * seconds)), RATE)
    return path


def names(found: Library) -> list[str]:
    return [recording.path for recording in found.recordings]


def test_neighbours_are_those_of_scikit_learn(
    model: TrainedModel, tones: Path, opened: Callable[[], Library], tmp_path: Path
) -> None:
    found = opened()
    assert names(found) == sorted(names(found))
    assert len(names(found)) == 12

    def features(path: Path) -> np.ndarray:
        settings = {key: value for key, value in model.audio.items() if key != "windows"}
        return model.classifier.features(torch.from_numpy(audio.load(path, **settings))[None])[0].numpy()

    files = [tones / name for name in names(found)]
    peer = NearestNeighbors(n_neighbors=5, metric="cosine").fit([features(file) for file in files])
    questions = [write_noise(tmp_path / f"{seed}.wav", seed) for seed in range(40)]  # more than one batch
    for question, answer in zip(questions, similar(model, found, questions, top=5), strict=True):
        distances, rows = peer.kneighbors(features(question)[None])
        assert answer.path == question
        got = [each.similarity for each in answer.neighbours]
        np.testing.assert_allclose(got, 1 - distances[0], atol=HALF)
        assert got == sorted(got, reverse=True)
        if np.diff(distances[0]).min() > 2 * HALF:
            assert [each.path for each in answer.neighbours] == [files[row] for row in rows[0]]
        assert all(each.label == each.path.parent.name for each in answer.neighbours)


def test_search_is_exact() -> None:
    rng = np.random.default_rng(0)
    points, questions = (rng.standard_normal((n, 16)).astype(np.float32) for n in (500, 20))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    rows = NearestNeighbors(n_neighbors=8, metric="cosine").fit(points).kneighbors(questions)[1]
    left_out = [some[:2].tolist() for some in rows]
    for place, near in enumerate(nearest(torch.tensor(points), torch.tensor(questions), 6, left_out)):
        assert [each.row for each in near] == rows[place, 2:].tolist()
    (every,) = nearest(torch.tensor(points[:5]), torch.tensor(questions[:1]), 9, [[3]])
    assert sorted(each.row for each in every) == [0, 1, 2, 4]


def test_equally_near_ones_come_in_their_order() -> None:
    same = torch.eye(4)[[1, 0, 0, 0, 2]]
    assert [near.row for near in nearest(same, torch.eye(4)[:1], 3)[0]] == [1, 2, 3]


def test_directions_are_of_the_mean_over_clips_along_the_axes_of_the_unknown(
    model: TrainedModel, tmp_path: Path
) -> None:
    model = replace(model, audio=model.audio | {"windows": "all"})
    long, text = write_noise(tmp_path / "long.wav", 0, seconds=1.1), tmp_path / "text.wav"
    text.write_text("no sound")
    clips = np.stack([clip for clip in load_clips(long, **model.audio) if clip is not None])
    assert len(clips) == 4
    mean = model.classifier.features(torch.from_numpy(clips)).mean(0)
    (_, plain), (path, error) = directions(model, [long, text])
    assert isinstance(plain, torch.Tensor)
    torch.testing.assert_close(plain, mean / mean.norm())
    assert path == text
    assert isinstance(error, str)
    assert "no sound" in error
    assert count_axes(model) == len(mean)

    basis = torch.linalg.qr(torch.randn(len(mean), 3)).Q
    known = torch.nn.functional.normalize(torch.randn(4, 3), dim=1)
    sure = Sureness(temperature=1.0, basis=basis, known=known, background=known, threshold=None)
    ((_, along),) = directions(replace(model, sureness=sure), [long])
    assert isinstance(along, torch.Tensor)
    torch.testing.assert_close(along, (mean @ basis) / (mean @ basis).norm())
    assert count_axes(replace(model, sureness=sure)) == 3


def test_only_what_is_new_or_changed_is_heard_again(tones: Path, opened: Callable[[], Library]) -> None:
    first = opened()
    assert (first.added, first.removed) == (12, 0)
    unheard, changed, removed = (tones / name for name in names(first)[:3])
    status = unheard.stat()
    unheard.write_bytes(bytes(status.st_size))  # whoever opens it finds no sound
    os.utime(unheard, ns=(status.st_atime_ns, status.st_mtime_ns))
    write_noise(changed, 1)
    removed.unlink()
    write_noise(tones / "new" / "new.wav", 2)
    second = opened()
    assert (second.added, second.removed, list(second.unreadable)) == (2, 1, [])
    assert set(names(second)) == {*names(first), "new/new.wav"} - {names(first)[2]}
    torch.testing.assert_close(second.directions[0], first.directions[0])
    assert float(second.directions[1] @ first.directions[1]) < 1 - HALF
    third = opened()
    assert (third.added, third.removed) == (0, 0)
    torch.testing.assert_close(third.directions, second.directions)


def test_an_unchanged_library_needs_no_right_to_write(
    tones: Path, opened: Callable[[], Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tones / "low" / "text.wav").write_text("no sound")
    opened()
    monkeypatch.setattr(library, "_write", lambda *_: pytest.fail("is written"))
    assert len(opened().recordings) == 12


def test_what_was_heard_before_a_stop_is_kept(
    tones: Path, opened: Callable[[], Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = library.directions

    def stopped(*arguments: Any) -> Iterator[Any]:
        for number, found in enumerate(every(*arguments)):
            if number == 5:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(library, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(library, "directions", stopped)
    with pytest.raises(KeyboardInterrupt):
        opened()
    monkeypatch.setattr(library, "directions", every)
    assert opened().added == 7


def damaged(file: Path) -> dict[str, Callable[[], object]]:
    """Ways in which an index may be no index of this library and model."""
    content, tensors = file.read_bytes(), load_file(file)

    def about() -> dict[str, str]:
        return {"version": json.loads(content[8 : 8 + content[0] + 256 * content[1]])["__metadata__"]["version"]}

    def saved(**others: Any) -> Callable[[], object]:
        changed = {name: others.get(name, values) for name, values in tensors.items()}
        checksum = library._checksum(changed["directions"], changed["recordings"])
        return lambda: save_file(changed, file, about() | {"checksum": checksum})

    def text(rows: Any) -> torch.Tensor:
        return torch.tensor(list(json.dumps(rows).encode()), dtype=torch.uint8)

    rows = json.loads(bytes(tensors["recordings"].tolist()))
    flipped = bytearray(content)
    flipped[-40] ^= 1
    kept = tensors["directions"]
    return {
        "cut off": lambda: file.write_bytes(content[:-10]),
        "empty": lambda: file.write_bytes(b""),
        "text": lambda: file.write_text("no index"),
        "a bit": lambda: file.write_bytes(flipped),
        "other version": lambda: save_file(tensors, file, {"version": "0"}),
        "nothing said": lambda: save_file(tensors, file),
        "no table": lambda: save_file({"directions": kept}, file, about()),
        "axes": saved(directions=kept[:, :-1].contiguous()),
        "one less": saved(directions=kept[:-1]),
        "precision": saved(directions=kept.float()),
        "no numbers": saved(directions=torch.full_like(kept, torch.nan)),
        "rows": saved(recordings=text(rows[:-1])),
        "types": saved(recordings=text([[1, *row[1:]] for row in rows])),
        "no rows": saved(recordings=text([1] * len(rows))),
        "deep": saved(recordings=torch.tensor(list(b"[" * 100_000), dtype=torch.uint8)),
    }


def test_a_damaged_index_is_made_anew_and_told(
    tones: Path, folder: Path, opened: Callable[[], Library], capsys: pytest.CaptureFixture[str]
) -> None:
    first, file = opened(), index_file(tones, [folder])
    assert capsys.readouterr().err == ""
    for name, damage in damaged(file).items():
        damage()
        again = opened()
        why = "is of another version of audioid" if name in ("other version", "nothing said") else "is damaged"
        assert capsys.readouterr().err == f"{file}: {why}; it is made anew\n", name
        assert again.added == 12, name
        torch.testing.assert_close(again.directions, first.directions)


class Bomb:
    """What runs code where a pickle is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_an_index_of_a_stranger_runs_no_code_and_names_no_other_files(
    tones: Path, folder: Path, opened: Callable[[], Library], tmp_path: Path
) -> None:
    file, mark = index_file(tones, [folder]), tmp_path / "mark"
    opened()
    good = file.read_bytes()
    for content in (pickle.dumps(Bomb(mark)), good + pickle.dumps(Bomb(mark))):
        file.write_bytes(content)
        assert opened().added == 12
    torch.save(Bomb(mark), file)
    assert opened().added == 12
    np.save(file.with_suffix(".npy"), np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    shutil.move(file.with_suffix(".npy"), file)
    assert opened().added == 12
    assert not mark.exists()

    tensors = load_file(file)
    rows = json.loads(bytes(tensors["recordings"].tolist()))
    rows[0][0] = "../outside.wav"
    tensors["recordings"] = torch.tensor(list(json.dumps(rows).encode()), dtype=torch.uint8)
    version = library._version(model_folder.load(folder))
    about = {"version": version, "checksum": library._checksum(tensors["directions"], tensors["recordings"])}
    save_file(tensors, file, about)
    found = opened()
    assert (found.added, found.removed) == (1, 1)
    assert not any(".." in name for name in names(found))


def test_a_recording_is_none_of_its_own_neighbours_but_copies_are(
    run: Run, folder: Path, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tones / "low" / "kit0_0.wav"
    shutil.copy2(own, tones / "high" / "copy.wav")
    (tmp_path / "link.wav").symlink_to(own)
    (tones / "low" / "again.wav").symlink_to("kit0_0.wav")
    monkeypatch.chdir(tones)
    for question in (own, Path("low/kit0_0.wav"), tones / "high" / ".." / "low" / "kit0_0.wav", tmp_path / "link.wav"):
        done = run(folder, question, "--library", tones, "--top", 99, "--format", "csv")
        rows = list(csv.DictReader(done.stdout.splitlines()))
        assert len(rows) == 12
        assert (rows[0]["path"], rows[0]["similarity"]) == (str(tones / "high" / "copy.wav"), "1.0000")
        assert not {str(own), str(tones / "low" / "again.wav")} & {row["path"] for row in rows}


def test_table_csv_and_json_tell_the_same(run: Run, folder: Path, tones: Path, tmp_path: Path) -> None:
    for name in ("a", "ä b"):
        write_noise(tmp_path / "ask" / f"{name}.wav", 3)
    (tmp_path / "ask" / "text.wav").write_text("no sound")
    ask = [folder, tmp_path / "ask", "--library", tones, "--top", 3]
    table = run(*ask)
    assert table.returncode == 0
    assert re.match(rf"12 indexed, 0 removed: {re.escape(str(tones))}/\.audioid/\w+\.safetensors\n", table.stderr)
    assert table.stderr.splitlines()[1].startswith(f"{tmp_path}/ask/text.wav: is damaged, or no sound")
    told = run(*ask, "--format", "csv", "--out", tmp_path / "new" / "a.csv")
    assert (told.stdout, len(told.stderr.splitlines())) == ("", 1)
    with (tmp_path / "new" / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["question", "rank", "path", "similarity", "label", "error"]
    answers = json.loads(run(*ask, "--format", "json").stdout)
    asked = [str(tmp_path / "ask" / name) for name in ("a.wav", "text.wav", "ä b.wav")]
    assert [answer["question"] for answer in answers] == asked
    flat = [
        (answer["question"], each["rank"], each["path"], each["similarity"], each["label"], "")
        for answer in answers
        for each in answer["neighbours"]
    ]
    read = [row for row in rows if not row["error"]]
    assert flat == [
        (row["question"], int(row["rank"]), row["path"], float(row["similarity"]), row["label"], row["error"])
        for row in read
    ]
    assert [row["question"] for row in rows if row["error"]] == [str(tmp_path / "ask" / "text.wav")]
    lines = table.stdout.splitlines()
    assert f"{tmp_path}/ask/text.wav  (not read)" in lines
    assert [line.split(maxsplit=3) for line in lines if line.startswith(" ")] == [
        [row["rank"], row["similarity"], row["label"], row["path"]] for row in read
    ]


def test_what_cannot_be_read_in_the_library_is_listed_at_the_end(
    run: Run, folder: Path, tones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tones / "low" / "empty.wav").write_bytes(b"")
    (tones / "low" / "te\nxt.wav").write_text("no sound")
    (tones / "song.m4a").write_bytes(b"ftyp")
    (tones / "nowhere.wav").symlink_to("gone.wav")
    done = run(folder, tones / "low" / "kit0_0.wav", "--library", tones, "--top", 2)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr.splitlines()[1:4] == [
        f"1 passed over: {tones}/song.m4a: is m4a, which libsndfile cannot read; convert it to wav or flac",
        f"3 of the 15 recordings in {tones} cannot be read:",
        "  nowhere.wav: is not a file; it may have been moved, or be a broken link; put it back",
    ]
    assert done.stderr.splitlines()[5].startswith("  low/te\\nxt.wav: ")
    for number in range(30):
        (tones / f"{number}.wav").write_bytes(b"")
    done = run(folder, tones, "--library", tones, "--top", 2)
    assert done.stderr.splitlines()[-1] == "  and 13 more"


def test_each_model_and_each_library_has_an_index_of_its_own(
    run: Run, ship: Ship, folder: Path, tones: Path, tmp_path: Path
) -> None:
    other, place = ship("cwt", "transform=cwt", *SMALL), tmp_path / "kept"
    shutil.copytree(tones, tmp_path / "others")
    for _ in range(2):
        for model in (folder, other, "builtin"):
            for root in (tones, tmp_path / "others"):
                done = run(model, tones / "low" / "kit0_0.wav", "--library", root, "--index", place)
                assert done.returncode == 0
        assert len(list(place.iterdir())) == 6
    assert done.stderr == ""  # nothing to do the second time
    assert not (tones / ".audioid").exists()
    axes = [count_axes(builtin.load(name)) for name in ("builtin:cwt", "builtin:fft", "builtin")]
    assert axes[2] == axes[0] + axes[1]


def test_a_library_is_known_wherever_it_has_been_moved(
    run: Run, folder: Path, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, tones, "--library", tones)
    shutil.move(tones, tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    write_noise(tmp_path / "moved" / "loose.wav", 5)
    done = run(folder, "low/kit0_0.wav", "--library", ".", "--top", 99, "--format", "csv")
    assert done.stderr.startswith("1 indexed, 0 removed: .audioid/")
    labels = {row["path"]: row["label"] for row in csv.DictReader(done.stdout.splitlines())}
    assert labels["loose.wav"] == "moved"
    assert labels["low/kit1_1.wav"] == "low"


def players(page: str) -> list[str]:
    return re.findall(r'data-sound="([^"]+)"', page)


def test_a_page_shows_and_plays_questions_and_neighbours(run: Run, folder: Path, tones: Path, tmp_path: Path) -> None:
    write_noise(tones / "<b>&" / "<i>.wav", 0)
    done = run(folder, tones / "<b>&", "--library", tones, "--top", 4, "--page", tmp_path / "new" / "p.html")
    assert re.search(r"^To see and hear: .*p\.html \(0\.\d MB\)$", done.stderr, re.MULTILINE)
    page = (tmp_path / "new" / "p.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    assert len(players(page)) == len(pictures) == 5
    with Image.open(io.BytesIO(base64.b64decode(pictures[0]))) as picture:
        assert picture.size == (24, 24)
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(players(page)[0])))
    assert rate == RATE
    assert np.abs(heard).max() > 0.5
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<i>" not in page
    assert "&lt;i&gt;.wav" in page
    told = [float(row.split()[1]) for row in done.stdout.splitlines() if row.startswith(" ")]
    assert [float(text) for text in re.findall(r"<b>(\d\.\d\d)</b>", page)] == pytest.approx(told, abs=0.0051)
    assert "The first" not in page


def test_a_page_stays_small_and_says_what_it_leaves_out(run: Run, folder: Path, tones: Path, tmp_path: Path) -> None:
    for number in range(10):
        write_noise(tones / "noise" / f"{number}.wav", number)
    (tones / "noise" / "text.wav").write_text("no sound")
    done = run(folder, tones, "--library", tones, "--top", 15, "--page", tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert len(players(page)) == 20 * (1 + 12)
    assert "The first 20 of 22 recordings." in page
    assert "The 12 nearest of 15 neighbours." in page
    assert len([line for line in done.stdout.splitlines() if line.startswith(" ")]) == 22 * 15


def test_mistakes_are_told_in_a_line(run: Run, folder: Path, tones: Path, tmp_path: Path) -> None:
    question = tones / "low" / "kit0_0.wav"
    ask = [folder, question, "--library"]
    told = "--library takes the folder of recordings to search\n"
    assert run(*ask, tmp_path / "none").stderr == f"error: {tmp_path}/none: does not exist; {told}"
    assert run(*ask, question).stderr == f"error: {question}: is not a folder; {told}"
    assert run(*ask, "").stderr == "error: '': is no path; name a file or a folder\n"
    (tmp_path / "empty").mkdir()
    assert "empty: holds no recordings; " in run(*ask, tmp_path / "empty").stderr
    (tmp_path / "empty" / "text.wav").write_text("no sound")
    done = run(*ask, tmp_path / "empty")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "empty: none of its 1 recordings can be read (first: text.wav: is damaged" in done.stderr
    assert run(*ask, tones, "--top", 0).returncode == 2
    page = run(*ask, tones, "--page", "p.png")
    assert page.stderr == "error: --page: p.png is no name of a page; let it end in .html\n"
    nothing = run(folder, tmp_path / "empty", "--library", tones, "--page", tmp_path / "p.html")
    assert nothing.returncode == 1
    assert nothing.stderr.splitlines()[-1] == "No recording could be read."
    assert not (tmp_path / "p.html").exists()
    assert run(tones, *ask[1:], tones).stderr.startswith(f"error: {tones}/model.json: No such file")


def test_where_the_library_cannot_be_written_another_place_is_asked_for(
    run: Run, folder: Path, tones: Path, tmp_path: Path
) -> None:
    (tones / ".audioid").write_text("in the way")
    done = run(folder, tones, "--library", tones)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"error: {tones}/.audioid/")
    assert done.stderr.endswith("; --index FOLDER keeps what is found out of the library elsewhere\n")
    assert run(folder, tones, "--library", tones, "--index", tmp_path / "kept").returncode == 0


def test_a_place_that_cannot_be_written_is_told_before_all_is_heard(
    opened: Callable[[], Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, every = [], library.directions

    def counted(*arguments: Any) -> Iterator[Any]:
        for found in every(*arguments):
            heard.append(found)
            yield found

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Read-only file system")

    monkeypatch.setattr(library, "directions", counted)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(AudioidError, match="Read-only file system; --index FOLDER"):
        opened()
    assert len(heard) == 1


def test_needs_neither_hydra_nor_lightning(folder: Path, tones: Path, tmp_path: Path) -> None:
    arguments = [str(SCRIPT), str(folder), str(tones / "low"), "--library", str(tones), "--page", "p.html"]
    code = (
        f"import sys; sys.argv = {arguments!r};"
        "from audioid.commands.similar import main; assert main() == 0;"
        "assert not {'hydra', 'omegaconf', 'pytorch_lightning', 'lightning', 'tensorboard'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6 * 11
