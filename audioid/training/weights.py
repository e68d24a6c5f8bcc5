"""Weights to start from: the model folder of a run that learned from generated sounds, and a card that says so."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from audioid.classifier import build_classifier
from audioid.errors import AudioidError
from audioid.files import replacing
from audioid.generator.kinds import KINDS, TURNS
from audioid.model_description import DESCRIPTION, SECTIONS, WEIGHTS
from audioid.pipeline.generated import generated_index
from audioid.schema import AudioSettings, GeneratedDataSettings, Settings

CARD = "card.md"
PARTS = 3  # to train on, to choose the epoch by, to judge
LARGEST_MB = 4.0  # weights are in every copy of the package


def check_settings(settings: Settings) -> None:
    """Raises AudioidError where the weights of the network that the settings describe would be too large, or the sounds
    too few to have each kind in all parts."""
    assert isinstance(settings.data, GeneratedDataSettings)
    if settings.data.count < (fewest := (PARTS - 1) * len(TURNS) + len(KINDS)):  # each once in the first of a turn
        raise AudioidError(
            f"data.count: {settings.data.count} sounds are too few for {len(KINDS)} kinds; make it {fewest} or more"
        )
    groups = {group: getattr(settings, group).model_dump() for group in SECTIONS}
    classifier = build_classifier(**groups, n_classes=len(KINDS), device="meta")
    megabytes = sum(values.numel() * values.element_size() for values in classifier.state_dict().values()) / 1e6
    if megabytes > LARGEST_MB:
        text = f"the weights would take {megabytes:.1f} MB, and {LARGEST_MB:g} is the most"
        raise AudioidError(f"model: {text}; lower model.width or model.depth")


def check_sounds(run: Path, data: GeneratedDataSettings, audio: AudioSettings) -> None:
    """Raises AudioidError where the run, which has ended, learned from other sounds than are generated today."""
    if _read(run / "metrics.json")["index_digest"] != generated_index(data, audio).digest:
        raise AudioidError(f"{run}: learned from what an earlier generator made; remove it, and start again")


def is_written(run: Path, out: Path) -> bool:
    """Whether `out` has the weights of this run, which has ended, and their card."""
    with suppress(OSError, ValueError):
        return (out / CARD).exists() and (out / DESCRIPTION).read_bytes() == (run / "model" / DESCRIPTION).read_bytes()
    return False


def write_weights(run: Path, out: Path, settings: Settings, command: str) -> None:
    """The model of the run, and `card.md`, into `out`; `command` is what trains the same again.

    Raises:
        AudioidError: the folder cannot be written.
    """
    (out / CARD).unlink(missing_ok=True)  # of others: without a card, weights are not done
    for name in (WEIGHTS, DESCRIPTION):
        with replacing(out / name) as part:
            shutil.copyfile(run / "model" / name, part)
    digest = _read(run / "model" / DESCRIPTION)["weights_sha256"]
    with replacing(out / CARD) as part:
        part.write_text(_card(settings, _read(run / "metrics.json"), digest, command), encoding="utf-8")


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _card(settings: Settings, metrics: dict[str, Any], digest: str, command: str) -> str:
    data = settings.data
    assert isinstance(data, GeneratedDataSettings)
    facts = {
        "command": f"`{command}`",
        "commit": metrics["commit"] or f"audioid {metrics['versions']['audioid']}",
        "sounds": f"{data.count:,} of {settings.audio.seconds:g} s, seed {data.seed}",
        "seed of training": settings.seed,
        "epochs": f"{metrics['epochs']}, of which the one of the best {settings.trainer.best_by} was kept",
        "seconds": f"{metrics['seconds']['total']:.0f}, of the last start if it was stopped",
        "named rightly": f"{metrics['test_accuracy']:.1%} of {metrics['n_test']:,} sounds by unheard makers",
        "sha256 of the weights": f"`{digest}`",
    }
    table = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    return f"""# Weights to start from: {settings.transform.name}

A network that learned to tell {len(metrics["classes"])} {data.label}s of generated sounds apart, all computed by
`audioid/generator/` from chance and formulas alone: no recording went in, so nobody has rights in what came
out but the authors of this package, whose license (MIT) holds for the weights too.

| | |
|---|---|
{table}"""
