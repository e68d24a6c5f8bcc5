"""The ready-made model: what comes with audioid, trained on generated sounds alone, both pictures together."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from audioid import model_folder, pretrained
from audioid.errors import AudioidError
from audioid.files import path_argument
from audioid.generator.kinds import KINDS
from audioid.identification.answers import Model, joined
from audioid.identification.together import Together, together
from audioid.model_description import DESCRIPTION, EVERYTHING, place_for_use

NAME = "builtin"
LABELS = {kind.model.__name__: kind.label for kind in KINDS}  # for models that tell kinds apart


def load(name: str, *, trust: Collection[str] = ()) -> Model:
    """The model called `name`: `builtin` for all pictures that come with audioid together, in the order of their names,
    `builtin:fft` for that one, else the model folder there; `./builtin` is a folder.

    Raises:
        AudioidError: nothing, or no such picture, comes with audioid; or the folder is none, or cannot be used.
    """
    folders = folders_of(name)
    if not _is_ready_made(name):
        if folders[0].is_file():
            raise AudioidError(f"{name}: is a file, no model; name a run or {NAME} first, then the recordings")
        return model_folder.load(folders[0], trust=trust)
    models = [joined(model_folder.load(folder), LABELS) for folder in folders]
    if any((model.labels, model.audio) != (models[0].labels, models[0].audio) for model in models):
        raise AudioidError(f"{name}: the models in {pretrained.SHIPPED} do not belong together; install audioid again")
    return Together(models) if models[1:] else models[0]


def load_together(names: Sequence[str], *, trust: Collection[str] = ()) -> Model:
    """The models called `names` as one, which answer together.

    Raises:
        AudioidError: as `load`; one is named twice, or they do not go together.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise AudioidError(f"{twice[0]}: is named twice; name each model once")
    return together({name: load(name, trust=trust) for name in names})


def folders_of(name: str) -> list[Path]:
    """The model folders that `load` makes the model called `name` of.

    Raises:
        AudioidError: nothing, or no such picture, comes with audioid.
    """
    if not _is_ready_made(name):
        return [place_for_use(path_argument(name))]
    picture = name.partition(":")[2]
    folders = {
        folder.name: folder for folder in sorted(pretrained.SHIPPED.glob("*")) if (folder / DESCRIPTION).is_file()
    }
    if not folders:
        raise AudioidError(f"{name}: no model comes with this installation; name the model folder of a run, RUN/model")
    if picture and picture not in folders:
        raise AudioidError(
            f"{name}: there is none; choose {' or '.join([NAME, *(f'{NAME}:{one}' for one in folders)])}"
        )
    return [folder for one, folder in folders.items() if picture in ("", one)]


def names_of(name: str) -> list[str]:
    """What to call each of the models in `folders_of(name)`, shortly: the picture, or the folder of the run."""
    if _is_ready_made(name):
        return [f"{NAME}:{folder.name}" for folder in folders_of(name)]
    (folder,) = folders_of(name)
    run = [part for part in folder.resolve().parts if part not in ("model", EVERYTHING)]
    return run[-1:]


def _is_ready_made(name: str) -> bool:
    return name.partition(":")[0] == NAME
