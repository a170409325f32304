"""Private keys, each read and decrypted once, the keys of ssh-agent, and certificates."""

import functools
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress

import paramiko
from paramiko.pkey import PublicBlob, UnknownKeyType

from .failures import UsageError


@functools.cache
def usable(files: tuple[str, ...], passphrase: str | None, named: bool) -> tuple[str, ...]:
    """Return the key files that can be loaded, or whose keys ssh-agent has.

    Raises UsageError for one that cannot and was `named`; others are passed over.
    """
    found = []
    for file in files:
        try:
            if _public(f"{file}.pub") not in _agent():
                _load(file, passphrase)
            found.append(file)
        except UsageError:
            if named:
                raise
    return tuple(found)


def candidates(
    files: tuple[str, ...], passphrase: str | None, certificates: tuple[str, ...], only: bool
) -> Iterator[paramiko.PKey]:
    """Yield the keys of files, from ssh-agent where it has them, then the agent's others.

    The others are left out if `only`, which is IdentitiesOnly. Raises UsageError.
    """
    # One for each session, as paramiko does not lock it.
    with closing(paramiko.Agent()) if _agent() else nullcontext() as agent:
        others: dict[bytes, paramiko.PKey] = {}
        if agent:
            others = {key.asbytes(): key for key in agent.get_keys()}
        found = []
        for file in files:
            held = _public(f"{file}.pub")
            found.append(others.pop(held) if held in others else _load(file, passphrase))
        for key in found if only else [*found, *others.values()]:
            blob = key.asbytes()
            own = blob[4 + int.from_bytes(blob[:4], "big") :]  # without its kind
            if "-cert-" in key.get_name():  # of the agent; paramiko would show the bare key
                key.public_blob = PublicBlob(key.get_name(), key.blob)  # type: ignore[attr-defined]
            for file in certificates:
                if own in _public(file):
                    key.load_certificate(file)
            yield key


@functools.cache
def _load(file: str, passphrase: str | None) -> paramiko.PKey:
    """Read a key. Raises UsageError."""
    try:
        try:
            return paramiko.PKey.from_path(file)
        except TypeError:  # it is encrypted
            if passphrase:
                return paramiko.PKey.from_path(file, passphrase.encode())  # type: ignore[arg-type]
            reason = "is encrypted: set SSH_UPTIME_PASSPHRASE, or add the key to ssh-agent"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except (ValueError, paramiko.SSHException, UnknownKeyType):
        reason = "is not a private key that can be used here, or the passphrase is wrong"
    raise UsageError(f"{file} {reason}")


@functools.cache
def _public(file: str) -> bytes:
    """Return a public key or a certificate, which are never encrypted; b"" if there is none."""
    with suppress(OSError, ValueError):
        return PublicBlob.from_file(file).key_blob
    return b""


@functools.cache
def _agent() -> frozenset[bytes]:
    """Return the public keys that ssh-agent has; none if no agent runs."""
    with suppress(OSError, paramiko.SSHException), closing(paramiko.Agent()) as agent:
        return frozenset(key.asbytes() for key in agent.get_keys())
    return frozenset()  # it has gone, or Windows cannot be asked for it
