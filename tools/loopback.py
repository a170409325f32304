"""Serve a folder over http on loopback: a channel, an index or a mirror for tools and tests."""

from __future__ import annotations

import functools
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that logs nothing."""

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server with a thread for each connection."""

    daemon_threads = True
    # Beyond it, Linux drops new connections, and clients try again after a second.
    request_queue_size = 128

    def handle_error(self, *arguments: object) -> None:
        """Log nothing: who refuses a certificate tells that itself."""


@contextmanager
def running(server: http.server.ThreadingHTTPServer) -> Iterator[None]:
    """Run `server` in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def served(
    folder: Path, handler: type[Quiet] = Quiet, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve `folder` with `handler` until the block ends, over https with `tls`; yield its URL."""
    bound = functools.partial(handler, directory=str(folder))
    with Server(("127.0.0.1", 0), bound) as server:
        if tls:
            # The handshake belongs to the thread of the connection.
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        with running(server):
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
