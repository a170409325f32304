"""known_hosts, read once, and the verdict on the key that a host shows.

The rules are sshd(8)'s, "SSH_KNOWN_HOSTS FILE FORMAT". paramiko's own reader knows neither
wildcards nor @revoked, and takes half a minute for 10,000 lines.
"""

import base64
import functools
import hmac
import re
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import paramiko

from .failures import Failure


class Line(NamedTuple):
    """A line of known_hosts: its marker or "", a kind of key, the key in base64, and file:line."""

    marker: str
    kind: str
    key: str
    where: str


@dataclass(frozen=True, slots=True)
class Trust:
    """What known_hosts says of one name. `add_to` is the file for a first key, if one is taken."""

    name: str
    lines: tuple[Line, ...]
    add_to: str = ""

    def judge(self, key: paramiko.PKey) -> None:
        """Accept a key, or raise Failure."""
        text = key.get_base64()
        markers = {line.marker for line in self.lines if line.key == text}
        others = [line.where for line in self.lines if not line.marker]
        shown = f"{self.name} shows {key.get_name()} {key.fingerprint}"
        if "@revoked" in markers:
            raise Failure("host-key-changed", f"{shown}, which is marked @revoked: stay away")
        if "" in markers:
            return
        if others:
            fix = f"ssh-keygen -R '{self.name}' -f '{others[0].rpartition(':')[0]}'"
            reason = f"not the key at {others[0]}: ask its owner; if it is right, run {fix}"
            raise Failure("host-key-changed", f"{shown}, {reason}")
        if not self.add_to:
            reason = "not in known_hosts: ask its owner, then use --accept-new once"
            raise Failure("host-key-unknown", f"{shown}, {reason}")
        _add(Path(self.add_to), f"{self.name} {key.get_name()} {text}\n")


def trust(files: tuple[str, ...], name: str, accept_new: bool = False) -> Trust:
    """Return what known_hosts files say of a host, `[host]:port`, or an alias. Raises OSError.

    With `accept_new`, a first key is added to the first file.
    """
    plain, others = _read(files)
    name = name.lower()
    lines = [*plain.get(name, ()), *(line for names, line in others if _matches(names, name))]
    return Trust(name, tuple(lines), files[0] if accept_new else "")


@functools.cache
def _read(files: tuple[str, ...]) -> tuple[dict[str, list[Line]], list[tuple[str, Line]]]:
    """Return the lines by name, and those that must be tried: hashes and patterns."""
    plain: dict[str, list[Line]] = {}
    others = []
    for file in filter(Path.is_file, map(Path, files)):
        for number, text in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
            marker, *fields = text.split() if text.startswith("@") else ("", *text.split())
            if len(fields) < 3 or text.startswith("#"):
                continue
            line = Line(marker, fields[1], fields[2], f"{file}:{number}")
            if re.search(r"^\||[*?!]", fields[0]):
                others.append((fields[0], line))
            else:
                for name in fields[0].lower().split(","):
                    plain.setdefault(name, []).append(line)
    return plain, others


def _matches(names: str, name: str) -> bool:
    """Tell whether a name is the hashed one, or matches a list of patterns."""
    if names.startswith("|1|"):
        with suppress(ValueError):  # no base64
            salt, digest = map(base64.b64decode, names[3:].split("|"))
            return hmac.digest(salt, name.encode(), "sha1") == digest
    patterns = names.lower().replace("[", "[[]").split(",")
    found = [pattern for pattern in patterns if fnmatchcase(name, pattern.removeprefix("!"))]
    return bool(found) and not any(pattern.startswith("!") for pattern in found)


def _add(file: Path, line: str) -> None:
    """Append a line that is not there yet. Raises Failure."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("a+", encoding="utf-8", errors="replace") as stream:
            stream.seek(0)
            text = stream.read()
            if line not in text:
                stream.write(line if text[-1:] in ("", "\n") else f"\n{line}")
    except OSError as error:
        raise Failure("config", f"its key cannot be added to {file}: {error.strerror}") from None
