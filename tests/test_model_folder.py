import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from audioid import model_folder
from audioid.classifier import AudioClassifier, build_classifier
from audioid.errors import AudioidError
from audioid.model_folder import Sure
from audioid.sureness import Sureness, placed

AUDIO = {
    "sample_rate": 8000, "seconds": 0.25, "start": "beginning", "padding": "end", "remove_dc": True, "level": "none"
}  # fmt: skip
IMAGE = {
    "size": 32,
    "f_min": 50.0,
    "f_max": 3500.0,
    "frequency_scale": "log",
    "amplitude_scale": "decibel",
    "decibel_range": 80.0,
    "standardize": "global",
}
TRANSFORM = {
    "name": "cwt", "wavelet": "cmor1.5-1.0", "norm": "l1", "padding": "zero", "scales": None, "first_samples": None
}  # fmt: skip
SETTINGS: dict[str, Any] = {"audio": AUDIO, "image": IMAGE, "transform": TRANSFORM}
CNN = {"name": "cnn", "width": 4, "depth": 2, "dropout": 0.2}
LABELS = ["große Trommel", "kick"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = built(CNN)
    model_folder.save(tmp_path / "model", network, labels=LABELS, model=CNN, **SETTINGS)
    return tmp_path / "model"


def built(model: dict[str, Any]) -> AudioClassifier:
    return build_classifier(**SETTINGS, model=model, n_classes=2)


def change(folder: Path, **values: Any) -> None:
    description = json.loads((folder / "model.json").read_text()) | values
    (folder / "model.json").write_text(json.dumps(description))


@pytest.mark.parametrize("model", [CNN, {"name": "original", "width": 7}])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, model: dict[str, Any]) -> None:
    classifier = built(model)
    classifier.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.rand(8, 1, 32, 32)
    classifier.normalize.fit([images], over="pixel")
    classifier.train().classify(images)  # moves the running statistics of batch normalisation
    model_folder.save(tmp_path, classifier, labels=LABELS, model=model, **SETTINGS)

    state = torch.random.get_rng_state()
    loaded = model_folder.load(tmp_path)
    assert torch.equal(state, torch.random.get_rng_state())
    assert (loaded.labels, loaded.audio) == (LABELS, AUDIO)
    assert not loaded.classifier.training
    waveforms = torch.randn(2, 2000)
    for method in ("classify", "forward", "features"):
        given = images if method == "classify" else waveforms
        found, expected = (getattr(each, method)(given) for each in (loaded.classifier, classifier.eval()))
        torch.testing.assert_close(found, expected)


def test_the_same_model_is_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    classifier = model_folder.load(folder).classifier
    model_folder.save(tmp_path / "again", classifier, labels=LABELS, model=CNN, **SETTINGS)
    for name in ("weights.safetensors", "model.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert len(list((tmp_path / "again").iterdir())) == 2


def test_a_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioidError, match=r"model\.json: No such file or directory; name the model folder"):
        model_folder.load(tmp_path / "nowhere")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(AudioidError, match=r"weights\.safetensors: No such file"):
        model_folder.load(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 4}, "is of format 4, and this program reads 1 to 3; use the one that wrote it"),
        ({"format": "1"}, "format: '1' is not a valid integer"),
        ({"format": True}, "format: True is not a valid integer"),
        ({"labels": "kick"}, "labels: 'kick' is not a valid list"),
        ({"labels": []}, "labels: there are none"),
        ({"labels": ["kick", "kick"]}, "labels: holds a name twice"),
        ({"labels": ["kick", "\ud800"]}, "labels: holds a name that is no Unicode text"),
        ({"audio": None}, "audio: None is not a valid dictionary"),
        ({"audio": {**AUDIO, "speed": 2}}, "audio.speed: no such key"),
        ({"audio": {**AUDIO, "seconds": "long"}}, "audio.seconds: 'long' is not a valid number"),
        ({"audio": {**AUDIO, "seconds": float("nan")}}, "audio.seconds: nan is not finite"),
        ({"audio": {**AUDIO, "seconds": 3600, "sample_rate": 768000}}, "audio.seconds: is too long"),
        (
            {"transform": {"name": "fft", "win_length": "auto", "window": "hann", "n_fft": 131072, "n_mels": 4096}},
            "transform.n_mels: is too large beside n_fft 131072",
        ),
        ({"audio": {**AUDIO, "start": "zzz"}}, "audio.start: there is no 'zzz'; choose one of beginning, "),
        ({"audio": {**AUDIO, "padding": 7}}, "audio.padding: there is no 7"),
        ({"audio": {**AUDIO, "remove_dc": "no"}}, "audio.remove_dc: 'no' is not a valid boolean"),
        ({"audio": {**AUDIO, "sample_rate": 22050.5}}, "audio.sample_rate: 22050.5 is not a valid integer"),
        ({"image": {**IMAGE, "size": True}}, "image.size: True is not a valid integer"),
        ({"image": {**IMAGE, "decibel_range": 0}}, "image.decibel_range: 0 is out of range; it must be "),
        ({"image": {**IMAGE, "colour": 1}}, "image.colour: no such key"),
        ({"image": {**IMAGE, "f_max": 5000}}, r"model\.json: holds settings that cannot be used"),
        ({"transform": {"name": "magic"}}, "transform.name: there is no 'magic'; choose one of fft, cwt"),
        ({"transform": {**TRANSFORM, "wavelet": "magic"}}, r"model\.json: holds settings that cannot be used"),
        ({"transform": {**TRANSFORM, "scales": [1, "2"]}}, "transform.scales: .* is not a valid integer"),
        ({"model": {"name": "cnn"}}, "model.width: is missing"),
        ({"model": {"name": {}}}, "model.name: there is no {}"),
        ({"model": {**CNN, "width": 0}}, "model.width: 0 is out of range"),
        ({"weights_sha256": None}, "weights_sha256: None is not a valid string"),
        (
            {"labels": ["a", "b", "c"]},
            r"weights\.safetensors: does not belong to model\.json beside it \(network\.head\.bias",
        ),
        (
            {"model": {**CNN, "width": 65536}},
            r"is torch\.float32 \(4, 1, 5, 5\), not torch\.float32 \(65536, 1, 5, 5\)",
        ),
        ({"model": {**CNN, "depth": 3}}, "absent"),
    ],
)
def test_a_wrong_description_is_one_clear_line(folder: Path, values: dict[str, Any], message: str) -> None:
    change(folder, **values)
    with pytest.raises(AudioidError, match=message) as caught:
        model_folder.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "\0", "[1]", "[" * 10**5])
def test_damaged_json_is_an_error(folder: Path, content: str) -> None:
    (folder / "model.json").write_text(content)
    with pytest.raises(AudioidError, match=r"is no JSON|model\.json: \[1\] is no table of keys"):
        model_folder.load(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_what_has_no_end_is_not_read(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(AudioidError, match="is no file"):
        model_folder.load(folder)


def test_damaged_weights_are_an_error(folder: Path) -> None:
    file = folder / "weights.safetensors"
    whole = file.read_bytes()
    for damaged in (b"", whole[:-100], b"\xff" * 100):
        file.write_bytes(damaged)
        with pytest.raises(AudioidError, match=r"weights\.safetensors: is damaged"):
            model_folder.load(folder)
        change(folder, weights_sha256=hashlib.sha256(damaged).hexdigest())
        with pytest.raises(AudioidError, match=r"weights\.safetensors: is damaged \("):
            model_folder.load(folder)


def test_other_weights_are_told_by_their_checksum(folder: Path) -> None:
    file = folder / "weights.safetensors"
    flipped = bytearray(file.read_bytes())
    flipped[-1] ^= 1
    file.write_bytes(flipped)
    with pytest.raises(AudioidError, match=r"weights\.safetensors: is damaged, or of another model") as caught:
        model_folder.load(folder)
    assert "\n" not in str(caught.value)
    save_file({name: values.double() for name, values in load_file(file).items()}, file)
    change(folder, weights_sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(AudioidError, match=r"float64 .* not torch\.float32"):
        model_folder.load(folder)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioidError, match="choose a folder that can be written"):
        model_folder.save(
            tmp_path / "file" / "model",
            built(CNN),
            labels=LABELS,
            model=CNN,
            **SETTINGS,
        )


def test_a_folder_of_format_1_loads_as_before(folder: Path) -> None:
    waveforms, classifier = torch.randn(3, 2000), model_folder.load(folder).classifier
    file = folder / "weights.safetensors"
    old = {}  # then a network was one row: normalisation, two blocks, mean over time, dropout, linear
    for name, values in load_file(file).items():
        *_, layer, last = name.split(".")
        place = {"normalize": 0, "head": 9}.get(layer)
        old[f"{int(layer) + 1 if place is None else place}.{last}"] = values
    assert "0.mean" in old
    assert "9.bias" in old
    save_file(old, file)
    image = {{"frequency_scale": "spacing", "amplitude_scale": "scale"}.get(key, key): IMAGE[key] for key in IMAGE}
    change(folder, format=1, image=image, weights_sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    assert torch.equal(model_folder.load(folder).classifier(waveforms), classifier(waveforms))
    change(folder, format=3)
    with pytest.raises(AudioidError, match=r"image\.\w+: "):
        model_folder.load(folder)


def test_a_folder_of_format_2_loads_as_before_and_knows_of_nothing_unknown(folder: Path) -> None:
    waveforms, classifier = torch.randn(3, 2000), model_folder.load(folder).classifier
    description = json.loads((folder / "model.json").read_text())
    del description["sureness"]
    (folder / "model.json").write_text(json.dumps(description | {"format": 2}))
    loaded = model_folder.load(folder)
    assert torch.equal(loaded.classifier(waveforms), classifier(waveforms))
    assert (loaded.sureness, loaded.known) == (None, None)


@pytest.fixture
def sure(tmp_path: Path) -> Path:
    """A model folder that knows how sure its answers are."""
    classifier = built(CNN).eval()
    n_features = classifier.features(torch.randn(1, 2000)).shape[1]
    basis = torch.linalg.qr(torch.randn(n_features, 5))[0].half().float().contiguous()
    known, background = (placed(torch.randn(n, n_features), basis).half().float() for n in (3, 20))
    sureness = Sureness(temperature=0.7, basis=basis, known=known, background=background, threshold=-0.3)
    shares = ("false_rejections", "known_rejected", "generated_rejected", "unknown_rejected")
    paths = [model_folder.KnownRecording(path, "kick") for path in ("a.wav", "größer/b.wav", 'c "d".wav')]
    folder = tmp_path / "sure"
    model_folder.save(
        folder,
        classifier,
        labels=LABELS,
        model=CNN,
        sure=Sure(sureness, paths, dict.fromkeys(shares, 0.05)),
        **SETTINGS,
    )
    return folder


def test_how_sure_answers_are_comes_back(sure: Path) -> None:
    loaded = model_folder.load(sure)
    assert loaded.sureness
    assert loaded.known == [("a.wav", "kick"), ("größer/b.wav", "kick"), ('c "d".wav', "kick")]
    assert float(loaded.sureness.temperature) == pytest.approx(0.7)
    assert float(loaded.sureness.threshold) == pytest.approx(-0.3)
    kept = load_file(sure / "weights.safetensors")
    for name in ("basis", "known", "background"):
        assert kept[f"sureness.{name}"].dtype == torch.float16
        assert torch.equal(getattr(loaded.sureness, name), kept[f"sureness.{name}"].float())


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("known", torch.zeros(2, 5).half(), r"weights\.safetensors: is damaged \(of shapes"),
        ("basis", torch.zeros(7, 5).half(), r"weights\.safetensors: is damaged \(of shapes .*, for \d+ features\)"),
        ("temperature", torch.tensor(-1.0), r"weights\.safetensors: is damaged \(it holds no finite numbers\)"),
        ("more", torch.zeros(1), r"weights\.safetensors: is damaged \(it holds background"),
    ],
)
def test_damage_to_what_answers_are_held_to_is_told(sure: Path, name: str, values: torch.Tensor, message: str) -> None:
    file = sure / "weights.safetensors"
    save_file(load_file(file) | {f"sureness.{name}": values}, file)
    change(sure, weights_sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    if name == "known":  # as many as are named, but not as wide
        save_file(load_file(file) | {"sureness.known": torch.zeros(3, 4).half()}, file)
        change(sure, weights_sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(AudioidError, match=message) as caught:
        model_folder.load(sure)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ([["a.wav", "kick"]], "sureness.known: does not name the 3 recordings"),
        ([["a.wav"]] * 3, "sureness.known: does not name the 3 recordings"),
        ("abc", "sureness: 'abc' is not a valid list"),
        ([["a.wav", 1]] * 3, "sureness: 1 is not a valid string"),
    ],
)
def test_recordings_that_are_not_those_held_to_are_told(sure: Path, known: object, message: str) -> None:
    sureness = json.loads((sure / "model.json").read_text())["sureness"]
    change(sure, sureness=sureness | {"known": known})
    with pytest.raises(AudioidError, match=message) as caught:
        model_folder.load(sure)
    assert "\n" not in str(caught.value)


def test_without_a_description_of_it_there_is_none(sure: Path) -> None:
    change(sure, sureness=None)
    assert model_folder.load(sure).sureness is None


NET = """
import torch
from torch import nn

open("ran", "w").close()

class Scaled(nn.Sequential):
    def __init__(self, in_channels, n_classes, image_size):
        super().__init__(nn.Flatten(), nn.Linear(in_channels * image_size**2, n_classes))
        self.register_buffer("scale", torch.tensor(3.0), persistent=False)

    def forward(self, images):
        return super().forward(self.scale * images)
"""


def test_a_network_of_somebodys_own_loads_only_if_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_nets.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = {"name": "custom", "target": "their_nets.Scaled", "arguments": {}}
    network = built(model).eval()
    model_folder.save(tmp_path / "model", network, labels=LABELS, model=model, **SETTINGS)
    del sys.modules["their_nets"]
    (tmp_path / "ran").unlink()

    for trust in ((), ("their_nets", "their_nets.Other")):
        with pytest.raises(
            AudioidError, match=r"model\.json: runs the code of their_nets\.Scaled; .* --trust their_nets"
        ):
            model_folder.load(tmp_path / "model", trust=trust)
    assert not (tmp_path / "ran").exists()

    state = torch.get_rng_state()
    loaded = model_folder.load(tmp_path / "model", trust=["their_nets.Scaled"])
    assert torch.equal(state, torch.get_rng_state())
    images = torch.rand(3, 1, 32, 32)
    torch.testing.assert_close(loaded.classifier.classify(images), network.classify(images))
    del sys.modules["their_nets"]


def test_a_pretrained_network_loads_without_the_weights_it_began_with(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    model = {"name": "timm", "architecture": "test_resnet", "pretrained": "none"}
    network = built(model).eval()
    model_folder.save(tmp_path, network, labels=LABELS, model=model | {"pretrained": "imagenet"}, **SETTINGS)
    images = torch.rand(3, 1, 32, 32)
    torch.testing.assert_close(model_folder.load(tmp_path).classifier.classify(images), network.classify(images))
