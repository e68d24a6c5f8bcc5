"""The page as browsers and strangers ask it: over HTTP, from a process of its own; and its parts."""

import base64
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio")
pytest.importorskip("captum")
import anyio
import httpx
from starlette.responses import PlainTextResponse

from audioid import model_folder
from audioid.commands import serve
from audioid.data import audio
from audioid.data.audio import Unreadable
from audioid.errors import AudioidError
from audioid.identification.formats import Layout, write_csv
from audioid.identification.identify import identify
from audioid.identification.known import learned_from
from audioid.identification.page import guard, server, uploads, views
from audioid.identification.page.uploads import Upload, Uploads
from audioid.identification.page.views import Asked
from audioid.identification.timeline import hits, timeline
from audioid.identification.timeline_formats import write_audacity
from audioid.identification.together import single_models, together
from audioid.model_folder import KnownRecording
from scripts import page_client
from scripts.page_client import MANY, SOUND, TIMELINE, Page, serving
from tests.identification.conftest import LABELS, RATE, tone

HITS, WINDOWS = "each hit, from its onset to the next", "windows of one length"
DATA = re.compile(r'="data:(?:audio/mpeg|application/octet-stream);base64,([^"]*)"')


def wav(wave: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format="WAV")
    return file.getvalue()


def one_tone(label: str, seed: int = 7) -> bytes:
    return wav(tone(label, np.random.default_rng(seed)))


def melody() -> bytes:
    """Three tones with silence between."""
    rng = np.random.default_rng(4)
    silence = np.zeros(RATE // 4)
    return wav(np.concatenate([part for label in LABELS for part in (tone(label, rng), silence)]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page puts uploads and the lines that it says."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def page(sure: Path, place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that may play some of the recordings that its model has learned from."""
    recordings, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(2)
    for number in range(30):
        (recordings / f"{number}.wav").write_bytes(wav(tone(LABELS[number % 3], rng)))
    with serving(sure, "--recordings", recordings, temporary=place) as (address, process):
        yield Page(address)
        assert process.poll() is None, "the page has died on the way"


def left(place: Path) -> list[Path]:
    return [path for path in place.glob("audioid-*/**/*") if path.is_file()]


def test_a_sound_has_names_a_waveform_pictures_an_explanation_and_what_it_is_like(
    page: Page, place: Path, sure: Path
) -> None:
    name = sure.parent.name  # of the run, whose model it is
    shown = page.show(SOUND, [("a <b> low.wav", one_tone("low"))])
    assert "<h3>low</h3>" in shown
    assert "a &lt;b&gt; low.wav" in shown
    assert all(label in shown for label in LABELS)
    assert "unknown?" not in shown
    assert re.findall(r'<svg role="img" aria-label="([^"]*)"', shown) == [
        "The waveform over seconds",
        f"{name}: frequency / Hz over seconds",
        f"{name}: what spoke for low: what is not veiled",
    ]
    assert "time / s" in shown
    assert "frequency / Hz" in shown
    assert re.search(r"With silence there, low has \d+\xa0% instead of \d+\xa0%", shown)
    assert len(re.findall(r">\d+\.wav</p>", shown)) == views.NEAREST
    sounds = [base64.b64decode(each) for each in DATA.findall(shown)]
    assert len(sounds) > 1  # the sound itself, and those near ones that are there
    for sound in sounds:
        assert soundfile.info(io.BytesIO(sound)).format == "MP3"
    assert left(place) == []


def test_what_is_strange_is_unknown(page: Page) -> None:
    noise = 0.3 * np.random.default_rng(1).standard_normal(RATE // 4)
    assert "<h3>unknown?</h3>" in page.show(SOUND, [("noise.wav", wav(noise))])


def test_many_sounds_are_a_table_and_the_csv_of_identify(page: Page, sure: Path, tmp_path: Path, place: Path) -> None:
    files = [(f"{label}.wav", one_tone(label)) for label in LABELS] + [("no.wav", b"no sound")]
    shown = page.show(MANY, files)
    assert shown.count("<tr>") == 5
    assert "is damaged, or no sound that can be decoded" in shown
    for name, content in files:
        (tmp_path / name).write_bytes(content)
    out = io.StringIO()
    answers = identify(model_folder.load(sure), [tmp_path / name for name, _ in files], top=3)
    write_csv((replace(each, path=Path(each.path.name)) for each in answers), Layout(LABELS, 3, True), out)
    assert base64.b64decode(DATA.findall(shown)[0]).decode() == out.getvalue()
    assert left(place) == []


def test_what_came_of_many_sounds_stands_above_them(page: Page) -> None:
    noise = 0.3 * np.random.default_rng(1).standard_normal(RATE // 4)
    files = [(f"{n}.wav", one_tone(label)) for n, label in enumerate(["low", "high", "low"])]
    shown = page.show(MANY, [*files, ("noise.wav", wav(noise)), ("no.wav", b"no"), ("quiet.wav", wav(np.zeros(RATE)))])
    above = shown[: shown.index("<table")]
    assert "<p>3 named, 1 unknown, 1 with nothing to hear, 1 not read</p>" in above
    assert "<span><b>low</b> 2</span> <span><b>high</b> 1</span>" in above
    assert page.show(MANY, files[:1]).count("<p>1 named</p>") == 1


@pytest.mark.parametrize("level", [0.0, 0.3])  # of a constant, which nobody hears
def test_what_is_silent_has_no_name(page: Page, place: Path, level: float) -> None:
    silent = ("quiet.wav", wav(np.full(3 * RATE, level)))
    shown = page.show(SOUND, [silent])
    assert "there is nothing to hear in it" in shown
    assert "<svg" not in shown
    assert not any(label in shown for label in LABELS)
    shown = page.show(MANY, [silent, ("low.wav", one_tone("low"))])
    assert shown.count("there is nothing to hear in it") == 1
    assert shown.count("<b>low</b>") == 2  # its row, and above the table
    late = np.concatenate([np.zeros(5 * RATE), tone("high", np.random.default_rng(3))])
    assert "<h3>high</h3>" in page.show(SOUND, [("late.wav", wav(late))])
    assert left(place) == []


def test_a_long_recording_is_a_timeline_with_a_label_track(page: Page, sure: Path, tmp_path: Path, place: Path) -> None:
    file, model = tmp_path / "melody.wav", model_folder.load(sure)
    file.write_bytes(melody())
    for settings, found, parts in (
        ((HITS, 0.25, 0.1), hits(model, file), HITS),
        ((WINDOWS, 0.2, 0.1), timeline(model, file, window=0.2, hop=0.1), "windows of 0.20 s, one every 0.10 s"),
    ):
        shown, out = page.show(TIMELINE, [("melody.wav", melody())], *settings), io.StringIO()
        write_audacity([(file, found)], LABELS, out)
        assert out.getvalue()
        player, track, _ = map(base64.b64decode, DATA.findall(shown))
        assert track.decode() == out.getvalue()
        sound = soundfile.info(io.BytesIO(player))
        assert (sound.format, sound.duration) == ("MP3", pytest.approx(1.25, abs=0.3))  # without the silence at its end
        assert "are played" not in shown
        assert f"melody.wav: {parts}" in shown
        assert "<svg" in shown
    assert left(place) == []


def test_of_a_long_recording_its_beginning_is_played(
    sure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_PLAYED", 0.6)
    model = model_folder.load(sure)
    (tmp_path / "x.wav").write_bytes(melody())
    asked, sound = Asked(model, [("it", model)]), Upload(tmp_path / "x.wav", "x.wav")
    shown = views.long_sound(asked, sound, by_hits=True, window=None, hop=None)
    player = io.BytesIO(base64.b64decode(DATA.findall(shown)[0]))
    assert soundfile.info(player).duration == pytest.approx(0.6, abs=0.2)
    assert "Of the recording the first 0.01 minutes are played." in shown


def test_how_far_it_has_come_is_told(sure: Path, tmp_path: Path) -> None:
    model = model_folder.load(sure)
    (tmp_path / "x.wav").write_bytes(melody())
    (tmp_path / "no.wav").write_bytes(b"no")
    asked, sound = Asked(model, [("it", model)]), Upload(tmp_path / "x.wav", "x.wav")
    shares = list[float]()
    views.many_sounds(asked, [sound, Upload(tmp_path / "no.wav", "no.wav"), sound, sound], shares.append)
    assert shares == [0.25, 0.5, 0.75, 1]
    shares.clear()
    views.long_sound(asked, sound, by_hits=True, window=None, hop=None, told=shares.append)
    assert len(shares) >= 3
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5 < shares[-1] <= 1


@pytest.mark.parametrize("lengths", [(0, 0.1), (0.1, 0.2), (9, 0.1), ("x", 0.1), (None, 0.1), (0.2, -1), (0.2, "nan")])
def test_lengths_that_cannot_be_are_told(page: Page, place: Path, lengths: tuple[Any, Any]) -> None:
    shown = page.show(TIMELINE, [("melody.wav", melody())], WINDOWS, *lengths)
    assert 'role="alert"' in shown
    assert "<table" not in shown
    assert "the terminal" not in shown
    assert left(place) == []


@pytest.mark.parametrize("where", [SOUND, MANY, TIMELINE])
@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"\0" * 5000, one_tone("low")[:44], b"RIFF\xff\xff\xff\x7fWAVEfmt " + b"\xff" * 64]
)
def test_a_hostile_file_gets_a_line_and_the_page_stays(page: Page, place: Path, where: str, content: bytes) -> None:
    settings = (HITS, 0.2, 0.1) if where == TIMELINE else ()
    shown = page.show(where, [("odd.wav", content)], *settings)
    assert "odd.wav" in shown
    assert 'role="alert"' in shown or "aid-unread" in shown
    assert str(place) not in shown
    assert "the terminal" not in shown
    assert left(place) == []


def test_files_of_the_machine_are_neither_served_nor_taken(page: Page, place: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(one_tone("low"))
    (folder,) = place.glob("audioid-*")
    (folder / "link.wav").symlink_to(secret)
    paths = ["/etc/passwd", str(secret), f"{folder}/../page.log", f"{folder}/%2e%2e/page.log", f"{folder}/link.wav"]
    paths += ["http://127.0.0.1/", "page.py", f"{folder}", ""]
    for path in paths:
        for route in ("file=", "file/", "proxy=", "file=//"):
            assert page.http.get(f"/gradio_api/{route}{path}").status_code in (403, 404)
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            page.ask(SOUND, {"path": path, "meta": {"_type": "gradio.FileData"}})
    (folder / "link.wav").unlink()
    assert secret.exists()
    assert page.ask(SOUND, None) == ""
    for odd in ("text", 5, [1], {"url": "http://127.0.0.1/"}, {}):
        with pytest.raises(httpx.HTTPError, match="'error': None"):  # Gradio's, which tells nothing
            page.ask(SOUND, odd)


def test_an_upload_cannot_choose_its_place(page: Page, place: Path) -> None:
    before = set(place.rglob("*"))
    for name in ("../../over.wav", "/tmp/over.wav", "..", "a\0b.wav", "C:\\over.wav", "x" * 5000):
        sent = page.http.post("/gradio_api/upload", files=[("files", (name, one_tone("low")))])
        for path in sent.json() if sent.is_success else []:
            assert Path(path).is_relative_to(next(place.glob("audioid-*")))
            page.ask(SOUND, {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}})
    assert set(place.rglob("*")) - before <= set(place.glob("audioid-*/*"))


def test_only_what_the_page_needs_is_served_and_only_to_itself(page: Page) -> None:
    for method, route in (
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/monitoring"),
        ("GET", "/gradio_api/deep_link"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/vibe-edit"),
        ("POST", "/gradio_api/component_server"),
        ("PUT", "/"),
    ):
        assert page.http.request(method, route).status_code == 404
    assert page.http.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert page.http.post("/gradio_api/upload", headers={"Origin": "https://evil.example"}).status_code == 403
    for site in ("cross-site", "same-site"):
        foreign = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
        assert page.http.get("/", headers=foreign).status_code == 200
        assert page.http.get("/config", headers=foreign).status_code == 403
        assert page.http.get("/", headers={**foreign, "Sec-Fetch-Mode": "cors"}).status_code == 403
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
    assert "evil.example" not in page.http.get("/config", headers=forwarded).text
    assert "https://127" not in page.http.get("/config", headers=forwarded).text
    answer = page.http.get("/", headers={"Host": f"localhost:{page.http.base_url.port}"})
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    for odd in (b"", b"[", b"[" * 100_000, b'{"data": "' + b"x" * 2**21 + b'"}'):
        assert page.http.post("/gradio_api/queue/join", content=odd).status_code == 400


def test_an_upload_that_is_too_large_is_refused_and_leaves_nothing(
    sure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):
        monkeypatch.setenv(name, "")  # put back after the test
    monkeypatch.setattr(server, "LARGEST", 10_000)
    monkeypatch.setattr(uploads, "MOST_BYTES", 40_000)
    model = model_folder.load(sure)
    app = server.application(Asked(model, [("it", model)]), Uploads(tmp_path), ["here"])

    async def statuses() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            sent = [("files", (f"{n}.wav", bytes(size))) for n, size in enumerate((5000, 20_000))]
            return [
                (await client.post("/gradio_api/upload", files=[file])).status_code
                for file in (*sent, ("files", ("3.wav", bytes(50_000))))
            ]

    assert anyio.run(statuses) == [200, 413, 413]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["0.wav"]


def test_questions_that_nobody_can_answer_are_a_line_in_the_terminal(page: Page, place: Path) -> None:
    before = (place / "page.log").stat().st_size
    with suppress(httpx.RemoteProtocolError):  # it breaks off
        page.http.get("/gradio_api/queue/data", params={"session_hash": "zz"})
    page.http.post("/gradio_api/queue/join", json={"data": [None], "fn_index": 999, "session_hash": "zz"})
    time.sleep(0.5)
    lines = (place / "page.log").read_text()[before:]
    assert "Traceback" not in lines
    assert len(lines.splitlines()) <= 4
    assert "/gradio_api/queue/data" in lines


@pytest.mark.parametrize(
    ("host", "called", "is_meant"),
    [
        ("0.0.0.0", "192.168.1.2:7860", True),
        ("::", "[fe80::1]:7860", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", f"{socket.gethostname()}.local:7860", True),
        ("box.lan", "box.lan:7860", True),
        ("0.0.0.0", "evil.example:7860", False),
        ("0.0.0.0", "", False),
        ("127.0.0.1", "192.168.1.2:7860", False),
    ],
)
def test_only_addresses_and_own_names_lead_to_a_page_for_all(
    tmp_path: Path, host: str, called: str, is_meant: bool
) -> None:
    async def ok(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)

    names, any_address = server._hosts(host)
    app = guard.Guard(ok, Uploads(tmp_path), names, any_address=any_address)

    async def status() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return (await client.get("/", headers={"Host": called})).status_code

    assert anyio.run(status) == (200 if is_meant else 403)


def test_what_steers_a_terminal_is_neither_shown_nor_warned_of(sure: Path, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(melody())
    sent = {"path": str(tmp_path / "x.wav"), "orig_name": "\x1b[31m\x9b\U000f0000.wav"}
    model = model_folder.load(sure)
    asked = Asked(model, [("it", model)])
    with Uploads(tmp_path).taken([sent]) as (upload,), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not {"\x1b", "\x9b"} & set(upload.name)
        assert upload.name in views.long_sound(asked, upload, by_hits=True, window=None, hop=None)


HEAD = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.wav"\r\n\r\n'


@pytest.mark.parametrize(
    ("parts", "headers", "status"),
    [
        ([(HEAD + b"x", False)], {}, 411),
        ([(HEAD + b"x", False)], {"content-length": "1", "transfer-encoding": "chunked"}, 411),
        ([(HEAD + bytes(5000), True), (bytes(5000), False)], {"content-length": "5000"}, 413),
        ([(HEAD + bytes(5000), True)], {"content-length": "30000"}, 408),  # and nothing more comes
        ([(HEAD + bytes(5000), True), None], {"content-length": "30000"}, 500),  # it is gone, to whom this is told
        ([(b"\r\n".join([HEAD] * 4) + b"\r\n--b--\r\n", False)], {"content-length": "10000"}, 413),
    ],
)
def test_an_upload_that_breaks_off_or_is_more_than_it_says_takes_no_room(
    sure: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: list[tuple[bytes, bool] | None],
    headers: dict[str, str],
    status: int,
) -> None:
    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):
        monkeypatch.setenv(name, "")  # put back after the test
    monkeypatch.setattr(guard, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(uploads, "MOST_FILES", 3)
    model = model_folder.load(sure)
    app = server.application(Asked(model, [("it", model)]), Uploads(tmp_path), ["here"])
    raw = {"host": "here", "content-type": "multipart/form-data; boundary=b", **headers}
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "query_string": b"", "root_path": ""}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in raw.items()]
    waiting, told = list(parts), list[int]()

    async def receive() -> dict[str, Any]:
        if not waiting:
            await anyio.sleep_forever()
        part = waiting.pop(0)
        return {"type": "http.request", "body": part[0], "more_body": part[1]} if part else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message.get("status", 0))

    async def ask() -> None:
        with anyio.fail_after(20):
            await app(scope, receive, send)

    anyio.run(ask)
    assert told[0] == status
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_uploads_are_gone_after_use_whatever_comes_and_others_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Uploads(tmp_path / "here")
    (tmp_path / "here" / "a").mkdir(parents=True)
    sent = {"path": str(tmp_path / "here" / "a" / "x.wav"), "orig_name": "kick.wav"}

    def send() -> None:
        Path(sent["path"]).parent.mkdir(exist_ok=True)
        Path(sent["path"]).write_bytes(b"sound")

    send()
    with here.taken([sent]) as found:
        assert found == [Upload(Path(sent["path"]), "kick.wav")]
    assert list(here.folder.iterdir()) == []
    send()
    with pytest.raises(ZeroDivisionError), here.taken([sent]):
        raise ZeroDivisionError
    assert list(here.folder.iterdir()) == []
    outside = tmp_path / "outside.wav"
    outside.write_bytes(b"mine")
    send()
    with pytest.raises(AudioidError, match="send it again"), here.taken([sent, {"path": str(outside)}]):
        pass
    assert list(here.folder.iterdir()) == []
    assert outside.exists()
    monkeypatch.setattr(uploads, "MOST_FILES", 1)
    send()
    with pytest.raises(AudioidError, match="2 files are more than 1"), here.taken([sent, sent]):
        pass
    assert list(here.folder.iterdir()) == []
    send()
    (here.folder / "broken off").write_bytes(b"so")
    os.utime(here.folder / "broken off", times=(0, 0))
    with here.coming():
        assert [path.name for path in here.folder.iterdir()] == ["a"]
        assert here.has_room(10)
        assert not here.has_room(uploads.MOST_BYTES)
        (here.folder / "another").write_bytes(b"")
        assert not here.has_room(10)  # since there are two files
        with here.coming():
            pass
        assert (here.folder / "another").exists()
    assert [path.name for path in here.folder.iterdir()] == ["a"]


def test_the_same_file_of_two_senders_is_answered_to_both(page: Page, place: Path) -> None:
    sound = [("same.wav", one_tone("low"))]
    (one,), (other,) = page.upload(sound), page.upload(sound)
    assert one["path"] == other["path"]
    assert "<h3>low</h3>" in page.ask(SOUND, one)
    assert "<h3>low</h3>" in page.ask(SOUND, other)
    assert left(place) == []
    twice = [("same.wav", one_tone("high"))] * 2  # one sender, from two folders
    assert page.show(MANY, twice).count("<b>high</b>") == 3  # above the table, too
    many = page.upload([(f"{number}.wav", bytes(100)) for number in range(30)])  # Gradio would compress so many paths
    page.ask(MANY, many)
    assert left(place) == []


def test_what_was_sent_twice_and_asked_about_once_goes_after_a_while(tmp_path: Path) -> None:
    here = Uploads(tmp_path)
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "x.wav"
    file.write_bytes(b"sound")
    for _ in range(2):
        here.arrived([str(file)])
    with here.taken([{"path": str(file)}]):
        pass
    assert file.exists()
    os.utime(tmp_path / "a", times=(0, 0))
    here.sweep()
    assert not file.exists()
    file.parent.mkdir()
    file.write_bytes(b"sound")
    here.arrived([str(file)])
    with here.taken([{"path": str(file)}]):
        pass
    assert list(tmp_path.iterdir()) == []  # what was swept away is no longer waited for


def test_a_recording_that_is_too_long_is_told(sure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LONGEST", 1.0)
    (tmp_path / "melody.wav").write_bytes(melody())
    (tmp_path / "low.wav").write_bytes(one_tone("low"))
    too_long, low = Upload(tmp_path / "melody.wav", "la.wav"), Upload(tmp_path / "low.wav", "low.wav")
    model = model_folder.load(sure)
    asked = Asked(model, [("it", model)])
    for view in (
        lambda: views.one_sound(asked, too_long),
        lambda: views.long_sound(asked, too_long, by_hits=True, window=None, hop=None),
    ):
        with pytest.raises(Unreadable, match=re.escape("is longer than 0.0166667 minutes; cut it")):
            view()
    shown = views.many_sounds(asked, [low, too_long, low])
    assert shown.count("is longer than") == 1
    assert shown.count("<td><b>low</b>") == 2


@pytest.mark.parametrize(("channels", "told"), [(1, "is longer than"), (2, "holds more than 30,000 samples")])
def test_how_long_it_is_is_decoded_where_its_header_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, told: str
) -> None:
    monkeypatch.setattr(audio, "SEARCH_VALUES", 1000)  # as far as the onset is looked for
    monkeypatch.setattr(uploads, "MOST_VALUES", 30_000)
    monkeypatch.setattr(uploads, "LONGEST", 2.5)
    for rate, fits in ((10_000, True), (8_000 if channels == 1 else 10_000, False)):
        frames = 14_000 if channels == 2 and fits else 24_000
        content = io.BytesIO()
        soundfile.write(content, np.zeros((frames, channels)), rate, format="FLAC")
        flac = bytearray(content.getvalue())
        flac[21] &= 0xF0  # the length in STREAMINFO: 36 bits
        flac[22:26] = bytes(4)
        (tmp_path / "x.flac").write_bytes(flac)
        upload = Upload(tmp_path / "x.flac", "x.flac")
        if fits:
            uploads.checked_length(upload)
        else:
            with pytest.raises(Unreadable, match=told):
                uploads.checked_length(upload)


def test_a_header_that_claims_too_much_to_decode_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.wav").write_bytes(wav(np.zeros(10)))
    monkeypatch.setattr(uploads, "MOST_VALUES", 9)
    with pytest.raises(Unreadable, match="holds more than 9 samples"):
        uploads.checked_length(Upload(tmp_path / "x.wav", "x.wav"))


@pytest.mark.parametrize(
    "path",
    ["../secret.wav", "/etc/passwd", "{root}/secret.wav", "notes.txt", "..\\secret.wav", "gone.wav", "link.wav"],
)
def test_a_model_folder_cannot_have_files_of_the_machine_played(sure: Path, tmp_path: Path, path: str) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for file in (tmp_path / "secret.wav", recordings / "notes.txt", tmp_path / "sound.wav"):
        file.write_bytes(one_tone("low"))
    (recordings / "link.wav").symlink_to(tmp_path / "secret.wav")
    model = model_folder.load(sure)
    assert model.known
    hostile = replace(model, known=[KnownRecording(path.format(root=tmp_path), "low") for _ in model.known])
    shown = views.one_sound(Asked(hostile, [("it", hostile)], recordings), Upload(tmp_path / "sound.wav", "sound.wav"))
    assert len(DATA.findall(shown)) == 1  # the sound itself
    assert shown.count("not there, or not to be read") == views.NEAREST


def test_names_out_of_a_model_folder_are_text(sure: Path, tmp_path: Path) -> None:
    nasty, no_text = '<script>alert("1")</script>$x^2$', "\ud800"  # labels are text in any case
    model = model_folder.load(sure)
    assert model.known
    known = [KnownRecording(f"{nasty}{no_text}.wav", nasty + no_text) for _ in model.known]
    hostile = replace(model, labels=[f"{nasty}{number}" for number in range(3)], known=known)
    asked = Asked(hostile, [(nasty + no_text, hostile)])
    (tmp_path / "x.wav").write_bytes(melody())
    sound = Upload(tmp_path / "x.wav", f"{nasty}.wav")
    for shown in (
        views.one_sound(asked, sound),
        views.many_sounds(asked, [sound]),
        views.long_sound(asked, sound, by_hits=True, window=None, hop=None),
        views.known(asked),
        views.failed(nasty),
    ):
        assert "script" in shown
        assert "<script" not in shown
        assert shown.encode()  # it can be sent


def test_of_several_clips_that_is_shown_which_speaks_most_for_the_name(sure: Path, tmp_path: Path) -> None:
    model = model_folder.load(sure)
    model = replace(model, audio={**model.audio, "windows": "all"})
    rng = np.random.default_rng(3)
    (tmp_path / "x.wav").write_bytes(wav(np.concatenate([tone(label, rng) for label in ("high", "low", "low")])))
    shown = views.one_sound(Asked(model, [("it", model)]), Upload(tmp_path / "x.wav", "x.wav"))
    assert re.search("clip [23] of 3: that which speaks most for low", shown)
    assert "of it are heard here" not in shown
    shown = views.one_sound(
        Asked(first := model_folder.load(sure), [("it", first)]), Upload(tmp_path / "x.wav", "x.wav")
    )
    assert "It is 0.8 s long, and 0.25 s of it are heard here; Timeline names the rest." in shown


def test_models_that_disagree_say_so(sure: Path, trained: Path, tmp_path: Path) -> None:
    one, other = model_folder.load(sure), model_folder.load(trained)
    other = replace(other, labels=one.labels)
    for parameter in other.classifier.network.parameters():
        parameter.neg_()
    model = together({"one": one, "other": other})
    (tmp_path / "x.wav").write_bytes(one_tone("low"))
    asked = Asked(model, list(zip(("one", "other"), single_models(model), strict=True)))
    shown = views.one_sound(asked, Upload(tmp_path / "x.wav", "x.wav"))
    assert re.search(r"\d of 2 models find", shown)
    assert "one says low (" in shown
    assert len(re.findall("<svg", shown)) == 5


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--port", "99999"], "--port: 99999 is none; choose one from 1024 to 65535"),
        (["--recordings", "nowhere"], "--recordings: nowhere is no folder; name that of the recordings"),
    ],
)
def test_a_mistake_is_told_before_anything_heavy_is_loaded(arguments: list[str], line: str) -> None:
    code = (
        "import atexit, sys; sys.argv = ['serve', 'it', *sys.argv[1:]]; from audioid.commands.serve import main\n"
        "atexit.register(lambda: print(sorted({'torch', 'gradio', 'captum', 'matplotlib'} & set(sys.modules))))\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "[]\n", f"error: {line}\n")


def test_a_port_in_use_is_told(sure: Path) -> None:
    model = model_folder.load(sure)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AudioidError, match=f"--port: {port} is in use; choose another, such as --port {port + 1}"):
            server.serve(Asked(model, [("it", model)]), host="127.0.0.1", port=port, started=print)


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["serve", "builtin"])
    with pytest.raises(
        SystemExit, match=re.escape("error: serve: needs the package gradio; pip install 'audioid[serve]'")
    ):
        serve.main()


@pytest.mark.parametrize(
    ("place", "known", "told"),
    [
        ("drums", True, None),
        ("", True, "none of the 61 recordings learned from is below it; name the folder that they came from"),
        (
            "drums",
            False,
            "the model names no recordings that it has learned from, so that none can be played; leave it out",
        ),
    ],
)
def test_a_folder_without_any_recording_learned_from_is_warned_of(
    sure: Path,
    trained: Path,
    tmp_path: Path,
    place: str,
    known: bool,
    told: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "drums").mkdir()
    (tmp_path / "drums" / "59.wav").write_bytes(one_tone("low"))
    (tmp_path / "secret.wav").write_bytes(one_tone("low"))
    model = model_folder.load(sure if known else trained)
    if model.known:  # a model folder may name anything
        model = replace(model, known=[KnownRecording("drums/../secret.wav", "low"), *model.known])
    serve.warn_of_strange(tmp_path / place, learned_from([model]))
    line = f"warning: --recordings: {tmp_path / place}: {told}\n"
    assert capsys.readouterr().err == (line if told else "")


@pytest.mark.parametrize(("number", "host"), [(signal.SIGTERM, "127.0.0.1"), (signal.SIGINT, "0.0.0.0")])
def test_uploads_are_gone_when_the_page_is_stopped_and_another_host_is_warned_of(
    sure: Path, tmp_path: Path, number: signal.Signals, host: str
) -> None:
    strange = tmp_path / "no recordings"
    strange.mkdir()
    with serving(sure, "--host", host, "--recordings", strange, temporary=tmp_path) as (address, process):
        Page(address.replace("0.0.0.0", "127.0.0.1")).upload([("x.wav", one_tone("low"))])
        assert len(left(tmp_path)) == 1
        process.send_signal(number)
        assert process.wait(60) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"page.log", strange.name}  # nothing of Gradio's either
    told = (tmp_path / "page.log").read_text()
    assert told.startswith(f"warning: --recordings: {strange}: none of the 60 recordings learned from is below it; ")
    warning = "warning: --host 0.0.0.0: everybody who reaches this address may send sounds to it, unencrypted\n"
    assert told.partition("\n")[2] == (warning if host == "0.0.0.0" else "")


def test_a_page_that_still_answers_is_stopped_at_once(
    sure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, begun = tmp_path / "slow.py", tmp_path / "begun"
    script.write_text(
        "import pathlib, time\nfrom audioid.commands.serve import main\n"
        "from audioid.identification.page import layout\n"
        f"layout.one_sound = lambda *_: (pathlib.Path({str(begun)!r}).touch(), time.sleep(40))\n"
        "main()\n"
    )
    monkeypatch.setattr(page_client, "SERVE", script)
    with serving(sure, temporary=tmp_path) as (address, process):
        page = Page(address)
        body = {"data": page.upload([("x.wav", one_tone("low"))]), "fn_index": page.questions[SOUND]}
        page.http.post("/gradio_api/queue/join", json={**body, "session_hash": "a"}).raise_for_status()
        while not begun.exists():
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert list(tmp_path.glob("audioid-*")) == []


def test_the_browser_is_told_how_far_it_has_come(sure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        "import time\nfrom audioid.commands.serve import main\nfrom audioid.identification.page import layout\n"
        "layout.many_sounds = lambda asked, sounds, told: (told(0.25), time.sleep(2), 'done')[2]\n"
        "main()\n"
    )
    monkeypatch.setattr(page_client, "SERVE", script)
    with serving(sure, temporary=tmp_path) as (address, _):
        page = Page(address)
        body = {"data": [page.upload([("x.wav", one_tone("low"))])], "fn_index": page.questions[MANY]}
        page.http.post("/gradio_api/queue/join", json={**body, "session_hash": "a"}).raise_for_status()
        events = page.http.get("/gradio_api/queue/data", params={"session_hash": "a"}).text
    told = [each for line in events.splitlines() if line for each in [json.loads(line.removeprefix("data: "))]]
    shares = [part["progress"] for each in told if each["msg"] == "progress" for part in each["progress_data"]]
    assert 0.25 in shares
    assert "done" in events
