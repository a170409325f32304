"""A folder over http on loopback: a channel, an index or a mirror for tools and tests."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *arguments: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Each connection has a thread, and none waits to be let in."""

    daemon_threads = True
    # Beyond it, Linux drops who knocks, and that one comes back in a second.
    request_queue_size = 128


@contextmanager
def running(server: http.server.ThreadingHTTPServer) -> Iterator[None]:
    """Let `server` answer from a thread of its own, until the block ends."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def served(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    """The URL under which `handler` serves `folder`, until the block ends."""
    bound = functools.partial(handler, directory=str(folder))
    with Server(("127.0.0.1", 0), bound) as server, running(server):
        yield f"http://127.0.0.1:{server.server_port}"
