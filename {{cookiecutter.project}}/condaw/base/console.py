"""Messages for people: plain lines on stderr, so that stdout stays free for results."""

import contextlib
import io
import os
import sys

from condaw.base.errors import redacted

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 2000  # characters of one message

CONDAW = "python -m condaw"  # as texts have it; printed as it was started
start = CONDAW.split()  # the words that started condaw, without its own
quiet = False  # set by `--quiet`: progress and good news are not printed; failures and findings are


def tolerate_any_letter() -> None:
    """Let stdout and stderr escape what their encoding has not, and go nowhere if closed."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test may have put another in its place
            stream.reconfigure(errors="backslashreplace")


def note(text: str) -> None:
    """Print what is going on, unless quiet."""
    if not quiet:
        warn(text)


def warn(text: str) -> None:
    """Print `text` even when quiet."""
    with contextlib.suppress(OSError):  # a full disk: the exit code still says how it went
        print(f"condaw: {plain(text)}", file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """Return `text`, from anywhere, as one line without secrets, control characters escaped."""
    shown = redacted(as_started(text))
    shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def as_started(text: str) -> str:
    """Return `text` with CONDAW as the user typed it, such as `python3 path/to/condaw`."""
    if CONDAW not in text or start == CONDAW.split():
        return text
    python, *words = start
    if os.path.dirname(python):
        from shutil import which

        name = os.path.basename(python).removesuffix(".exe")
        python = next(filter(which, (name, "python3", "python", "py")), "python3")
    typed = [f'"{word}"' if " " in word else word for word in (python, *words)]
    return text.replace(CONDAW, " ".join(typed))


@contextlib.contextmanager
def waiting(text: object) -> "Iterator[None]":
    """Say on a terminal, from the third second on, how long `text` has been going on."""
    import threading

    stream, ended = sys.stderr, threading.Event()

    def draw() -> None:
        seconds = 2
        if not ended.wait(seconds):
            while not ended.wait(1):
                seconds += 1
                print(f"\rcondaw: {text}: {seconds} s\x1b[K", end="", file=stream, flush=True)
            print("\r\x1b[K", end="", file=stream, flush=True)

    thread = threading.Thread(target=draw, daemon=True)
    if not quiet and stream.isatty() and os.environ.get("TERM") != "dumb":
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if thread.ident:
            thread.join()
