"""known_hosts, read once, and the verdict on the key that a host shows.

The rules are sshd(8)'s, "SSH_KNOWN_HOSTS FILE FORMAT". paramiko's reader takes quadratic time
and knows no wildcards, negation or markers.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .failures import Failure


class Line(NamedTuple):
    """One line of known_hosts: a key in base64, and where it stands, as file:line."""

    marker: str
    kind: str
    key: str
    where: str


@dataclass(frozen=True, slots=True)
class Trust:
    """What known_hosts holds for one name; `mode` is strict, accept-new or insecure."""

    name: str
    lines: tuple[Line, ...]
    mode: str = "strict"
    file: str = "known_hosts"

    def judge(self, kind: str, key: str) -> str:
        """Accept a key or raise Failure. Returns the line to add for a first key, else ''."""
        digest = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode()
        shown = f"{self.name} shows {kind} SHA256:{digest.rstrip('=')}"
        own = [line for line in self.lines if not line.marker]
        for line in self.lines:
            if line.marker == "@revoked" and line.key == key:
                raise Failure("host-key-changed", f"{shown}, @revoked at {line.where}: stay away")
        if self.mode == "insecure" or any(line.key == key for line in own):
            return ""
        if own:
            remedy = f"ask its owner; if it is right, ssh-keygen -R '{self.name}' -f '{self.file}'"
            raise Failure("host-key-changed", f"{shown}, not the key at {own[0].where}: {remedy}")
        for line in self.lines:
            if line.marker == "@cert-authority":
                remedy = "certificates are not checked here, so add the host's own key"
                raise Failure("host-key-unknown", f"{shown}; {line.where} names a CA: {remedy}")
        if self.mode == "accept-new":
            return f"{self.name} {kind} {key}\n"
        remedy = "compare it with its owner's, then use --accept-new once"
        raise Failure("host-key-unknown", f"{shown}, not in {self.file}: {remedy}")

    def algorithms(self) -> set[str]:
        """The host key algorithms to ask for: those of the keys that are known."""
        kinds = {line.kind for line in self.lines if not line.marker}
        return kinds | ({"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in kinds else set())


class KnownHosts:
    """known_hosts files, indexed by name. Keys that are learned go into the first file."""

    def __init__(self, files: Iterable[str], mode: str) -> None:
        """Read the files that exist. Raises OSError for one that cannot be read."""
        self.files, self.mode = [Path(file).expanduser() for file in files], mode
        self._plain: dict[str, list[Line]] = {}
        self._hashed: list[tuple[bytes, bytes, Line]] = []
        self._patterns: list[tuple[list[str], Line]] = []
        for file in filter(Path.is_file, self.files):
            text = file.read_text("utf-8", "replace")
            for number, line in enumerate(text.splitlines(), 1):
                self._index(line.split(), f"{file}:{number}")

    def trust(self, host: str, port: int, alias: str | None = None) -> Trust:
        """What is known of a host; `alias` is the HostKeyAlias of ssh_config."""
        name = (alias or (host if port == 22 else f"[{host}]:{port}")).lower()
        return Trust(name, tuple(self._find(name)), self.mode, str(self.files[0]))

    def add(self, line: str) -> None:
        """Append the line of a first key; '' is none. Raises OSError."""
        if not line or line.split()[2] in (known.key for known in self._find(line.split()[0])):
            return
        file = self.files[0]
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("a+b") as stream:
            stream.seek(max(0, stream.seek(0, 2) - 1))
            stream.write((b"" if stream.read() in (b"", b"\n") else b"\n") + line.encode())
        self._index(line.split(), str(file))

    def _index(self, fields: list[str], where: str) -> None:
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#"):
            return
        names, line = fields[0], Line(marker, fields[1], fields[2], where)
        if re.fullmatch(r"\|1\|[\w+/]{27}=\|[\w+/]{27}=", names):
            salt, digest = map(base64.b64decode, names[3:].split("|"))
            self._hashed.append((salt, digest, line))
        elif re.search(r"[*?!]", names):
            self._patterns.append((names.lower().split(","), line))
        else:
            for name in names.lower().split(","):
                self._plain.setdefault(name, []).append(line)

    def _find(self, name: str) -> list[Line]:
        found = list(self._plain.get(name, ()))
        found += [line for patterns, line in self._patterns if _matches(patterns, name)]
        salted = name.encode()
        return found + [e for salt, d, e in self._hashed if hmac.digest(salt, salted, "sha1") == d]


def _matches(patterns: list[str], name: str) -> bool:
    def hit(pattern: str) -> bool:
        wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(wild, name) is not None

    negated = any(hit(pattern[1:]) for pattern in patterns if pattern.startswith("!"))
    return not negated and any(map(hit, patterns))
