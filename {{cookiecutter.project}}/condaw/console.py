"""What people read: plain lines on stderr, so that stdout stays for results."""

from __future__ import annotations

import sys

LONGEST = 2000
"""Characters of one message."""
quiet = False
"""Set by `-q`: progress and good news stay unsaid; failures and findings do not."""


def note(text: str) -> None:
    """Say what is going on, unless quiet."""
    if not quiet:
        warn(text)


def warn(text: str) -> None:
    """Say it in any case."""
    print(f"condaw: {plain(text)}", file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """One line of `text` that no terminal obeys: control characters are shown as escapes.

    Names and messages from archives, locks and other programs end up in what is printed.
    """
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def on_terminal() -> bool:
    """Whether progress bars make sense."""
    return not quiet and sys.stderr.isatty()
