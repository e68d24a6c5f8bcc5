"""scripts/prepare.py as people run it, in processes of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audioid import transforms
from audioid.config import compose
from audioid.data.corpus import read_corpus
from audioid.data.store import Store
from audioid.pipeline import stages

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare.py"
SMALL = ["data.per_class=2", "data.seconds=0.2", "audio.seconds=0.2", "image.size=16", "store.shards=3"]


def run_script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments, *SMALL], cwd=folder, capture_output=True, text=True, timeout=300
    )


def assert_filled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with the same settings finds everything in the store."""
    settings = compose([*SMALL, f"store.root={folder / 'outputs/cache'}"])
    store = Store(Path(settings.store.root), max_bytes=10**9)
    index = read_corpus(settings.data, store.root)
    assert len(index.table) == 26
    monkeypatch.setattr(stages, "load_clips", None)
    monkeypatch.setattr(transforms, "build", None)
    rows = stages.waveforms(index, store, audio=settings.audio.model_dump(), shards=3)
    transform, image = settings.transform.model_dump(), settings.image.model_dump()
    images = stages.images(rows, store, transform=transform, image=image, shards=3, device="cpu")
    assert np.isfinite(images[np.arange(26)]).all()


@pytest.mark.slow
def test_shards_in_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_script(tmp_path, "-m", "shard=range(0,3)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stderr
    assert_filled(tmp_path, monkeypatch)
    assert not list(tmp_path.rglob("comparison*"))


@pytest.mark.slow
def test_shards_by_submitit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    done = run_script(tmp_path, "-m", "shard=range(0,3)", "hydra/launcher=submitit_local")
    assert done.returncode == 0, done.stderr
    assert_filled(tmp_path, monkeypatch)


@pytest.mark.slow
def test_all_shards_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fft, all shards: 26 recordings, 0 of them unreadable" in done.stdout
    assert_filled(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("shard=3", "error: shard: 3 is none of 0 to 2; change it or store.shards"),
        ("store.max_gib=0.0001", "error: store.max_gib: 0.0001 is too little for"),
        ("shrd=1", "error: shrd: no such key"),
        ("audio.start=x", "error: audio.start: there is no 'x'"),
    ],
)
def test_errors_in_one_line(tmp_path: Path, argument: str, message: str) -> None:
    done = run_script(tmp_path, argument)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
