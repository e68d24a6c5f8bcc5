"""A name for the code that values were made by, so that none are reused which today's code would make otherwise."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import soundfile
import soxr

from audioid.data import audio

LIBSNDFILE = f"libsndfile {soundfile.__libsndfile_version__}"
# What the samples of a recording depend on beside its content.
DECODER = ([audio], [LIBSNDFILE, f"soxr {soxr.__version__}"])


def code_version(modules: Iterable[ModuleType], libraries: Iterable[str]) -> str:
    """Another text after any change of the modules' source files or of the libraries, each named with its version."""
    digest = hashlib.sha256("\0".join(libraries).encode())
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
