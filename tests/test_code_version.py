"""The version of cached results: another one after a change of what they depend on, and after no other."""

import sys
from pathlib import Path

import pytest

from audioid.code_version import code_version


def write(folder: Path, **sources: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)


def test_what_a_module_imports_counts_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_corpus"
    write(package, __init__="", top="from .middle import x\nimport numpy", middle="from a_corpus import low\nx = 1")
    write(package, low="import json\nfrom audioid.errors import AudioidError", aside="y = 2")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_version("a_corpus.top")
    assert code_version("a_corpus.top") == before
    write(package, aside="y = 3")
    assert code_version("a_corpus.top") == before
    for name in ("top", "middle", "low"):
        earlier = code_version("a_corpus.top")
        write(package, **{name: (package / f"{name}.py").read_text() + "\n# changed"})
        assert code_version("a_corpus.top") != earlier, name
    now = code_version("a_corpus.top")
    assert code_version("a_corpus.top", "libsndfile 1.2") != now
    monkeypatch.setattr(sys.modules["numpy"], "__version__", "0.1")
    assert code_version("a_corpus.top") != now
    for name in [name for name in sys.modules if name.startswith("a_corpus")]:
        del sys.modules[name]


def test_a_transform_of_ones_own_depends_on_audioids_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_alone.py").write_text("from audioid.transforms.image import ImageSpec")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_version("mine_alone")
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"\n" * (path.name == "image.py"))
    assert code_version("mine_alone") != before
