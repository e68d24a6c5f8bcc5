import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from matplotlib import colormaps

from audioid.comparison.records import Run, find_runs
from audioid.config import compose
from audioid.data.corpus import read_corpus
from audioid.pipeline import showing
from audioid.pipeline.recordings import Stopwatch, prepare_data
from audioid.pipeline.showing import show

AUDIO = ["audio.sample_rate=16000", "audio.seconds=0.25", "image.f_max=7000", "image.size=40"]
PATHS = ["high/kit0_0.wav", "low/kit1_1.wav"]
METRICS = {
    "transform": "fft", "seed": 0, "split_seed": 0, "fold": None, "train_accuracy": 1.0, "test_accuracy": 0.5,
    "test_macro_f1": 0.5, "test_loss": 1.0, "n_train": 4, "n_val": 2, "n_test": 2, "classes": ["high", "low"],
    "seconds": {"total": 1.0}, "index_digest": "a", "commit": None,
}  # fmt: skip

MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(tmp_path: Path, tones: Path) -> MakeRun:
    """A run over the tones with the configuration of these overrides, of which `changes` replace whole groups."""

    def make(*overrides: str, changes: dict[str, Any] | None = None) -> Run:
        store = f"store.root={tmp_path / 'cache'}"
        settings = compose(["data=folder", f"data.root={tones}", store, *AUDIO, *overrides]).model_dump()
        folder = tmp_path / "runs" / "fft seed=0"
        (folder / ".hydra").mkdir(parents=True, exist_ok=True)
        (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(settings | (changes or {})))
        (folder / "metrics.json").write_text(json.dumps(METRICS))
        (run,), _ = find_runs(folder)
        return run

    return make


@pytest.mark.parametrize("transform", ["fft", "cwt"])
def test_the_image_is_that_of_the_network(make_run: MakeRun, tmp_path: Path, tones: Path, transform: str) -> None:
    run = make_run(f"transform={transform}")
    overrides = ["data=folder", f"data.root={tones}", f"store.root={tmp_path / 'cache'}", f"transform={transform}"]
    prepared = prepare_data(compose([*overrides, *AUDIO]), Stopwatch(), device="cpu")
    for path, shown in show(run, PATHS).items():
        row = prepared.index.table["path"].tolist().index(path)
        image = prepared.images[np.array([row])][0, 0, ::-1]
        expected = colormaps["magma"]((image - image.min()) / np.ptp(image), bytes=True)[..., :3]
        assert np.abs(shown.image.astype(int) - expected).max() <= 2  # neighbouring colours: rounding alone


def test_high_is_on_top_and_the_sound_is_the_recording(make_run: MakeRun) -> None:
    found = show(make_run(), PATHS)
    brightest = [int(found[path].image.astype(int).sum(axis=(1, 2)).argmax()) for path in PATHS]
    assert brightest[0] < 15 < brightest[1]  # of 40 rows, the tones at some 3,000 and 300 Hz
    for path, pitch in zip(PATHS, (3000, 300), strict=True):
        wave, rate = soundfile.read(io.BytesIO(found[path].sound))
        assert wave.ndim == 1
        spectrum = np.abs(np.fft.rfft(wave))
        assert spectrum.argmax() * rate / len(wave) == pytest.approx(pitch, rel=0.26)
        assert np.abs(wave).max() == pytest.approx(1, abs=0.15)


def test_channels_stand_side_by_side_and_cepstra_have_two_colours(make_run: MakeRun) -> None:
    assert show(make_run("transform=both"), PATHS)[PATHS[0]].image.shape == (40, 80, 3)
    cepstra = show(make_run("transform=mfcc"), PATHS)[PATHS[0]].image.astype(int)
    assert (cepstra[..., 0] - cepstra[..., 2]).max() > 50
    assert (cepstra[..., 2] - cepstra[..., 0]).max() > 50


def test_a_sample_rate_that_mp3_lacks(make_run: MakeRun) -> None:
    found = show(make_run("audio.sample_rate=20000"), PATHS)
    assert soundfile.info(io.BytesIO(found[PATHS[0]].sound)).samplerate == 32000


def test_what_cannot_be_read_is_missing(make_run: MakeRun, tones: Path) -> None:
    (tones / "high" / "kit1_1.wav").write_bytes(b"RIFF")
    (tones / "high" / "kit2_2.wav").unlink()
    found = show(make_run(), ["high/kit1_1.wav", "high/kit2_2.wav", "high", "a\0b.wav", *PATHS])
    assert set(found) == set(PATHS)


def test_a_path_stays_in_the_corpus(make_run: MakeRun, tones: Path) -> None:
    outside = tones.parent / "private.wav"
    outside.write_bytes((tones / PATHS[0]).read_bytes())
    away = ["../private.wav", "high/../../private.wav", str(outside), "..\\private.wav", "C:private.wav"]
    assert set(show(make_run(), [*away, PATHS[0]])) == {PATHS[0]}


def test_the_built_in_corpus_is_found_but_never_made(make_run: MakeRun, tmp_path: Path) -> None:
    overrides = ["data=synthetic", "data.per_class=2", "data.kits=2", f"store.root={tmp_path / 'cache'}"]
    settings = compose([*overrides, *AUDIO])
    run = make_run(changes={"data": settings.data.model_dump()})
    assert show(run, ["kick/kit00_0000.wav"]) == {}
    assert not (tmp_path / "cache").exists()
    assert "kick/kit00_0000.wav" in read_corpus(settings.data, tmp_path / "cache").table["path"].tolist()
    assert set(show(run, ["kick/kit00_0000.wav"])) == {"kick/kit00_0000.wav"}


def test_generated_sounds_are_made_again(make_run: MakeRun, tmp_path: Path) -> None:
    settings = compose(["data=generated", "data.count=500", f"store.root={tmp_path / 'cache'}", *AUDIO])
    prepared = prepare_data(settings, Stopwatch(), device="cpu")
    run, path = make_run(changes={"data": settings.data.model_dump()}), prepared.index.table["path"][4]
    assert show(run, ["kick/none.wav"]) == {}
    image = prepared.images[np.array([4])][0, 0, ::-1]
    expected = colormaps["magma"]((image - image.min()) / np.ptp(image), bytes=True)[..., :3]
    assert np.abs(show(run, [path])[path].image.astype(int) - expected).max() <= 4


def test_recordings_of_a_manifest(make_run: MakeRun, tones: Path) -> None:
    manifest = tones / "list.csv"
    manifest.write_text(f"path,label\n{PATHS[0]},x\n")
    data = compose(["data=manifest", f"data.file={manifest}"]).data.model_dump()
    assert set(show(make_run(changes={"data": data}), [PATHS[0]])) == {PATHS[0]}


@pytest.mark.parametrize(
    "changes",
    [
        {"transform": {"name": "os.system"}},
        {"transform": None},
        {"audio": "loud"},
        {"data": {"name": "folder", "root": 5, "group_pattern": None, "on_unreadable": "skip", "batch_size": 2}},
    ],
)
def test_a_configuration_that_is_wrong_gives_no_pictures(
    make_run: MakeRun, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert show(make_run(changes=changes), PATHS) == {}
    assert "no pictures" in caplog.text


@pytest.mark.parametrize("text", ["!!python/object/apply:os.mkdir [made]", "[", "- 1", "a: &a [1]\nb: [*a, *a]", ""])
def test_a_file_that_is_hostile_or_no_configuration(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run()
    (run.folder / ".hydra" / "config.yaml").write_text(text)
    assert show(run, PATHS) == {}
    assert not (tmp_path / "made").exists()


def test_the_code_of_others_is_not_imported(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("something was imported")

    monkeypatch.setattr("audioid.registry.import_option", refuse)
    assert show(make_run(changes={"transform": {"name": "theirs"}}), PATHS) == {}
    assert show(make_run(changes={"model": {"name": "custom", "target": "os.system", "arguments": {}}}), PATHS)


def test_clips_are_bounded(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = compose(AUDIO).audio.model_dump() | {"sample_rate": 768000, "seconds": 3600.0}
    assert show(make_run(changes={"audio": endless}), PATHS) == {}
    monkeypatch.setattr(showing, "MOST_SAMPLES", 5000)  # one clip of 4,000
    assert set(show(make_run(), PATHS)) == {PATHS[0]}
