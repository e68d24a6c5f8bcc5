import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from audioid import model_folder, models, transforms
from audioid.errors import AudioidError

AUDIO = {
    "sample_rate": 8000, "seconds": 0.25, "start": "beginning", "padding": "end", "remove_dc": True, "level": "none"
}  # fmt: skip
IMAGE = {"size": 32, "f_min": 50.0, "f_max": 3500.0, "spacing": "log", "scale": "decibel", "decibel_range": 80.0}
TRANSFORM = {
    "name": "cwt", "wavelet": "cmor1.5-1.0", "norm": "l1", "padding": "zero", "scales": None, "first_samples": None
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {"audio": AUDIO, "image": IMAGE, "transform": TRANSFORM}
CNN = {"name": "cnn", "width": 4, "depth": 2, "dropout": 0.2}
LABELS = ["große Trommel", "kick"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = models.build(CNN, n_classes=2, image_size=32)
    model_folder.save(tmp_path / "model", network, labels=LABELS, model=CNN, **SETTINGS)
    return tmp_path / "model"


def change(folder: Path, **values: Any) -> None:
    description = json.loads((folder / "model.json").read_text()) | values
    (folder / "model.json").write_text(json.dumps(description))


@pytest.mark.parametrize("model", [CNN, {"name": "original", "width": 7}])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, model: dict[str, Any]) -> None:
    network = models.build(model, n_classes=2, image_size=32).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.rand(8, 1, 32, 32)
    network[0].fit([images], over="pixel")
    network.train()(images)  # moves the running statistics of batch normalisation
    model_folder.save(tmp_path, network, labels=LABELS, model=model, **SETTINGS)

    state = torch.random.get_rng_state()
    loaded = model_folder.load(tmp_path)
    assert torch.equal(state, torch.random.get_rng_state())
    assert (loaded.labels, loaded.audio) == (LABELS, AUDIO)
    assert not loaded.network.training
    network.eval()
    torch.testing.assert_close(loaded.network(images), network(images))
    waveforms = torch.randn(2, 2000)
    transform = transforms.build(TRANSFORM, IMAGE, sample_rate=8000, n_samples=2000)
    torch.testing.assert_close(loaded.transform(waveforms), transform(waveforms))


def test_the_same_model_is_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    network = model_folder.load(folder).network
    model_folder.save(tmp_path / "again", network, labels=LABELS, model=CNN, **SETTINGS)
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
        ({"format": 2}, "is of format 2, and this program reads 1; use the one that wrote it"),
        ({"labels": "kick"}, "holds no list of labels"),
        ({"labels": []}, "holds no list of labels"),
        ({"audio": None}, "lacks the section audio"),
        ({"model": {"name": "cnn"}}, "lacks the setting 'width'"),
        ({"audio": {**AUDIO, "speed": 2}}, "holds a setting that cannot be used .*speed"),
        ({"audio": {**AUDIO, "seconds": "long"}}, "holds a setting that cannot be used"),
        ({"image": {**IMAGE, "size": "big"}}, "holds a setting that cannot be used"),
        ({"transform": {"name": "magic"}}, "there is no 'magic'"),
        ({"labels": ["a", "b", "c"]}, r"weights\.safetensors: does not belong to model\.json beside it \(9\.bias"),
        (
            {"model": {**CNN, "width": 10**6}},
            r"is torch\.float32 \(4, 1, 5, 5\), not torch\.float32 \(1000000, 1, 5, 5\)",
        ),
        ({"model": {**CNN, "depth": 3}}, "absent"),
    ],
)
def test_a_wrong_description_is_one_clear_line(folder: Path, values: dict[str, Any], message: str) -> None:
    change(folder, **values)
    with pytest.raises(AudioidError, match=message) as caught:
        model_folder.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "\0", "[1]"])
def test_damaged_json_is_an_error(folder: Path, content: str) -> None:
    (folder / "model.json").write_text(content)
    with pytest.raises(AudioidError, match=r"is no JSON|is of format None"):
        model_folder.load(folder)


def test_damaged_weights_are_an_error(folder: Path) -> None:
    file = folder / "weights.safetensors"
    whole = file.read_bytes()
    for damaged in (b"", whole[:-100], b"\xff" * 100):
        file.write_bytes(damaged)
        with pytest.raises(AudioidError, match=r"weights\.safetensors: is damaged"):
            model_folder.load(folder)
    weights = load_file(folder / "weights.safetensors") if file.write_bytes(whole) else {}
    save_file({name: values.double() for name, values in weights.items()}, file)
    with pytest.raises(AudioidError, match=r"float64 .* not torch\.float32"):
        model_folder.load(folder)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioidError, match="choose a folder that can be written"):
        model_folder.save(
            tmp_path / "file" / "model",
            models.build(CNN, n_classes=2, image_size=32),
            labels=LABELS,
            model=CNN,
            **SETTINGS,
        )
