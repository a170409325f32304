"""Private keys, each read and decrypted once, and the keys of ssh-agent."""

import base64
import functools
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.pkey import UnknownKeyType

from .failures import UsageError


@dataclass(frozen=True)
class KeyFile:
    """A private key; beside it may be its certificate, as KEY-cert.pub."""

    path: str
    passphrase: str | None = field(default=None, repr=False)


@functools.cache
def load(file: KeyFile) -> paramiko.PKey:
    """Read a key. Raises UsageError."""
    try:
        try:
            return paramiko.PKey.from_path(file.path)
        except TypeError:  # it is encrypted
            if file.passphrase:
                return paramiko.PKey.from_path(file.path, file.passphrase.encode())  # type: ignore[arg-type]
            reason = "is encrypted: set SSH_UPTIME_PASSPHRASE, or add the key to ssh-agent"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except (ValueError, paramiko.SSHException, UnknownKeyType):
        reason = "is not a private key that can be used here, or the passphrase is wrong"
    raise UsageError(f"{file.path} {reason}")


@functools.cache
def usable(files: tuple[KeyFile, ...], named: bool) -> tuple[KeyFile, ...]:
    """Return the keys that can be loaded, or that ssh-agent has.

    Raises UsageError for one that cannot and was `named`; others are passed over.
    """
    found = []
    for file in files:
        try:
            if public(file.path) not in agent_keys():
                load(file)
            found.append(file)
        except UsageError:
            if named:
                raise
    return tuple(found)


def candidates(files: tuple[KeyFile, ...], only: bool) -> Iterator[paramiko.PKey]:
    """Yield the keys of files, from ssh-agent where it has them, then the agent's others.

    The others are left out if `only`, which is IdentitiesOnly. Raises UsageError.
    """
    with closing(paramiko.Agent()) as agent:  # for each session, as paramiko does not lock it
        others = {key.asbytes(): key for key in (agent.get_keys() if agent_keys() else ())}
        for file in files:
            held = public(file.path)
            yield others.pop(held) if held in others else load(file)
        if not only:
            yield from others.values()


@functools.cache
def public(path: str) -> bytes:
    """Return the public key from the file beside a key, which is never encrypted, or b""."""
    try:
        return base64.b64decode(Path(f"{path}.pub").read_text("utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return b""


@functools.cache
def agent_keys() -> frozenset[bytes]:
    """Return the public keys that ssh-agent has; none if no agent runs."""
    with suppress(OSError, paramiko.SSHException), closing(paramiko.Agent()) as agent:
        return frozenset(key.asbytes() for key in agent.get_keys())
    return frozenset()  # it has gone, or Windows cannot be asked for it
