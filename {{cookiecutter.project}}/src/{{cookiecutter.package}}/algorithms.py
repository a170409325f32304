"""What a server offers, and what both sides agree on: RFC 4253, sections 4.2 and 7.1."""

import re
import socket
from typing import Any

from .failures import plain

# What paramiko 5 has no more, and paramiko 4 still has.
_SHA1 = {"kex": r".*-sha1$", "host_key": r"ssh-(rsa|dss)$", "cipher": r"$."}


class Overheard:
    """A socket that keeps the beginning of what it receives.

    In it are the server's greeting and KEXINIT, which name what the server offers; paramiko tells
    neither after a success nor after a failure. It also receives as much as there is, where
    paramiko asks for a packet in three pieces: fewer system calls.
    """

    def __init__(self, connection: socket.socket) -> None:
        """Listen in on a connection."""
        self._connection = connection
        self._waiting = b""
        self.data = b""

    def recv(self, size: int) -> bytes:
        """Receive as a socket does."""
        if not self._waiting:
            self._waiting = self._connection.recv(65536)
            if len(self.data) < 8192:
                self.data += self._waiting
        received, self._waiting = self._waiting[:size], self._waiting[size:]
        return received

    def __getattr__(self, name: str) -> Any:
        """Do everything else as the socket does."""
        return getattr(self._connection, name)

    def greeting(self) -> str:
        """Return the first line of what the server said."""
        return plain(self.data.partition(b"\n")[0].decode("utf-8", "replace"))[:80]

    def offers(self) -> dict[str, list[str]]:
        """Return the algorithms that the server offers, for kex, host_key and cipher."""
        packet = self.data[self.data.find(b"\n", self.data.find(b"SSH-")) + 1 :]
        if packet[5:6] != b"\x14":  # SSH_MSG_KEXINIT
            return {}
        found, at = {}, 22  # after length, padding, type and cookie
        for name in ("kex", "host_key", "cipher"):
            size = int.from_bytes(packet[at : at + 4], "big")
            found[name] = packet[at + 4 : at + 4 + size].decode("ascii", "replace").split(",")
            at += 4 + size
        return found


def agreed(ours: list[str], theirs: list[str]) -> str:
    """Return what both sides agree on: the client's first that the server has."""
    return next((name for name in ours if name in theirs), "")


def incompatible(said: str, offers: dict[str, list[str]]) -> str:
    """Say what a server offers where nothing is in common, and what to do about it."""
    name = next((name for name in _SHA1 if name.replace("_", " ") in said), "kex")
    offered = [plain(algorithm) for algorithm in offers.get(name, [])]
    real = [a for a in offered if not a.startswith(("ext-info-", "kex-strict-"))]
    if real and all(re.match(_SHA1[name], algorithm) for algorithm in real):
        advice = "an old device, SHA-1 only, needs a project made with legacy_ssh=yes"
    else:
        advice = "a newer paramiko may have one of them, or the server may offer more"
    listed = ", ".join(offered[:6]) or "nothing"
    return f"no {name.replace('_', ' ')} algorithm in common, it offers {listed}: {advice}"
