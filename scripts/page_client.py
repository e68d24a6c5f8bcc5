"""`audioid serve` in a process of its own, and a client that asks it as browsers do, for its tests and benchmarks."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

SERVE = Path(__file__).with_name("serve.py")
SOUND, MANY, TIMELINE = "sound", "files", "recording"  # where a sound may be dropped


class Page:
    """A page that runs at an address."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=60)
        config = self.http.get("/config").raise_for_status().json()
        names = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
        self.questions = {names[each["targets"][0][0]]: each["id"] for each in config["dependencies"]}

    def upload(self, files: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
        """Sends files by name; returns what the page wants to know them by."""
        sent = self.http.post("/gradio_api/upload", files=[("files", file) for file in files]).raise_for_status().json()
        meta = {"_type": "gradio.FileData"}
        return [{"path": path, "orig_name": name, "meta": meta} for path, (name, _) in zip(sent, files, strict=True)]

    def ask(self, where: str, *data: Any) -> str:
        """The HTML that is shown where `data` has been dropped and set.

        Raises:
            httpx.HTTPError: the page refuses the question, or is not there.
        """
        session = os.urandom(8).hex()
        body = {"data": data, "fn_index": self.questions[where], "session_hash": session}
        self.http.post("/gradio_api/queue/join", json=body).raise_for_status()
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as events:
            for line in events.iter_lines():
                told = json.loads(line.removeprefix("data: ") or "{}")
                if told.get("msg") == "process_completed":
                    if not told["success"]:
                        raise httpx.HTTPError(str(told["output"]))
                    return str(told["output"]["data"][1])
        raise httpx.HTTPError("the page ended before its answer")

    def show(self, where: str, files: Sequence[tuple[str, bytes]], *settings: Any) -> str:
        """As `ask` where these files are sent before."""
        sent = self.upload(files)
        return self.ask(where, sent if where == MANY else sent[0], *settings)


@contextmanager
def serving(*arguments: object, temporary: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a page with these arguments, and its process, which is terminated in the end.

    Its uploads lie below `temporary`, and in `page.log` there what it says of errors.
    """
    command = [sys.executable, str(SERVE), *map(str, arguments), "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with (temporary / "page.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert process.stdout
        try:
            yield process.stdout.readline().partition(" ")[0], process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            process.stdout.close()
