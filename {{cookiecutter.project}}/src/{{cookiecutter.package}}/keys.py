"""Private keys, each read and decrypted once, and the keys of ssh-agent."""

import base64
import copy
import functools
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from .failures import UsageError

Keys = tuple[paramiko.PKey, ...]


@dataclass(frozen=True)
class KeyFile:
    """A private key, and the certificates that may belong to it."""

    path: str
    certificates: tuple[str, ...] = ()
    passphrase: str | None = field(default=None, repr=False)

    def load(self) -> Keys:
        """Return what to log in with: the key with each certificate, then the key alone.

        Decryption takes a tenth of a second by design, so the result is kept, for all hosts.
        Raises UsageError.
        """
        found = _load(self)
        if isinstance(found, UsageError):
            raise found
        return found

    def usable(self) -> bool:
        """Tell whether the key can be used: from its file, or because ssh-agent has it."""
        return self.public() in agent_keys() or not isinstance(_load(self), UsageError)

    def public(self) -> bytes:
        """Return the public key from the file beside it, which is never encrypted, or b""."""
        return _public(self.path)


@functools.cache
def _load(key: KeyFile) -> Keys | UsageError:
    try:
        plain = _read(key)
    except UsageError as error:
        return error
    plain.public_blob = None  # paramiko looked for a certificate beside the key
    public = plain.asbytes()[4 + len(plain.get_name()) :]
    certified = []
    for file in dict.fromkeys((*key.certificates, f"{key.path}-cert.pub")):
        if Path(file).is_file():
            both = copy.copy(plain)
            both.load_certificate(file)
            if both.public_blob and public in both.public_blob.key_blob:  # else another key's
                certified.append(both)
    return (*certified, plain)


def _read(key: KeyFile) -> paramiko.PKey:
    try:
        try:
            return paramiko.PKey.from_path(key.path)
        except (TypeError, paramiko.PasswordRequiredException):
            if not key.passphrase:
                advice = "set SSH_UPTIME_PASSPHRASE, or add the key to ssh-agent"
                raise UsageError(f"{key.path} is encrypted: {advice}") from None
        try:
            return paramiko.PKey.from_path(key.path, key.passphrase.encode())  # type: ignore[arg-type]
        except (ValueError, paramiko.SSHException):
            raise UsageError(f"{key.path}: the passphrase is wrong") from None
    except OSError as error:
        raise UsageError(f"{key.path} cannot be read: {error.strerror}") from None
    except (ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType):
        raise UsageError(f"{key.path} is not a private key that can be used here") from None


@functools.cache
def _public(path: str) -> bytes:
    try:
        return base64.b64decode(Path(f"{path}.pub").read_text("utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return b""


@functools.cache
def agent_keys() -> frozenset[bytes]:
    """Return the public keys that ssh-agent has; none if no agent runs."""
    if os.name != "nt" and "SSH_AUTH_SOCK" not in os.environ:
        return frozenset()
    try:
        with closing(paramiko.Agent()) as agent:
            return frozenset(key.asbytes() for key in agent.get_keys())
    except (OSError, paramiko.SSHException):  # it has gone, or Windows cannot be asked for it
        return frozenset()


def candidates(
    files: tuple[KeyFile, ...], agent: bool, listed_only: bool
) -> Iterator[paramiko.PKey]:
    """Yield the keys to try, in the order of ssh(1).

    First those of the agent that have a file, then the agent's others (not if `listed_only`,
    which is IdentitiesOnly), then files that the agent does not have.
    """
    listed = {file.public() for file in files} - {b""}
    with ExitStack() as stack:
        held: Keys = ()
        if agent:  # a connection for each session, as paramiko does not lock it
            held = stack.enter_context(closing(paramiko.Agent())).get_keys()
        for key in sorted(held, key=lambda key: key.asbytes() not in listed):
            if key.asbytes() in listed or not listed_only:
                yield key
        for file in files:
            found = _load(file)
            if file.public() not in {key.asbytes() for key in held} and isinstance(found, tuple):
                yield from found
