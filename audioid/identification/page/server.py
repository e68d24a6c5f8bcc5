"""The page at an address of this machine, until it is stopped."""

import errno
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI
from gradio import routes

from audioid.errors import AudioidError
from audioid.identification.page.guard import Guard
from audioid.identification.page.layout import CSS, THEME, layout
from audioid.identification.page.uploads import LARGEST, Uploads
from audioid.identification.page.views import Asked

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def serve(asked: Asked, *, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serves the page until the process is interrupted or terminated; `started` is called with its address.

    Uploads lie in a temporary folder that is gone in the end. `port` may be 0, for any that is free.

    Raises:
        AudioidError: the address cannot be used.
        KeyboardInterrupt: it was stopped, by whatever signal.
    """
    with _listening(host, port) as listening:
        _stop_on_signals()
        with tempfile.TemporaryDirectory(prefix="audioid-") as folder:
            uploads = Uploads(Path(folder))
            app = application(asked, uploads, *_hosts(host))
            config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, proxy_headers=False)
            server = uvicorn.Server(config)
            number = listening.getsockname()[1]
            started(f"http://{f'[{host}]' if ':' in host else host}:{number}/")
            server.run(sockets=[listening])


def application(asked: Asked, uploads: Uploads, hosts: Collection[str], any_address: bool = False) -> Guard:
    """The page as an ASGI application, for browsers that call it by these `hosts`, or by `any_address`."""
    routes.DEFAULT_TEMP_DIR = str(uploads.folder)  # read from the environment when Gradio is imported, thus too early
    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE"):  # all that Gradio writes
        os.environ[name] = str(uploads.folder)
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        layout(asked, uploads),
        path="/",
        theme=THEME,
        css=CSS,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=LARGEST,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    return Guard(app, uploads, hosts, any_address=any_address)


def _hosts(host: str) -> tuple[Collection[str], bool]:
    """By which names browsers may call the page that listens at `host`, and whether by any IP address."""
    if host in LOOPBACK:
        return LOOPBACK, False
    own = socket.gethostname().lower()
    return LOOPBACK | {host.lower(), own, f"{own}.local"}, True


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AudioidError(f"--port: {port} is in use; choose another, such as --port {port + 1}") from None
        if error.errno == errno.EACCES:
            raise AudioidError(f"--port: {port} is not yours to use; choose one above 1023") from None
        told = f"--host: {host} is no address of this machine ({error.strerror})"
        raise AudioidError(f"{told}; leave it out for this machine alone, or 0.0.0.0 for all networks") from None


def _stop_on_signals() -> None:
    """Whatever ends the process does so as Ctrl-C, so that what lies in the temporary folder is removed."""
    for name in ("SIGTERM", "SIGHUP"):  # as Ctrl-C, so that the folder is removed
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # it may be ignored, as by nohup
            signal.signal(number, signal.default_int_handler)
