"""A failure, with its cause and the next step, and no secret in either."""

import errno
import re

RETRY = "run the command again: python -m condaw create"
"""The next step after most failures."""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, 112}
"""errno(3); 112 is ERROR_DISK_FULL of Windows."""
DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ETXTBSY, 32}
"""errno(3), whose EACCES (13) Python also gives for Windows' 5; 32 is ERROR_SHARING_VIOLATION."""


class CannotError(Exception):
    """Work that could not be done.

    `cause` is one sentence for people; `next_step` is the command or action to try next.
    Both are redacted: they hold no password or token of a URL.
    """

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(redacted(cause))
        self.cause = redacted(cause)
        self.next_step = redacted(next_step)


def redacted(text: str) -> str:
    """Return `text` without the passwords and tokens that URLs in it hold."""
    text = re.sub(r"(://)[^/@\s]*@", r"\1", text)
    return re.sub(r"(://\S*?/t/|[?&][\w-]*token=)[^/&\s)'\"]+", r"\1*****", text, flags=re.I)


def next_step_after(problem: str | OSError, otherwise: str) -> str:
    """Return what to do about a failure: by its errno if it has one, else `otherwise`.

    `problem` may be the output of another program: Rust ends an error of the system with
    `(os error N)`, Python begins it with `[Errno N]`, whatever the language of the words.
    """
    if isinstance(problem, OSError):
        number = problem.errno
    else:
        found = re.search(r"\(os error (\d+)\)|\[(?:Errno|WinError) (\d+)\]", problem)
        number = int(found[1] or found[2]) if found else None
    if number in NO_ROOM:
        return "make room on the disk"
    if number in DENIED:
        return "make it writable, and stop what is using it"
    return otherwise
