"""A model as the bytes of an ONNX file, and as a session of onnxruntime; nothing else here knows of either package."""

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from audioid.errors import AudioidError, one_line
from audioid.identification.graph import Graph

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18  # old enough for all runtimes in use, new enough for torch's exporter, which translates to no older one
INPUT = "waveform"
OUTPUTS = ("probabilities", "unknown_score")
# Clips that are asked together, and samples of all of them: memory is some 250 bytes a sample.
AT_ONCE, SAMPLES_AT_ONCE = 64, 2**22


def check_packages() -> None:
    """Raises AudioidError where a package is missing that is not installed with audioid alone."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            raise AudioidError(f"export: needs the package {error.name}; pip install 'audioid[export]'") from error


def as_onnx(graph: Graph, samples: int) -> "ModelProto":
    """The graph for any number of clips of so many samples.

    Raises:
        AudioidError: the picture or the network has an operation for which ONNX has none.
    """
    example = torch.zeros(2, samples)
    with _silent(), torch.no_grad():
        outputs = OUTPUTS[: len(graph(example))]
        try:
            program = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=outputs,
                dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
                external_data=False,
                verbose=False,
            )
        except Exception as error:
            problem = f"it cannot be written as ONNX ({one_line(error)})"
            raise AudioidError(f"model: {problem}; train with transform=fft or cwt and model=cnn instead") from error
    assert program is not None
    made: ModelProto = program.model_proto
    return made


def as_bytes(model: "ModelProto", metadata: Mapping[str, Any]) -> bytes:
    """What a file of the model holds; its metadata are these and no others, as JSON."""
    import onnx

    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    return model.SerializeToString()


def in_integers(model: "ModelProto", clips: NDArray[np.float32]) -> "ModelProto":
    """The model with convolutions and linear layers in integers of 8 bits.

    The clips `(clips, samples)` tell the ranges of values. Weights take 7 bits: sums of products of 8 overflow on
    processors that have no instructions for them.

    Raises:
        AudioidError: onnxruntime cannot do that with this network.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Clips(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self.every = iter(clips)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            clip = next(self.every, None)
            return None if clip is None else {INPUT: clip[None]}

    with _silent(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        try:
            quantize_static(
                model,
                file,
                Clips(),
                op_types_to_quantize=["Conv", "Gemm"],
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:
            problem = f"its network has no form in 8 bits ({one_line(error)})"
            raise AudioidError(f"--precision int8: {problem}; use fp16 or fp32") from error
        made: ModelProto = onnx.load(file)
    return made


class Session:
    """What onnxruntime makes of a model, on the processor."""

    def __init__(self, model: bytes, *, threads: int = 0) -> None:
        """`threads` as many as it likes if 0.

        Raises:
            AudioidError: onnxruntime refuses the model.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise AudioidError(f"model: onnxruntime refuses it ({one_line(error)}); update onnxruntime") from error

    def answers(self, clips: NDArray[np.float32], *, at_once: int = AT_ONCE) -> list[NDArray[np.float32]]:
        """Probabilities `(batch, classes)`, and unknown scores `(batch,)` if the model can tell, of clips
        `(batch, samples)`, of which so many go `at_once`, fewer of long ones.

        Raises:
            AudioidError: onnxruntime fails.
        """
        at_once = min(at_once, max(1, SAMPLES_AT_ONCE // clips.shape[1]))
        try:
            parts = [self.session.run(None, {INPUT: clips[k : k + at_once]}) for k in range(0, len(clips), at_once)]
        except Exception as error:
            problem = f"onnxruntime cannot run it ({one_line(error)})"
            raise AudioidError(f"model: {problem}; train with transform=fft or cwt and model=cnn instead") from error
        return [np.concatenate(every) for every in zip(*parts, strict=True)]


@contextmanager
def _silent() -> Iterator[None]:
    """Without what these packages tell of themselves and their makers."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
