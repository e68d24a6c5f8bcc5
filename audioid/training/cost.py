"""What a classifier costs, measured so that neither the order of runs nor a filled store matters."""

import time

import numpy as np

from audioid.classifier import AudioClassifier
from audioid.data.clips import load_clips
from audioid.models import multiply_adds
from audioid.pipeline.recordings import PreparedData
from audioid.schema import AudioSettings
from audioid.transforms.cost import milliseconds_per_clip

DECODE_FILES, DECODE_SECONDS = 32, 0.3  # at most


def cost(classifier: AudioClassifier, prepared: PreparedData, audio: AudioSettings) -> dict[str, float | int | None]:
    """Milliseconds to decode a file and to transform a clip (medians, warm), parameters, multiply-adds of an image.

    The classifier stays where it is, and clips are transformed there. A corpus without files has none to decode: None.
    """
    network, transform = classifier.network, classifier.transform
    device = next(classifier.parameters()).device
    return {
        "decode_ms_per_file": round(decode_ms_per_file(prepared, audio), 3) if prepared.index.has_files else None,
        "transform_ms_per_clip": round(milliseconds_per_clip(transform, device=device), 3),
        "parameters": sum(weights.numel() for weights in classifier.parameters()),
        "multiply_adds": multiply_adds(network, transform.channels, transform.image.size),
    }


def decode_ms_per_file(prepared: PreparedData, audio: AudioSettings) -> float:
    """The median over recordings that are spread evenly over the index, each read for the second time."""
    paths = [prepared.index.root / path for path in prepared.index.table["path"]]
    arguments, begun, taken = audio.model_dump(), time.perf_counter(), []
    for place in np.linspace(0, len(paths) - 1, min(len(paths), DECODE_FILES)).astype(int):
        load_clips(paths[place], **arguments)  # so that the disk does not count
        started = time.perf_counter()
        load_clips(paths[place], **arguments)
        taken.append(1000 * (time.perf_counter() - started))
        if time.perf_counter() - begun > DECODE_SECONDS:
            break
    return float(np.median(taken))
