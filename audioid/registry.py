"""What can be chosen by name: the networks, pictures and augmentations of this package, and those of others.

An option is a callable and the class of its settings, joined by `register` in the module of the callable itself:

    @register("model", "tiny", TinySettings)
    class Tiny(nn.Module): ...

An option of this package is found in the module of its name; one of another package through an entry point of the
group `audioid.models` (or `transforms`, `augments`) whose name is the option's. A module is imported when
its option is chosen, not before: torch is slow to load.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from audioid.errors import AudioidError
from audioid.schema import OPTIONS, Section

Maker = TypeVar("Maker", bound=Callable[..., Any])

# Where this package keeps the options of a group.
_MODULES = {
    "model": "audioid.models.{}",
    "transform": "audioid.transforms.images.{}",
    "augment": "audioid.training.augment",
}
_makers: dict[tuple[str, str], Callable[..., Any]] = {}
BUILT_IN = {group: frozenset(OPTIONS[group]) for group in _MODULES}


def register(group: str, name: str, settings: type[Section]) -> Callable[[Maker], Maker]:
    """Makes the decorated callable the option `name` of `group`, with the keys and values that `settings` allows.

    Raises:
        AudioidError: another callable has that name already.
    """

    def add(maker: Maker) -> Maker:
        home = _MODULES[group].format(name) if name in BUILT_IN[group] else maker.__module__
        taken = {home, *(known.__module__ for key, known in _makers.items() if key == (group, name))}
        if taken != {maker.__module__}:
            raise AudioidError(
                f"{group}={name}: {' and '.join(sorted({*taken, maker.__module__}))} have one; rename it"
            )
        _makers[group, name] = maker
        OPTIONS[group][name] = settings
        return maker

    return add


def others(group: str) -> dict[str, EntryPoint]:
    """The options of a group that other installed packages offer, by name; they are not imported."""
    return {point.name: point for point in entry_points(group=f"audioid.{group}s")} if group in _MODULES else {}


def import_option(group: str, name: str) -> None:
    """Makes sure that the option's settings are known.

    Raises:
        AudioidError: the package that offers it cannot be imported, or does not register it.
    """
    point = others(group).get(name)
    if name in OPTIONS.get(group, ()) or point is None:
        return
    try:
        point.load()
    except Exception as error:
        raise AudioidError(f"{group}={name}: {point.value} cannot be imported ({error}); mend it") from error
    if (group, name) not in _makers:
        raise AudioidError(f"{group}={name}: {point.value} does not register it; see CONTRIBUTING.md")


def maker_of(group: str, name: str) -> Callable[..., Any]:
    """The callable that makes the option.

    Raises:
        AudioidError: there is no option of that name.
    """
    if name in BUILT_IN[group]:
        import_module(_MODULES[group].format(name))
    else:
        import_option(group, name)
    if (group, name) not in _makers:
        raise AudioidError(f"{group}: there is no {name!r}; choose one of {', '.join(OPTIONS[group])}")
    return _makers[group, name]


def refuse_untrusted(group: str, name: str, trust: Iterable[str]) -> None:
    """Raises AudioidError where a file names an option of another package that the user has not named as well."""
    if name not in BUILT_IN[group] and name not in set(trust):
        raise AudioidError(f"{group}={name}: is code that does not come with audioid; if you trust it, --trust {name}")
