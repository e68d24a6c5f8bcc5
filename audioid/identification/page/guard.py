"""What stands before Gradio: it serves what the page needs, to those for whom it is meant, and nothing else.

Gradio has many more routes (a proxy for other addresses, links to share, an editor of its own code), and takes a sound
that a client names by path or address instead of sending it.
"""

import json
import logging
from collections.abc import Collection, Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audioid.identification.page.uploads import Uploads

logger = logging.getLogger(__name__)

API = "/gradio_api"
SERVED = {
    "GET": {"/", "/config", "/favicon.ico", "/manifest.json", "/theme.css", f"{API}/info", f"{API}/startup-events"}
    | {f"{API}/queue/data", f"{API}/upload_progress", f"{API}/theme.css"},
    "POST": {f"{API}/queue/join", f"{API}/upload", f"{API}/cancel", f"{API}/reset"},
}
SERVED_BELOW = ("/assets/", "/static/", f"{API}/heartbeat/")
FILE = f"{API}/file="
FORWARDED = (b"x-forwarded-", b"forwarded", b"x-real-ip")
UPLOAD = f"{API}/upload"
TOO_MUCH = (413, "That is too much at once; try again with less, or later.")
LONGEST_PAUSE = 30.0  # seconds in which nothing of an upload comes
CHECKED = 2**20  # bytes after which it is looked whether there is still room
LARGEST_QUESTION = 2**20  # bytes
HEADERS = {
    # Nothing is loaded from elsewhere, nor may what a file is called send anything there.
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """An ASGI application around another.

    Args:
        hosts: by which names, without a port, browsers may call the page. Pages elsewhere may have their own name
            lead here (DNS rebinding).
        any_address: whether they may by any IP address, too.
    """

    def __init__(self, app: ASGIApp, uploads: Uploads, hosts: Collection[str], *, any_address: bool = False) -> None:
        self.app, self.uploads, self.hosts, self.any_address = app, uploads, hosts, any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            # Whoever asks for what is not there shall not fill the terminal.
            logger.warning("%s %r: %r", scope["method"], scope["path"], error)
            logger.debug("", exc_info=True)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the start and the end of the application; there are no sockets
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        # What proxies tell of another address is told by whoever asks: there is none before this page.
        told = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(FORWARDED)]
        scope = {**scope, "headers": told}
        headers, path = Headers(scope=scope), scope["path"]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        async def refuse(status: int, reason: str) -> None:
            await PlainTextResponse(reason, status)(scope, receive, with_headers)

        if not self._is_meant_for(scope["method"], path, headers):
            await refuse(403, "This page is for the machine that it runs on.")
        elif not self._is_served(scope["method"], path):
            await refuse(404, "There is no such thing here.")
        elif path == UPLOAD:
            size = headers.get("content-length", "")
            if not size.isdecimal() or "transfer-encoding" in headers:
                await refuse(411, "Tell how much is sent.")
                return
            arriving = Arriving(receive, with_headers, self.uploads, int(size))
            with self.uploads.coming():
                if self.uploads.has_room(int(size)):
                    plain = [(name, value) for name, value in told if name.lower() != b"accept-encoding"]
                    with suppress(ClientDisconnect):
                        await self.app({**scope, "headers": plain}, arriving.receive, arriving.send)
                else:
                    arriving.refused = TOO_MUCH
            if arriving.refused:
                await refuse(*arriving.refused)
        elif path == f"{API}/queue/join":
            body = await _body(receive)
            if body is None or not self._asks_of_uploads(body):
                await refuse(400, "Only sounds that were sent here are answered.")
            else:
                await self.app(scope, _again(body, receive), with_headers)
        else:
            await self.app(scope, receive, with_headers)

    def _is_meant_for(self, method: str, path: str, headers: Headers) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not (
            (method, path) == ("GET", "/") and headers.get("sec-fetch-mode") == "navigate"
        ):
            return False  # another page may lead here, but not use anything from here
        try:
            if origin is not None and urlsplit(origin).netloc != host:
                return False  # another page in the same browser
            name = urlsplit(f"//{host}").hostname
            return name in self.hosts or (self.any_address and bool(ip_address(name or "")))
        except ValueError:
            return False

    def _is_served(self, method: str, path: str) -> bool:
        if path.startswith(FILE):
            return method in ("GET", "HEAD") and self.uploads.holds(path.removeprefix(FILE))
        served = SERVED.get("GET" if method == "HEAD" else method, ())
        return path in served or (method in ("GET", "HEAD") and path.startswith(SERVED_BELOW))

    def _asks_of_uploads(self, body: bytes) -> bool:
        try:
            return all(self.uploads.holds(path) for path in _paths(json.loads(body)))
        except (ValueError, RecursionError):
            return False


class Arriving:
    """An upload on its way to an application, for which it ends early where it stops, or is too much: `refused` is why
    then, and nothing that the application answers is sent."""

    def __init__(self, receive: Receive, send: Send, uploads: Uploads, size: int) -> None:
        self._receive, self._send, self._uploads = receive, send, uploads
        self._left, self._unchecked = size, 0
        self._is_whole = False
        self._answer = b""  # not compressed: the paths by which a browser may ask
        self.refused: tuple[int, str] | None = None

    async def receive(self) -> Message:
        if self._is_whole:  # its end comes alone, so that all that was before it is a file and counts
            if not self._uploads.has_room(0):
                return self._refuse(TOO_MUCH)
            return {"type": "http.request", "body": b"", "more_body": False}
        try:
            with anyio.fail_after(LONGEST_PAUSE):
                message = await self._receive()
        except TimeoutError:
            return self._refuse((408, "Nothing came for a while; send it again."))
        if message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        self._left, self._unchecked = self._left - size, self._unchecked + size
        if self._left < 0:
            return self._refuse(TOO_MUCH)
        if self._unchecked >= CHECKED:
            self._unchecked = 0
            if not self._uploads.has_room(size):
                return self._refuse(TOO_MUCH)
        self._is_whole = not message.get("more_body")
        return {**message, "more_body": True}

    async def send(self, message: Message) -> None:
        if self.refused:
            return
        self._answer += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            with suppress(ValueError):  # it was refused for a reason in words
                self._uploads.arrived(path for path in json.loads(self._answer) if self._uploads.holds(path))
        await self._send(message)

    def _refuse(self, why: tuple[int, str]) -> Message:
        self.refused = why
        return {"type": "http.disconnect"}


async def _body(receive: Receive) -> bytes | None:
    """All that is sent; None where that is too much, or breaks off."""
    body = b""
    while len(body) <= LARGEST_QUESTION:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    """As `receive`, with a body that was read already before all else."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _paths(value: Any) -> Iterator[Any]:
    """Whatever may be the path of a file, at any depth."""
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        for each in value.values():
            yield from _paths(each)
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each)
