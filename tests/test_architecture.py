"""Who may import whom, and what must not be loaded before the configuration is known to be right."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "audioid").rglob("*.py"))
STAGES = {"data", "transforms", "models"}
MAY_USE_HYDRA = {
    "commands/prepare.py",
    "commands/runner.py",
    "commands/train.py",
    "config.py",
    "jobs.py",
    "overrides.py",
    "search/space.py",
    "training/run.py",
    "training/sweep.py",
}


def imports(path: Path) -> set[str]:
    """The full names of the modules that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_stages_know_nothing_of_one_another(path: Path) -> None:
    stage = path.relative_to(ROOT / "audioid").parts[0]
    forbidden = {
        "data": {"transforms", "models", "training", "comparison"},
        "transforms": {"data", "models", "training", "comparison"},
        "models": {"data", "transforms", "training", "comparison"},
        "comparison": {"data", "transforms", "models", "training", "search"},
    }.get(stage, set())
    for name in imports(path):
        for other in forbidden:
            assert not (name + ".").startswith(f"audioid.{other}."), f"{path} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_generator_and_the_stages_know_nothing_of_one_another(path: Path) -> None:
    stage = path.relative_to(ROOT / "audioid").parts[0]
    ours = {name for name in imports(path) if name.startswith("audioid.")}
    generator = {name for name in ours if (name + ".").startswith("audioid.generator.")}
    if stage == "generator":  # what it shares with others has nothing to do with sound
        shared = ("audioid.errors", "audioid.files", "audioid.program", "audioid.schema")
        assert all(name.startswith(shared) for name in ours - generator)
    elif stage in {*STAGES, "comparison"}:
        assert not generator


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_hydra_stays_at_the_entrance(path: Path) -> None:
    if str(path.relative_to(ROOT / "audioid")) in MAY_USE_HYDRA:
        return
    assert not [name for name in imports(path) if name.split(".")[0] in ("hydra", "omegaconf")]


def test_comparison_needs_neither_torch_nor_hydra() -> None:
    code = "import audioid.comparison.report, sys; print(sorted({'torch', 'hydra', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_heavy_is_loaded_before_the_configuration_is_checked() -> None:
    code = (
        "import sys; sys.argv = ['train.py', 'optimzer.lr=1']; import train; status = train.main();"
        "print(status, sorted({'torch', 'pytorch_lightning', 'matplotlib', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"
    assert done.stderr == "error: optimzer.lr: no such key; did you mean optimizer.lr?\n"


def test_there_is_no_drawer_of_odds_and_ends() -> None:
    assert not [path for path in SOURCES if "util" in path.stem or "helper" in path.stem or "common" in path.stem]
