"""What a cached result depends on besides its settings: the code that made it."""

import ast
import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType


def code_version(module: str, *libraries: str) -> str:
    """Another text after any change of a module's source, of what that imports, or of the libraries below it.

    Sources are followed within `audioid`'s stages (`audioid.transforms.images.fft`, not `audioid.errors` or a package's
    `__init__`, which values do not depend on) or the module's own package, if that is another. Of any other package
    the version counts, and whatever else `libraries` says.
    """
    import_module(module)
    waiting, sources, packages = [module], dict[str, bytes](), set[str]()
    while waiting:
        name = waiting.pop()
        path = Path(str(sys.modules[name].__file__))
        sources[name] = path.read_bytes()
        for imported in _imports(sources[name], sys.modules[name].__package__ or ""):
            top = imported.partition(".")[0]
            if top != "audioid" and top != module.partition(".")[0]:
                packages |= {top} - sys.stdlib_module_names
            elif imported in sys.modules and imported not in [*sources, *waiting] and _has_values(imported):
                waiting.append(imported)
    versions = [f"{name} {getattr(sys.modules.get(name), '__version__', '')}" for name in sorted(packages)]
    return sources_version([sys.modules[name] for name in sorted(sources)], [*versions, *libraries])


def sources_version(modules: Iterable[ModuleType], libraries: Iterable[str]) -> str:
    """Another text after any change of the modules' source files or of the libraries, each named with its version."""
    digest = hashlib.sha256("\0".join(libraries).encode())
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]


def _has_values(name: str) -> bool:
    is_package = hasattr(sys.modules[name], "__path__")
    return not is_package and (name.count(".") > 1 or not name.startswith("audioid."))


@cache  # each run of a job asks for the same
def _imports(source: bytes, package: str) -> set[str]:
    """The full names that a module of `package` imports, be they modules or what is in them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            found |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    return found
