"""Which weights a run begins with: told by the settings and `model.json` alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audioid import pretrained
from audioid.config import check_command_line, compose
from audioid.errors import AudioidError
from audioid.pretrained import beginning_of
from tests.conftest import Ship

OWN = ["data=folder", "data.root=."]


def told(*overrides: str) -> str:
    return beginning_of(compose([*OWN, *overrides])).told


def folder(*overrides: str) -> Path | None:
    weights = beginning_of(compose([*OWN, *overrides])).weights
    return weights.folder if weights else None


@pytest.fixture
def both(ship: Ship) -> dict[str, Path]:
    return {name: ship(name, f"transform={name}") for name in ("fft", "cwt")}


@pytest.mark.parametrize("name", ["fft", "cwt"])
@pytest.mark.parametrize("chosen", ["auto", "synthetic"])
def test_each_picture_gets_its_own(both: dict[str, Path], name: str, chosen: str) -> None:
    assert folder(f"transform={name}", f"model.pretrained={chosen}") == both[name]
    assert told(f"transform={name}") == f"begins with the shipped weights for {name} (synthetic sounds)"


@pytest.mark.parametrize(
    "free",
    [
        "audio.seconds=2.5",
        "audio.start=loudest",
        "audio.padding=center",
        "audio.level=peak",
        "model.dropout=0.5",
        "image.standardize=pixel",
        "optimizer.lr=0.1",
        "seed=7",
    ],
)
def test_what_features_do_not_depend_on_is_free(both: dict[str, Path], free: str) -> None:
    assert folder("transform=cwt", free) == both["cwt"]


@pytest.mark.parametrize(
    "other",
    [
        "transform.wavelet=mexh",
        "transform.norm=l2",
        "transform.padding=reflect",
        "image.size=64",
        "image.f_min=60.0",
        "image.f_max=9000.0",
        "image.frequency_scale=mel",
        "image.amplitude_scale=magnitude",
        "image.decibel_range=60.0",
        "audio.sample_rate=32000",
        "model.width=16",
        "model.depth=3",
        "model.blocks=1",
    ],
)
def test_what_they_depend_on_is_not(both: dict[str, Path], other: str) -> None:
    assert folder("transform=cwt", other) is None
    assert told("transform=cwt", other) == (
        f"begins from scratch: no shipped weights for transform=cwt {other}; python scripts/pretrain.py "
        f"transform=cwt {other} makes some"
    )
    with pytest.raises(AudioidError) as caught:
        told("transform=cwt", other, "model.pretrained=synthetic")
    assert str(caught.value) == (
        f"model.pretrained: no shipped weights for transform=cwt {other}; make some with python scripts/pretrain.py "
        f"transform=cwt {other} and name their folder here, or set model.pretrained=none"
    )


def test_weights_that_are_older_than_a_key_have_what_there_was_before_it(both: dict[str, Path]) -> None:
    file = both["cwt"] / "model.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    values["model"].pop("blocks", None)
    file.write_text(json.dumps(values), encoding="utf-8")
    assert folder("transform=cwt", "model.blocks=0") == both["cwt"]
    assert folder("transform=cwt", "model.blocks=1") is None


def test_the_command_for_another_picture_makes_that_picture(both: dict[str, Path]) -> None:
    """What follows `pretrain.py` in the message, taken as overrides, is the picture that was asked for."""
    chosen = [*OWN, "transform=cwt", "transform.wavelet=mexh", "transform.scales=[1,20]", "image.size=64"]
    picture = ["transform=cqt", "transform.filter_scale=0.5", "transform.padding=reflect", "model.depth=3"]
    for overrides in (chosen, [*OWN, *picture]):
        with pytest.raises(AudioidError) as caught:
            beginning_of(compose([*overrides, "model.pretrained=synthetic"]))
        words = str(caught.value).partition("pretrain.py ")[2].partition(" and name")[0].split()
        made, wanted = compose(words), compose(overrides)
        assert (made.transform, made.image, made.model.model_dump(exclude={"pretrained"})) == (
            wanted.transform, wanted.image, wanted.model.model_dump(exclude={"pretrained"}),
        )  # fmt: skip


def test_the_built_in_corpus_is_no_test_of_what_knows_its_generator(both: dict[str, Path]) -> None:
    beginning = beginning_of(compose(["transform=cwt"]))
    assert beginning.weights is None
    assert beginning.told.startswith(
        "begins from scratch: the shipped weights have learned from sounds that are computed"
    )
    chosen = beginning_of(compose(["transform=cwt", "model.pretrained=synthetic"])).weights
    assert chosen is not None
    assert chosen.folder == both["cwt"]


def test_nothing_shipped_and_nothing_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "nowhere")
    assert told("transform=ssq").startswith("begins from scratch: no shipped weights for transform=ssq; ")
    assert told("model.pretrained=none") == "begins from scratch"
    assert told("model=original") == ""


def test_a_folder_of_ones_own(both: dict[str, Path], ship: Ship, tmp_path: Path) -> None:
    own = ship("run/model", "transform=cqt")
    for path in (own, own.parent):  # a model folder, or its run's
        assert folder("transform=cqt", f"model.pretrained={path}") == own
    assert told("transform=cqt", f"model.pretrained={own}") == f"begins with the weights in {own}"
    with pytest.raises(AudioidError) as caught:
        told("transform=cqt", f"model.pretrained={own}", "transform.filter_scale=0.5", "model.width=8")
    assert str(caught.value) == (
        f"model.pretrained: the weights in {own} are for transform.filter_scale=1.0 model.width=32, not for "
        "transform.filter_scale=0.5 model.width=8; choose that, or others"
    )
    with pytest.raises(AudioidError, match=r"are for transform=cqt, not for transform=cwt; choose"):
        told("transform=cwt", f"model.pretrained={own}")
    for stranger in ("sythetic", str(tmp_path)):
        with pytest.raises(AudioidError, match="is no model folder; choose auto, none, synthetic, or the folder of"):
            told(f"model.pretrained={stranger}")
    (own / "model.json").write_text("{")
    with pytest.raises(AudioidError, match=r"model\.json: is no JSON"):
        told("transform=cqt", f"model.pretrained={own}")


def test_damaged_weights_are_found_before_anything_is_trained(both: dict[str, Path], ship: Ship) -> None:
    own = ship("own", "transform=cqt")
    for folder in (own, both["fft"]):
        file = folder / "weights.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    sweep = ["-m", *OWN, "seed=0,1", "transform=cqt", f"model.pretrained=none,{own}"]
    with pytest.raises(AudioidError, match=r"safetensors: is damaged.*; copy the model folder again$"):
        check_command_line(sweep)
    with pytest.raises(AudioidError, match=r"damaged.*; install audioid again, or set model\.pretrained=none$"):
        told("transform=fft")
    (own / "weights.safetensors").unlink()
    with pytest.raises(AudioidError, match=r"weights\.safetensors: No such file or directory; copy"):
        check_command_line(sweep)


def test_a_folder_that_names_code_of_others_is_of_another_network(ship: Ship) -> None:
    own = ship("own", "transform=fft")
    description = json.loads((own / "model.json").read_text())
    description["model"] = {"name": "custom", "target": "their_nets.Scaled", "arguments": {}}
    (own / "model.json").write_text(json.dumps(description))
    with pytest.raises(AudioidError, match=r"are for model=custom, not for model=cnn;"):
        told(f"model.pretrained={own}")


def test_every_job_of_a_sweep_is_judged_before_the_first_begins(both: dict[str, Path]) -> None:
    sweep = ["-m", *OWN, "transform=fft,cwt"]
    check_command_line([*sweep, "model.pretrained=none,synthetic"])
    with pytest.raises(AudioidError, match=r"model\.pretrained: no shipped weights for transform=cqt"):
        check_command_line(["-m", *OWN, "transform=fft,cqt", "model.pretrained=none,synthetic"])
    with pytest.raises(AudioidError, match=r"the weights in .* are for transform=fft"):
        check_command_line([*sweep, f"model.pretrained={both['fft']}"])


@pytest.mark.parametrize(
    ("swept", "is_mixed"),
    [
        ("transform=fft,cwt", False),
        ("transform=fft,cqt", True),
        ("transform.wavelet=cmor1.5-1.0,mexh", True),
        ("model.width=16,8", False),  # neither has weights
    ],
)
def test_a_sweep_begins_alike(
    both: dict[str, Path], capsys: pytest.CaptureFixture[str], swept: str, is_mixed: bool
) -> None:
    picture = [] if swept.startswith("transform=") else ["transform=cwt"]
    arguments = check_command_line(["-m", *OWN, *picture, swept])
    assert any(text.startswith("model.pretrained=") for text in arguments) == is_mixed
    said = (
        "model.pretrained=none for the whole sweep, since one of its arms begins from scratch: no shipped weights for"
    )
    assert capsys.readouterr().out.startswith(said) == is_mixed


@pytest.mark.parametrize(
    ("model", "is_older"), [("{name: cnn, width: 32}", True), ("{name: cnn, pretrained: auto}", False)]
)
def test_what_was_started_before_there_was_a_choice_goes_on_from_scratch(
    both: dict[str, Path], tmp_path: Path, model: str, is_older: bool
) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    task = f"[data=folder, data.root='{tmp_path}', 'transform=fft,cwt']"
    (sweep / "multirun.yaml").write_text(f"model: {model}\nhydra: {{overrides: {{task: {task}}}}}\n")
    arguments = check_command_line([f"resume={sweep}"])
    assert any(text.startswith("model.pretrained=") for text in arguments) == is_older


def test_words_of_a_strangers_folder_stay_on_a_line(ship: Ship, tmp_path: Path) -> None:
    made = ship("fft", "transform=cwt")
    file = made / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"transform": {
        **json.loads(file.read_text())["transform"], "wavelet": "cmor1.5-1.0\n\x1b[31m"}}))  # fmt: skip
    with pytest.raises(AudioidError) as caught:
        beginning_of(compose([*OWN, "transform=cwt", f"model.pretrained={made}"]))
    assert not {"\n", "\x1b"} & set(str(caught.value))


def test_a_path_may_hold_what_hydra_takes_for_its_own(ship: Ship, tmp_path: Path) -> None:
    own = ship("a, b=c", "transform=fft")
    arguments = check_command_line([*OWN, f"model.pretrained={own}"])
    assert folder(*arguments) == own


def test_the_decision_needs_no_torch(both: dict[str, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from audioid import config, pretrained\n"
        f"pretrained.SHIPPED = Path({str(both['fft'].parent)!r})\n"
        f"config.check_command_line({[*OWN, 'model.pretrained=synthetic']})\n"
        "print(sorted({'torch', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
