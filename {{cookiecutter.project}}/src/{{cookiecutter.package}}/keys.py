"""Private keys, each read and decrypted once, and the keys of ssh-agent."""

import base64
import copy
import functools
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as stored

from .failures import UsageError


@dataclass(frozen=True)
class KeyFile:
    """A private key, and the certificates that may belong to it."""

    path: str
    certificates: tuple[str, ...] = ()
    passphrase: str | None = field(default=None, repr=False)


@functools.cache
def load(file: KeyFile) -> tuple[paramiko.PKey, ...]:
    """Return what to log in with: the key with each certificate, then alone. Raises UsageError."""
    key = _read(file.path, file.passphrase)
    numbers = key.asbytes()[4 + len(key.get_name()) :]
    certified = []
    for certificate in dict.fromkeys((*file.certificates, f"{file.path}-cert.pub")):
        if Path(certificate).is_file():
            both = copy.copy(key)
            with suppress(ValueError):  # it belongs to another kind of key
                both.load_certificate(certificate)
            if both.public_blob and numbers in both.public_blob.key_blob:  # else to another key
                certified.append(both)
    return (*certified, key)


@functools.cache
def problem(file: KeyFile) -> str:
    """Return why a key cannot be used, or ""; one that ssh-agent has needs no passphrase."""
    try:
        if public(file.path) not in agent_keys():
            load(file)
        return ""
    except UsageError as error:
        return str(error)


def _read(path: str, passphrase: str | None) -> paramiko.PKey:
    """Return a key, decrypted once: that takes a tenth of a second, and paramiko does it twice."""
    try:
        data = Path(path).read_bytes()
        read = stored.load_pem_private_key
        if b"BEGIN OPENSSH" in data:
            read = stored.load_ssh_private_key
        try:
            key = read(data, None)
        except TypeError:
            if not passphrase:
                advice = "set SSH_UPTIME_PASSPHRASE, or add the key to ssh-agent"
                raise UsageError(f"{path} is encrypted: {advice}") from None
            try:
                key = read(data, passphrase.encode())
            except ValueError:
                raise UsageError(f"{path}: the passphrase is wrong") from None
        form = (stored.Encoding.PEM, stored.PrivateFormat.OpenSSH, stored.NoEncryption())
        text = key.private_bytes(*form).decode()
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            with suppress(paramiko.SSHException):
                return kind.from_private_key(StringIO(text))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise UsageError(f"{path} is not a private key that can be used here")


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


def candidates(
    files: tuple[KeyFile, ...], agent: bool, listed_only: bool
) -> Iterator[paramiko.PKey]:
    """Yield the keys to try, in the order of ssh(1).

    First those of the agent that have a file, then the agent's others (not if `listed_only`,
    which is IdentitiesOnly), then files that the agent does not have.
    """
    listed = {public(file.path) for file in files} - {b""}
    with ExitStack() as stack:
        held: tuple[paramiko.PKey, ...] = ()
        if agent:  # a connection for each session, as paramiko does not lock it
            with suppress(OSError, paramiko.SSHException):  # it has gone
                held = stack.enter_context(closing(paramiko.Agent())).get_keys()
        for key in sorted(held, key=lambda key: key.asbytes() not in listed):
            if key.asbytes() in listed or not listed_only:
                yield key
        for file in files:
            with suppress(UsageError):  # it may be on another machine
                if public(file.path) not in {key.asbytes() for key in held}:
                    yield from load(file)
