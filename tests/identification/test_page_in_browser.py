"""The page in headless Chromium, as people use it: real uploads, Chromium's fake microphone, and nothing asked of
anybody but the page."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio")
pytest.importorskip("captum")
pytest.importorskip("playwright")
from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from scripts.page_client import serving
from tests.identification.conftest import LABELS, RATE, tone

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MICROPHONE = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
WAIT = 60_000  # milliseconds

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A recording of each label by name, and `melody` of all; names of files are such as nobody should trust."""
    folder, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(3)
    waves = {label: tone(label, rng) for label in LABELS}
    waves["melody"] = np.concatenate([part for wave in waves.values() for part in (wave, np.zeros(RATE // 4))])
    names = {
        label: folder / f"{label} ${{globalThis.run=1}}{{{{7*7}}}}<img src=x onerror=run=1>.wav" for label in waves
    }
    for label, wave in waves.items():
        soundfile.write(names[label], wave, RATE)
    return names


@pytest.fixture(scope="module")
def served(sure: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the page, and the folder below which its uploads lie."""
    temporary = tmp_path_factory.mktemp("page")
    with serving(sure, temporary=temporary) as (address, _):
        yield address, temporary


@pytest.fixture(params=[(1200, "light"), (390, "dark")], ids=["wide", "narrow"])
def tab(served: tuple[str, Path], sounds: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Tab]:
    """The page, open; whoever closes it is told of all that went wrong there."""
    (address, temporary), (width, scheme) = served, request.param
    wrong = list[str]()
    arguments = [*MICROPHONE, f"--use-file-for-fake-audio-capture={sounds['low']}", "--no-sandbox"]
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: wrong.append(asked.url) if _is_elsewhere(asked.url, address) else None)
        page.goto(address)
        yield page
        assert page.evaluate("globalThis.run") is None  # nothing that a file is called has run
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than its window"
        browser.close()
    assert wrong == []
    assert not [path for path in temporary.glob("audioid-*/**/*") if path.is_file()]


def _is_elsewhere(url: str, address: str) -> bool:
    found = urlsplit(url)
    return found.scheme not in ("data", "blob") and found.netloc != urlsplit(address).netloc


def test_a_dropped_sound_is_named_shown_and_played(tab: Tab, sounds: dict[str, Path]) -> None:
    tab.set_input_files("#sound input[type=file]", sounds["low"])
    tab.wait_for_selector("h3 >> text=low")
    assert sounds["low"].name in tab.inner_text(".aid-card >> nth=0")
    assert tab.locator(".aid svg").count() == 3
    play = "async player => { await player.play(); return player.duration }"
    assert tab.eval_on_selector(".aid audio", play) == pytest.approx(0.25, abs=0.1)
    tab.set_input_files("#sound input[type=file]", sounds["high"])  # the next one, at once
    tab.wait_for_selector("h3 >> text=high")


def test_a_sound_is_recorded(tab: Tab) -> None:
    tab.get_by_role("button", name="Record", exact=True).click()
    tab.wait_for_timeout(1500)
    tab.locator("button.stop-button").click()
    tab.wait_for_selector("text=What is heard of it")
    assert tab.inner_text(".aid-bar >> nth=0").startswith("low")  # what Chromium has been given to hear
    assert tab.locator(".aid svg").count() == 3


def test_many_sounds_are_a_table_that_can_be_saved(tab: Tab, sounds: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "none.wav").write_text("no sound")
    tab.get_by_role("tab", name="Many").click()
    tab.set_input_files("#files input[type=file]", [*(sounds[label] for label in LABELS), tmp_path / "none.wav"])
    tab.wait_for_selector(".aid-unread")
    assert tab.locator("tbody b").all_inner_texts() == LABELS
    with tab.expect_download() as saved:
        tab.click("text=CSV")
    rows = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
    assert saved.value.suggested_filename == "names.csv"
    assert [row.split(",")[0] for row in rows[1:]] == [*(sounds[label].name for label in LABELS), "none.wav"]


def test_a_long_recording_is_a_timeline(tab: Tab, sounds: dict[str, Path]) -> None:
    tab.get_by_role("tab", name="Timeline").click()
    tab.get_by_label("windows of one length").click()
    tab.wait_for_selector("text=One every so many")
    tab.set_input_files("#recording input[type=file]", sounds["melody"])
    tab.wait_for_selector(".aid-rows tbody tr")
    assert tab.locator(".aid svg").count() == 1
    play = "async player => { await player.play(); return player.duration }"
    assert tab.eval_on_selector(".aid audio", play) == pytest.approx(1.25, abs=0.3)
    tab.wait_for_selector("text=one every")
    changed = tab.locator("text=a setting that has been changed since")
    assert changed.count() == 0
    tab.get_by_label("each hit").click()
    changed.wait_for()
    assert tab.locator(".aid svg").count() == 1
    tab.set_input_files("#recording input[type=file]", sounds["melody"])
    tab.wait_for_selector("text=.wav: each hit, from its onset to the next")
    changed.wait_for(state="detached")
    with tab.expect_download() as saved:
        tab.click("text=Audacity labels")
    tracks = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(tracks) == tab.locator(".aid-rows tbody tr").count()
