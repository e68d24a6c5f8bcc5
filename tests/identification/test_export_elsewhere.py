"""The programs that docs/export.md shows, run as they stand there, held to the model that their file was made of.

Two need what pip does not bring, and are passed over without it: ONNXRUNTIME_INCLUDE and ONNXRUNTIME_LIB are the
folders of onnxruntime's headers and of libonnxruntime.so, ONNXRUNTIME_WEB is the folder `dist` of npm's
onnxruntime-web.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audioid import model_folder
from audioid.identification.export import Trial, export
from audioid.identification.identify import identify
from audioid.identification.trial_sounds import trial_clips
from tests.identification.conftest import LABELS, RATE, tone

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
# Asks all recordings, and hands the answers to who serves it.
ASKING = """<script type="module">
  const told = {};
  try {
    const { load, identify } = await import("./identify.js");
    const model = await load("drums.onnx");
    for (const name of NAMES) told[name] = await identify(model, await (await fetch(name)).arrayBuffer());
  } catch (error) { told.error = String(error); }
  await fetch("told", { method: "POST", body: JSON.stringify(told) });
</script>"""


@pytest.fixture(scope="module")
def place(sure: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs of the page, a model as `drums.onnx`, and recordings at its rate."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for found in re.finditer(r"`(\w+\.(?:py|cpp|js|html))`:\n\n```\w+\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        (folder / found[1]).write_text(found[2])
    model = model_folder.load(sure)
    export(model, folder / "drums.onnx", Trial(np.stack(trial_clips(8, model.audio))))
    rng = np.random.default_rng(11)
    silence = np.zeros(RATE // 10)
    waves = {
        **{label: tone(label, rng) for label in LABELS},
        "long": np.concatenate([silence, *(tone("low", rng) for _ in range(3))]),
        "short": np.concatenate([silence, 0.1 + tone("high", rng)[:300], silence]),
        "late": np.concatenate([3e-5 * rng.uniform(-1, 1, 2 * RATE), 0.9 * tone("low", rng)]),
        "noise": 0.3 * rng.standard_normal(RATE // 4),
    }
    for name, wave in waves.items():
        soundfile.write(folder / f"{name}.wav", wave, RATE, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def expected(place: Path, sure: Path) -> dict[str, tuple[dict[str, float], bool | None]]:
    """What the model itself says of each recording: probabilities, and whether it is unknown."""
    answers = identify(model_folder.load(sure), sorted(place.glob("*.wav")), top=3)
    return {answer.path.name: (dict(answer.names), answer.unknown) for answer in answers}


def test_python_without_torch(place: Path, expected: dict[str, Any], sure: Path) -> None:
    stereo = place / "other" / "stereo.wav"
    stereo.parent.mkdir()
    wave = tone("middle", np.random.default_rng(12))
    soundfile.write(stereo, np.stack([wave, 0.5 * wave], 1), 11025)  # that is resampled
    files = [*sorted(place.glob("*.wav")), stereo]
    script = f"import runpy, sys; runpy.run_path({str(place / 'identify_onnx.py')!r})"
    code = f"{script}; print(sorted({{'torch', 'audioid'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(place / "drums.onnx"), *map(str, files)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    *lines, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    (other,) = identify(model_folder.load(sure), [stereo], top=3)
    for line, file in zip(lines, files, strict=True):
        names, unknown = expected[file.name] if file != stereo else (dict(other.names), other.unknown)
        label, probability = max(names.items(), key=lambda item: item[1])
        path, found, value, *more = line.split("  ")
        assert (path, found, bool(more)) == (str(file), label, unknown)
        assert float(value) == pytest.approx(probability, abs=2e-4)  # four digits of it


@pytest.mark.slow
def test_cpp(place: Path, expected: dict[str, Any], sure: Path) -> None:
    include, library = (os.environ.get(f"ONNXRUNTIME_{name}") for name in ("INCLUDE", "LIB"))
    compiler = shutil.which("c++")
    if not (include and library and compiler):
        pytest.skip("needs a compiler, ONNXRUNTIME_INCLUDE and ONNXRUNTIME_LIB")
    linked = ["-I", include, "-L", library, "-lonnxruntime", f"-Wl,-rpath,{library}"]
    subprocess.run(
        [compiler, "-std=c++17", "-Wall", "-Werror", "identify.cpp", "-o", "identify", *linked], cwd=place, check=True
    )
    for name, (names, unknown) in expected.items():
        wave, _ = soundfile.read(place / name, dtype="float32")
        done = subprocess.run(
            ["./identify", "drums.onnx"], cwd=place, input=wave.tobytes(), capture_output=True, check=True
        )
        lines = done.stdout.decode().splitlines()
        found = {
            label: float(value) for value, _, label in (line.partition("  ") for line in lines if line != "unknown?")
        }
        assert found == pytest.approx(names, abs=1e-4), name
        assert ("unknown?" in lines) == unknown


@pytest.fixture
def told(place: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address at which the folder is served, and what was posted there."""
    posted: list[dict[str, Any]] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(place)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posted
    server.shutdown()


@pytest.mark.slow
def test_the_browser(place: Path, expected: dict[str, Any], told: tuple[str, list[dict[str, Any]]]) -> None:
    browser, web = shutil.which("chromium"), os.environ.get("ONNXRUNTIME_WEB")
    if not (browser and web):
        pytest.skip("needs chromium and ONNXRUNTIME_WEB")
    (place / "ort").symlink_to(web)
    (place / "asking.html").write_text(ASKING.replace("NAMES", json.dumps(list(expected))))
    address, posted = told
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        shown = subprocess.Popen(
            [*command, f"{address}/asking.html"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(600):
                if posted:
                    break
                threading.Event().wait(0.1)
        finally:
            shown.terminate()
            shown.wait()
    assert posted, "the page has not answered"
    assert "error" not in posted[0], posted[0]
    for name, (names, unknown) in expected.items():
        found = {each["label"]: each["probability"] for each in posted[0][name]["names"]}
        assert found == pytest.approx(names, abs=1e-4), name
        assert posted[0][name]["unknown"] == unknown
