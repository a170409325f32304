"""A host as people write it: [user@]host[:port]."""

import re

from .failures import UsageError
from .yaml_lines import Entry

_HOST = re.compile(
    r"(?:(?P<username>[^@:\s]+)@)?"
    r"(?:\[(?P<v6>[\w.:%]+)\]|(?P<bare>[\da-fA-F]*:[\da-fA-F]*:[\w.:%]*)|(?P<host>\w[\w.-]*))"
    r"(?::(?P<port>\d{1,5}))?"
)


def parse(text: str) -> Entry:
    """Read `[user@]host[:port]`; an IPv6 address with a port has brackets. Raises UsageError."""
    found = _HOST.fullmatch(text)
    if not found or not 0 < int(found["port"] or 22) < 65536:
        user, _, host = text.rpartition("@")
        shown = f"...@{host}" if ":" in user else text  # what follows the colon is a password
        raise UsageError(f"expected [user@]host[:port], not {shown!r}")
    entry: Entry = {"host": found["v6"] or found["bare"] or found["host"]}
    entry |= {"username": found["username"]} if found["username"] else {}
    return entry | ({"port": int(found["port"])} if found["port"] else {})


def is_host(text: object) -> bool:
    """Tell whether this is the name or the address of a host, and nothing else."""
    found = _HOST.fullmatch(text) if isinstance(text, str) else None
    return found is not None and not (found["username"] or found["port"])
