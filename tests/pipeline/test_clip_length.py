"""`audio.seconds=auto`: what it comes to, and who is told."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioid.comparison.records import find_runs
from audioid.config import compose
from audioid.errors import AudioidError
from audioid.model_folder import load
from audioid.pipeline.recordings import PreparedData, Stopwatch, load_waveforms, prepare_data
from audioid.pipeline.showing import show
from tests.conftest import RATE, Command

QUICK = ["trainer.max_epochs=1", "model.width=4", "image.size=32", "data.batch_size=8", "trainer.accelerator=cpu"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Noises of 0.4 s, and of 2.5 s those whose kit is `long`, in two classes."""
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "corpus" / label).mkdir(parents=True)
        for number in range(20):
            kit, seconds = ("long", 2.5) if number % 2 else ("short", 0.4)
            noise = 0.1 * rng.standard_normal(round(seconds * RATE))
            soundfile.write(tmp_path / "corpus" / label / f"{kit}_{number}.wav", noise, RATE)
    return tmp_path / "corpus"


def chosen(corpus: Path, *more: str) -> list[str]:
    return ["data=folder", f"data.root={corpus}", "audio.seconds=auto", *QUICK, *more]


def prepared(corpus: Path, *more: str) -> PreparedData:
    settings = compose(chosen(corpus, f"store.root={corpus.parent / 'cache'}", *more))
    return prepare_data(settings, Stopwatch(), device="cpu")


def test_it_goes_by_the_recordings_to_learn_from_alone(corpus: Path) -> None:
    """A part of long recordings changes nothing where it is not trained on."""
    files = sorted(corpus.rglob("*.wav"))
    for trained, expected in (("short", 0.5), ("long", 2.828)):
        parts = [f"{file},{file.parent.name},{'train' if trained in file.name else 'test'}" for file in files]
        (corpus / "list.csv").write_text("\n".join(["path,label,split", *parts]))
        given = ["data=manifest", f"data.file={corpus / 'list.csv'}", "split=given", "split.val_fraction=0"]
        settings = compose(["audio.seconds=auto", f"store.root={corpus.parent / 'cache'}", *QUICK, *given])
        found = prepare_data(settings, Stopwatch(), device="cpu")
        assert found.settings.audio.seconds == expected
        assert found.waveforms.stage.shape == (round(expected * RATE),)
        assert len(found.images) == 40


def test_it_is_the_same_for_every_picture_and_for_each_shard(corpus: Path) -> None:
    lengths = {prepared(corpus, f"transform={name}").settings.audio.seconds for name in ("fft", "cwt")}
    settings = compose(chosen(corpus, f"store.root={corpus.parent / 'cache'}"))
    for shard in range(2):
        found = load_waveforms(settings, Stopwatch(), device="cpu", shard=shard)
        lengths.add(found.settings.audio.seconds)
    assert lengths == {2.828}


def test_unreadable_recordings_have_no_say_and_are_told(corpus: Path) -> None:
    for file in corpus.rglob("long*.wav"):
        file.write_bytes(file.read_bytes()[:44])  # a header, and nothing
    found = prepared(corpus)
    assert found.settings.audio.seconds == 0.5
    assert len(found.index.table) == 20
    assert len(found.index.skipped) == 20


def test_what_breaks_off_late_is_in_neither_and_the_parts_are_the_same(corpus: Path) -> None:
    """The run itself would read no further than its clip, and draw its parts among more recordings."""
    for file in sorted(corpus.rglob("long*.wav"))[:5]:
        sound, rate = soundfile.read(file)
        flac = file.with_suffix(".flac")
        soundfile.write(flac, sound, rate)
        file.unlink()
        content = bytearray(flac.read_bytes())
        middle = len(content) * 3 // 4
        content[middle : middle + 2000] = bytes(2000)
        flac.write_bytes(content)
    found = prepared(corpus)
    assert len(found.index.table) + len(found.index.skipped) == 40
    assert {Path(path).suffix for path, _ in found.index.skipped} == {".flac"}
    whole = prepared(corpus, "audio.seconds=0.5")
    assert len(whole.index.table) > len(found.index.table)  # what only the length's search reads
    assert not set(found.index.table["path"]) & {path for path, _ in found.index.skipped}
    with pytest.raises(AudioidError, match=r"\.flac: .*data\.on_unreadable=skip"):
        prepared(corpus, "data.on_unreadable=fail")


def test_what_cannot_be_parted_can_still_be_looked_at(corpus: Path) -> None:
    shutil.rmtree(corpus / "b")
    settings = compose(chosen(corpus, f"store.root={corpus.parent / 'cache'}"))
    assert load_waveforms(settings, Stopwatch(), device="cpu").settings.audio.seconds == 2.828


def test_generated_sounds_have_no_length_of_their_own() -> None:
    with pytest.raises(AudioidError, match=r"audio\.seconds: .* choose a number"):
        compose(["data=generated", "audio.seconds=auto"])


def test_the_run_says_what_it_came_to(corpus: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("-m", *chosen(corpus, "transform=fft,cwt", "split.seed=0,1", "hydra.sweep.dir=sweep")) == 0
    assert "clips of 2.828 s, as nine of ten recordings to train on sound" in capsys.readouterr().out
    for metrics in Path("sweep").glob("*/metrics.json"):
        assert json.loads(metrics.read_text())["clip_seconds"] == 2.828
        model = load(metrics.parent / "model")
        assert model.audio["seconds"] == 2.828
        assert command(f"resume={metrics.parent}") == 0  # done already
    runs = json.loads(Path("sweep/comparison.json").read_text())["comparisons"]
    assert len(runs) == 1
    assert "Clips of 2.828 s (as long as nine of ten recordings" in Path("sweep/report.md").read_text()


def test_pictures_of_the_report_are_those_of_the_network(corpus: Path, command: Command) -> None:
    assert command(*chosen(corpus, "hydra.run.dir=run")) == 0
    (run,), _ = find_runs(Path("run"))
    shown = show(run, ["a/long_1.wav"])
    assert shown["a/long_1.wav"].image.shape[:2] == (32, 32)


def test_a_model_folder_that_says_auto_is_refused(corpus: Path, command: Command) -> None:
    assert command(*chosen(corpus, "hydra.run.dir=run")) == 0
    file = Path("run/model/model.json")
    found = json.loads(file.read_text())
    found["audio"]["seconds"] = "auto"
    file.write_text(json.dumps(found))
    with pytest.raises(AudioidError, match=r"audio\.seconds: auto is no length"):
        load(file.parent)
