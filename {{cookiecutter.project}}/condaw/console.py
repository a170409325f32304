"""What people read: plain lines on stderr, so that stdout stays for results."""

from __future__ import annotations

import sys

quiet = False
"""Set by `-q`: progress and good news stay unsaid; failures and findings do not."""


def note(text: str) -> None:
    """Say what is going on, unless quiet."""
    if not quiet:
        warn(text)


def warn(text: str) -> None:
    """Say it in any case."""
    print(f"condaw: {text}", file=sys.stderr, flush=True)


def on_terminal() -> bool:
    """Whether progress bars make sense."""
    return not quiet and sys.stderr.isatty()
