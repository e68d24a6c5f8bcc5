"""A run's folder: whose it is, what was chosen, and whether its run has ended."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from audioid.errors import AudioidError
from audioid.files import read_yaml, replacing
from audioid.model_description import DESCRIPTION, EVERYTHING
from audioid.schema import FREE_ON_RESUME, JUDGED_ANEW, Settings, flat, later_keys
from audioid.training.budget import asked


@dataclass(frozen=True)
class Plan:
    """A run: what it is to do, where, and what of that was chosen on the command line."""

    settings: Settings
    folder: Path
    overrides: list[str]


def has_begun(folder: Path) -> bool:
    """Whether the run of this folder left something to go on from."""
    return (folder / "checkpoints" / "last.ckpt").exists()


def is_done(folder: Path, settings: Settings) -> bool:
    """Whether the run of this folder has ended, and was to train as long as is asked for now.

    Raises:
        AudioidError: the folder belongs to a run with other settings.
    """
    for part in (".hydra", "checkpoints", "model"):
        if (folder / part).is_symlink():
            raise AudioidError(f"{folder / part}: is a link, which may lead elsewhere; choose another folder")
    config = folder / ".hydra" / "config.yaml"
    if not config.exists():
        return False
    try:
        earlier = flat(read_yaml(config))
        earlier |= later_keys(earlier)
    except Exception as error:
        raise AudioidError(f"{config}: is damaged ({error!r}); choose another folder".replace("\n", " ")) from error
    same = True
    for key, value in flat(settings.model_dump()).items():
        if key.startswith(JUDGED_ANEW):
            same &= earlier.get(key, value) == value
        elif not key.startswith(FREE_ON_RESUME) and earlier.get(key, value) != value:
            raise AudioidError(
                f"{key}: the run in {folder} has {earlier[key]}, not {value}; leave it so, or choose another folder"
            )
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        is_whole = settings.fit == "judged" or (folder / EVERYTHING / "model" / DESCRIPTION).exists()
        return same and is_whole and asked(settings.trainer).is_met_by(metrics)
    except (OSError, ValueError, KeyError, TypeError):  # none, or damaged: it is written anew
        return False


def claim(folder: Path, settings: Settings, overrides: Sequence[str]) -> None:
    """Makes the folder of a run that begins or goes on, and writes down what was chosen.

    The figures of a run that had ended, and now goes on for longer, are kept as `earlier_metrics.json`: those that
    stand beside the new choices shall be theirs.

    Raises:
        AudioidError: the folder cannot be written.
    """
    if (folder / "metrics.json").exists():
        (folder / "metrics.json").replace(folder / "earlier_metrics.json")
        shutil.rmtree(folder / EVERYTHING, ignore_errors=True)  # what came of the network that is now judged anew
    for name, values in (("config", settings.model_dump()), ("overrides", list(overrides))):
        with replacing(folder / ".hydra" / f"{name}.yaml") as part:
            part.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    (folder / "error.txt").unlink(missing_ok=True)
