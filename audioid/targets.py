"""Code of the user's own by its dotted name, such as `my_nets.Tiny`: what can be said of it before it is run."""

import importlib
import os
import re
import sys
from importlib.util import find_spec

from audioid.errors import AudioidError


def check_target(target: str) -> None:
    """Raises AudioidError where `target` is no dotted name, or its module is found nowhere; nothing is imported."""
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", target):
        raise AudioidError(f"model.target={target}: is no dotted name; write MODULE.NAME, such as my_nets.Tiny")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that no file there hides a library; a script's own path lacks it
    importlib.invalidate_caches()
    top = target.partition(".")[0]
    if top not in sys.modules and find_spec(top) is None:
        where = f"run the command where {top}.py is, or put its folder on PYTHONPATH"
        raise AudioidError(f"model.target={target}: there is no module {top}; {where}")
