"""A network of the user's own: `model=custom model.target=my_nets.Tiny`."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from audioid.errors import AudioidError, one_line
from audioid.registry import register
from audioid.schema import CustomSettings
from audioid.targets import check_target


@register("model", "custom", CustomSettings)
def custom(*, target: str, arguments: Mapping[str, Any], in_channels: int, n_classes: int, image_size: int) -> object:
    """What `target` makes of these keyword arguments and `arguments`; runs the code of the module that it names.

    Raises:
        AudioidError: there is no such callable, or it raises.
    """
    factory = load_target(target)
    try:
        return factory(in_channels=in_channels, n_classes=n_classes, image_size=image_size, **arguments)
    except Exception as error:
        raise AudioidError(f"model.target={target}: raises {one_line(error)}; correct it or model.arguments") from error


def load_target(target: str) -> Callable[..., object]:
    """The callable of a dotted name such as `my_nets.Tiny`, from `PYTHONPATH` or the working directory.

    Imports the module, and so runs its code: to be called only with a name that the user gave, never with one that
    was read from a file.

    Raises:
        AudioidError: it is no dotted name, the module is missing or fails, or has no such callable.
    """
    check_target(target)
    name, _, attribute = target.rpartition(".")
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            where = f"run the command where {name.split('.')[0]}.py is, or put its folder on PYTHONPATH"
            raise AudioidError(f"model.target={target}: there is no module {error.name}; {where}") from error
        raise AudioidError(f"model.target={target}: importing {name} raises {one_line(error)}; correct it") from error
    found: object = getattr(module, attribute, None)
    if not callable(found):
        problem = "is nothing that can be called" if hasattr(module, attribute) else "is not there"
        place = getattr(module, "__file__", name)
        raise AudioidError(f"model.target={target}: {attribute} {problem} in {place}; name a class or function of it")
    return found
