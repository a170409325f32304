"""What a command can come to: an exit code, a failure with its next step, a finding."""

from __future__ import annotations

import re
from typing import NamedTuple

FINE = 0
"""Everything is as the lock says."""
DRIFTED = 1
"""The command worked and found a difference: environment against lock, or lock against inputs."""
USAGE = 2
"""The command line is wrong (argparse uses the same number)."""
CANNOT = 3
"""The command could not do its work; the message says why and what to do."""
RETRY = "run the command again: python -m condaw create"
"""The next step after most failures."""


def redacted(text: str) -> str:
    """`text` without the passwords and tokens that URLs in it hold."""
    text = re.sub(r"(://)[^/@\s]*@", r"\1", text)
    return re.sub(r"(://\S*?/t/|[?&][\w-]*token=)[^/&\s)'\"]+", r"\1*****", text, flags=re.I)


class CannotError(Exception):
    """Work that could not be done.

    `cause` is one sentence for people; `next_step` is the command or action that goes on.
    Neither holds a password or token of a URL, whatever is passed.
    """

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(redacted(cause))
        self.cause = redacted(cause)
        self.next_step = redacted(next_step)


class Finding(NamedTuple):
    """One difference between the prefix and the lock."""

    kind: str
    """One of the kinds listed in docs: package-missing, file-changed, smoke-failed, ..."""
    text: str
    """One sentence that names the package or file."""
    package: str | None = None
    path: str | None = None
    """Relative to the prefix, with forward slashes."""

    def as_dict(self) -> dict[str, str | None]:
        return self._asdict()
