"""`audioid export`: the file, held to the model that it was made of, and what is told of it."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from audioid import model_folder
from audioid.data.audio import load
from audioid.errors import AudioidError
from audioid.identification import onnx_file
from audioid.identification.export import TOLERANCE, Trial, export
from audioid.identification.identify import judged
from audioid.identification.onnx_file import Session
from audioid.identification.trial_sounds import trial_clips
from tests.identification.conftest import LABELS, RATE, SETTINGS, Run, tone
from tests.identification.test_graph import model_of

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SCRIPT = Path(__file__).parents[2] / "scripts" / "export.py"


@pytest.fixture(scope="module")
def file(sure: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is written of the model that tells tones from noise."""
    model = model_folder.load(sure)
    file = tmp_path_factory.mktemp("exported") / "tones.onnx"
    export(model, file, Trial(np.stack(trial_clips(24, model.audio))))
    return file


@pytest.fixture
def tones_of_all(tmp_path: Path) -> Path:
    """Twelve recordings, a folder a label, and one of a label that the model has not learned."""
    rng = np.random.default_rng(5)
    for label in [*LABELS, "other"]:
        (tmp_path / "tones" / label).mkdir(parents=True)
        for number in range(4):
            wave = tone(label if label in LABELS else "high", rng)
            soundfile.write(tmp_path / "tones" / label / f"{number}.wav", wave, RATE)
    return tmp_path / "tones"


def wanted(folder: Path, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    found, ((_, score),) = judged(model_folder.load(folder), [[clip] for clip in clips])
    return found.exp().numpy(), None if score is None else score.numpy()


def test_onnxruntime_answers_as_the_model_alone_and_among_others(file: Path, sure: Path) -> None:
    session = onnxruntime.InferenceSession(file.read_bytes())
    rng = np.random.default_rng(7)
    clips = np.stack([tone(LABELS[n % 3], rng) for n in range(60)] + [rng.standard_normal(RATE // 4)] * 4)
    clips = (clips - clips.mean(1, keepdims=True)).astype(np.float32)
    probabilities, scores = session.run(None, {"waveform": clips})
    expected = wanted(sure, clips)
    assert np.abs(probabilities - expected[0]).max() < TOLERANCE
    assert np.abs(scores - expected[1]).max() < 1e-3
    assert (scores[:60] < 0).mean() > 0.9  # as the fixture has it
    assert (scores[60:] > 0).all()
    alone = [session.run(None, {"waveform": clip[None]}) for clip in clips[::16]]
    assert np.abs(np.concatenate([each for each, _ in alone]) - probabilities[::16]).max() < TOLERANCE


def test_the_file_says_all_that_is_needed_to_use_it(file: Path, sure: Path) -> None:
    session = onnxruntime.InferenceSession(file.read_bytes())
    assert [(each.name, each.type, each.shape) for each in session.get_inputs()] == [
        ("waveform", "tensor(float)", ["batch", RATE // 4])
    ]
    assert [(each.name, each.shape[0]) for each in session.get_outputs()] == [
        ("probabilities", "batch"), ("unknown_score", "batch")
    ]  # fmt: skip
    found = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert found["labels"] == LABELS
    assert (found["sample_rate"], found["samples"], found["precision"]) == (RATE, RATE // 4, "fp32")
    assert found["audio"] == model_folder.load(sure).audio
    assert found["pictures"][0]["transform"] == "fft"
    assert (found["temperatures"], len(found["thresholds"])) == ([0.5], 1)


def test_there_is_nothing_in_it_but_operators_of_the_standard(file: Path) -> None:
    model = onnx.load(file)
    assert {each.domain for each in model.opset_import} == {""}
    assert not model.functions
    onnx.checker.check_model(model, full_check=True)
    # onnxruntime's own takes gigabytes for a batch.
    assert "DFT" not in {node.op_type for node in model.graph.node}


def test_a_wavelet_picture_is_in_the_file(tmp_path: Path) -> None:
    found = export(
        model_of("cwt", f_min=600.0), tmp_path / "cwt.onnx", Trial(np.stack(trial_clips(24, SETTINGS["audio"])))
    )
    assert found.clips == 24
    assert max(found.probability, found.alone) < TOLERANCE
    assert (tmp_path / "cwt.onnx").stat().st_size < 2e6


def test_it_tells_of_recordings_and_what_a_precision_costs(
    run: Run, sure: Path, tones_of_all: Path, tmp_path: Path
) -> None:
    done = run(sure, "--out", tmp_path / "int8.onnx", "--precision", "int8", "--data", tones_of_all)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'int8.onnx'} (0.")
    assert lines[0].startswith("  onnxruntime beside PyTorch, 6 clips: probabilities differ by at most ")
    assert lines[2:] == ["  answers that change: 0.0%", "  accuracy: 1.000 by PyTorch, 1.000 by the file"]
    model = onnx.load(tmp_path / "int8.onnx")
    kinds = {each.data_type for each in model.graph.initializer if len(each.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}  # all convolutions
    assert {each.key for each in model.metadata_props} >= {"labels", "sample_rate"}
    # The file is what was told of.
    clips = np.stack([load(each, **SETTINGS["audio"]) for each in sorted(tones_of_all.glob("high/*.wav"))])
    probabilities, _ = Session((tmp_path / "int8.onnx").read_bytes()).answers(clips)
    assert {LABELS[place] for place in probabilities.argmax(1)} == {"high"}


def test_half_precision_is_of_the_network_alone(run: Run, trained: Path, tmp_path: Path) -> None:
    done = run(trained, "--out", tmp_path / "half.onnx", "--precision", "fp16")
    assert done.returncode == 0, done.stderr
    assert (
        "  no unknown_score: this model cannot tell what is none of its labels\n  answers that change: " in done.stdout
    )
    model = onnx.load(tmp_path / "half.onnx")
    halves = {each.name for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT16}
    assert halves
    assert not [name for name in halves if "transform" in name]
    assert [each.name for each in model.graph.output] == ["probabilities"]


def test_what_answers_otherwise_is_not_written(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Session.answers
    monkeypatch.setattr(Session, "answers", lambda *args, **keys: [each + 0.01 for each in answers(*args, **keys)])
    done = run(trained, "--out", tmp_path / "out" / "a.onnx")
    assert done.returncode == 1
    assert (
        "a.onnx: onnxruntime's probabilities differ from PyTorch's by 1.0e-02, more than 0.0001; it was not"
        in done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_precision_in_which_answers_are_no_numbers_is_refused(tmp_path: Path) -> None:
    model = model_of("fft")
    with torch.no_grad():
        next(model.classifier.network.head.parameters()).mul_(1e6)  # more than half precision has room for
    file = tmp_path / "half.onnx"
    with pytest.raises(
        AudioidError, match=r"half\.onnx: its answers are no numbers in fp16; it was not written: use fp32"
    ):
        export(model, file, Trial(np.stack(trial_clips(8, SETTINGS["audio"]))), precision="fp16")
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.txt"], "error: --out: a.txt is no name of an ONNX file; let it end in .onnx\n"),
        (["--out", "a.onnx", "--data", "nowhere"], "error: --data: nowhere has no recordings in folders that are "),
    ],
)
def test_a_mistake_is_told_in_one_line(run: Run, trained: Path, arguments: list[str], message: str) -> None:
    done = run(trained, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_a_missing_package_is_named(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    done = run(trained, "--out", "a.onnx")
    assert (done.returncode, done.stderr) == (
        1, "error: export: needs the package onnxscript; pip install 'audioid[export]'\n"
    )  # fmt: skip


def test_a_network_that_onnx_has_no_words_for_is_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no operator\nfor this")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(Exception, match=r"model: it cannot be written as ONNX \(RuntimeError: no operator for"):
        onnx_file.as_onnx(torch.nn.Identity(), 4)  # type: ignore[arg-type]


def test_trial_sounds_are_of_many_kinds_and_end_as_clips() -> None:
    made = trial_clips(40, SETTINGS["audio"])
    assert (len(made), {each.shape for each in made}) == (40, {(RATE // 4,)})
    assert not made[0].any()
    assert len({each.tobytes() for each in made}) == 40
    assert all(np.isfinite(each).all() for each in made)
