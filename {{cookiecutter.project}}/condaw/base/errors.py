"""A failure, with its cause and the next step, and no secret in either."""

import errno
import os
import re

RETRY = "run the command again: python -m condaw create"  # the next step after most failures
FULL = {errno.ENOSPC, 112} if os.name == "nt" else {errno.ENOSPC, errno.EDQUOT}
DENIED = {5, 32} if os.name == "nt" else {errno.EPERM, errno.EROFS, errno.EBUSY}
IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY}
"""Error numbers: errno(3), and of Windows ERROR_DISK_FULL, ACCESS_DENIED and SHARING_VIOLATION."""

SECRETS = {
    # An @ past the first slash may be of a password with a slash: all of it may be secret.
    r"(://)[^\s/?#]*[/?#]\S*@\S*": r"\1*****",
    r"(://)[^\s/?#]*@": r"\1",
    # A password with a space, if it does not begin like a port.
    r"(://)[^\s/@:?#[]*:(?!\s|\d{1,5}\b)[^\n@]*@\S*": r"\1*****",
    # A proxy without a scheme; `pkg:` is a package URL.
    r"(?<![^\s'\"(=<])(?!pkg:)[^\s:/@'\"(=<]+:\S*@\S+": "*****",
    r"(://\S*?/t/)[^/\s)'\"]+": r"\1*****",
    r"\?[^\s?=]*=\S*?(?=[])}'\",;:.]*(?:\s|$))": "?*****",
}
"""Patterns of secrets, and what stays of each."""


class CannotError(Exception):
    """Work that could not be done: why, in a sentence, and what to try next; without secrets."""

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(redacted(cause))
        self.cause = redacted(cause)
        self.next_step = redacted(next_step)


def redacted(text: str) -> str:
    """Return `text` without what may be secret in the URLs and proxies that it names."""
    # To compile the patterns takes as long as all of `status`; each needs one of these.
    for pattern, rest in SECRETS.items() if any(sign in text for sign in ("://", "@", "?")) else ():
        text = re.sub(pattern, rest, text)
    return text


def without_user(url: str) -> str:
    """Return a URL or a proxy without user and password; its last @ ends them."""
    scheme = re.match(r"\w[\w+.-]*://|", url)
    return scheme[0] + url[scheme.end() :].rpartition("@")[2] if scheme else url


def next_step_after(problem: str | OSError, otherwise: str) -> str:
    """Return what to do, by the number of a system's error in `problem` (of Rust or Python)."""
    text = str(problem)
    numbers = set(map(int, re.findall(r"(?:\(os error |\[Errno |\[WinError )(\d+)[)\]]", text)))
    if numbers & FULL:
        return "make room on the disk"
    if numbers & {errno.EACCES, *DENIED}:
        return "make it writable, and stop what is using it"
    return "remove what is in its way" if numbers & IN_THE_WAY else otherwise
