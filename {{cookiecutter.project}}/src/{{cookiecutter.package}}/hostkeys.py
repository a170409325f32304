"""known_hosts, read once, and the verdict on the key that a host shows.

The rules are sshd(8)'s, "SSH_KNOWN_HOSTS FILE FORMAT". paramiko's reader takes quadratic time
and knows no wildcards, negation or markers.
"""

import base64
import functools
import hashlib
import hmac
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .failures import Failure


class Line(NamedTuple):
    """One key of known_hosts, in base64, and where it stands, as file:line."""

    marker: str
    kind: str
    key: str
    where: str


@dataclass(frozen=True, slots=True)
class Trust:
    """What known_hosts says of one name. `mode` is strict, accept-new or insecure."""

    name: str
    lines: tuple[Line, ...]
    mode: str = "strict"

    def judge(self, kind: str, key: str) -> str:
        """Accept a key, in base64, or raise Failure. Return the line to add for a first key."""
        markers = {line.marker for line in self.lines if line.key == key}
        others = [line.where for line in self.lines if not line.marker]
        if "@revoked" in markers:
            reason = "which is marked @revoked: stay away"
        elif self.mode == "insecure" or "" in markers:
            return ""
        elif others:
            fix = f"ssh-keygen -R '{self.name}' -f '{others[0].rpartition(':')[0]}'"
            reason = f"not the key at {others[0]}: ask its owner; if it is right, run {fix}"
        elif any(line.marker == "@cert-authority" for line in self.lines):
            reason = "and host certificates are not checked here: add the host's own key"
        elif self.mode == "accept-new":
            return f"{self.name} {kind} {key}\n"
        else:
            reason = "not in known_hosts: ask its owner, then use --accept-new once"
        failed = "host-key-changed" if others or "@revoked" in markers else "host-key-unknown"
        digest = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode()
        raise Failure(failed, f"{self.name} shows {kind} SHA256:{digest.rstrip('=')}, {reason}")


class KnownHosts:
    """Some known_hosts files, indexed by name. A first key is added to the first of them."""

    def __init__(self, files: tuple[str, ...]) -> None:
        """Read the files that exist. Raises OSError for one that cannot be read."""
        self.files = [Path(file).expanduser() for file in files]
        self._plain: dict[str, list[Line]] = {}
        self._others: list[tuple[Callable[[str], bool], Line]] = []
        for file in filter(Path.is_file, self.files):
            for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
                self._index(line.split(), f"{file}:{number}")

    def trust(self, host: str, port: int, alias: str | None = None, mode: str = "strict") -> Trust:
        """Return what is known of a host; `alias` is the HostKeyAlias of ssh_config."""
        name = (alias or (host if port == 22 else f"[{host}]:{port}")).lower()
        others = [line for matches, line in self._others if matches(name)]
        return Trust(name, (*self._plain.get(name, ()), *others), mode)

    def add(self, line: str) -> None:
        """Append the line of a first key, if any, unless its name has one. Raises OSError."""
        fields, file = line.split(), self.files[0]
        if not fields or fields[0] in self._plain:
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = file.read_text("utf-8", "replace") if file.exists() else ""
        with file.open("a", encoding="utf-8") as stream:
            stream.write(line if text[-1:] in ("", "\n") else f"\n{line}")
        self._index(fields, str(file))

    def _index(self, fields: list[str], where: str) -> None:
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#"):
            return
        names, line = fields[0], Line(marker, fields[1], fields[2], where)
        if re.search(r"^\||[*?!]", names):
            with suppress(ValueError):
                self._others.append((_matcher(names), line))
        else:
            for name in names.lower().split(","):
                self._plain.setdefault(name, []).append(line)


read = functools.cache(KnownHosts)  # so that many hosts with the same files share one index


def _matcher(names: str) -> Callable[[str], bool]:
    """Return what tells whether a name matches a hashed field or a list of patterns."""
    if names.startswith("|1|"):
        salt, digest = map(base64.b64decode, names[3:].split("|"))
        return lambda name: hmac.digest(salt, name.encode(), "sha1") == digest
    wild = re.escape(names.lower()).replace(r"\*", ".*").replace(r"\?", ".").split(",")
    unwanted = "|".join(name[1:] for name in wild if name.startswith("!"))
    wanted = "|".join(name for name in wild if not name.startswith("!"))
    pattern = re.compile(f"(?!(?:{unwanted})$)(?:{wanted})" if wanted else "(?!)")
    return lambda name: pattern.fullmatch(name) is not None
