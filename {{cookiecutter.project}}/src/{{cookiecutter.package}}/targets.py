"""How each host is reached: what its entry, the flags, ssh_config and known_hosts say of it."""

import functools
import getpass
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import hostkeys, ssh_config
from .failures import UsageError
from .hostkeys import Trust
from .inventory import Entries
from .keys import KeyFile, agent_keys, load, problem

_DEFAULTS = [f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519")]
# Settings that are used for the login, so netmiko does not get them.
_OURS = {"host", "ip", "port", "username", "password", "device_type", "key_file", "use_keys"}
_OURS |= {"passphrase", "pkey", "allow_agent", "ssh_config_file", "sock", "session_timeout"}


@dataclass(frozen=True, slots=True)
class Target:
    """A host and how to log in to it. `settings` are further arguments for netmiko."""

    name: str
    host: str
    username: str
    trust: Trust
    port: int = 22
    device_type: str = "linux"
    password: str | None = field(default=None, repr=False)
    keys: tuple[KeyFile, ...] = ()
    agent: bool = False
    identities_only: bool = False
    proxy: str = ""
    settings: dict[str, Any] = field(default_factory=dict, repr=False)
    known_hosts: tuple[str, ...] = ()

    def secrets(self) -> list[str]:
        """Return what must never be shown. Up to five characters would mask ordinary words."""
        found = [self.password, self.settings.get("secret"), *(key.passphrase for key in self.keys)]
        return [secret for secret in found if secret and len(secret) > 5]


@dataclass(frozen=True)
class Options:
    """What the command line says of all hosts."""

    flags: dict[str, Any] = field(default_factory=dict)
    ssh_config: str | None = None
    known_hosts: str | None = None
    mode: str = "strict"
    passphrase: str | None = field(default=None, repr=False)


Password = Callable[[str, str, bool], str | None]
"""Finds a password by user, host, and whether there is nothing else to log in with."""


def resolve(entries: Entries, options: Options, password: Password) -> list[Target]:
    """Return one target for each entry: what it says goes before flags, they before ssh_config.

    Reads and decrypts every key, so that what is wrong with one is said before any host is
    asked. Raises UsageError and OSError.
    """
    names = {name: str(entry["host"]) for name, entry in entries.items()}
    sections = ssh_config.lookup(names.values(), options.ssh_config)
    for section in sections.values():
        for socket in section.get("identityagent", []):
            if socket not in ("none", "SSH_AUTH_SOCK"):  # paramiko knows the variable alone
                os.environ["SSH_AUTH_SOCK"] = _home(socket)
    return [
        _target(name, options.flags | entry, sections[names[name]], options, password)
        for name, entry in entries.items()
    ]


class _Config:
    """What ssh_config says of one host, after what the entry says itself."""

    def __init__(self, section: ssh_config.Section, entry: dict[str, Any]) -> None:
        self.section = section
        self.host = self.first("hostname", entry["host"])
        self.port = int(entry.get("port") or self.first("port", "22"))
        self.user = str(entry.get("username") or self.first("user", getpass.getuser()))
        self._tokens = {"%": "%", "h": self.host, "p": str(self.port), "r": self.user}
        self._tokens |= {"n": entry["host"], "d": str(Path.home()), "u": getpass.getuser()}

    def first(self, key: str, default: str = "") -> str:
        """Return the first value, or the default if there is none."""
        value = (self.section.get(key) or ["none"])[0]
        return default if value.lower() == "none" else value

    def expand(self, text: str) -> str:
        """Replace the tokens of ssh_config(5) that make sense in file names and commands."""
        return re.sub("%([%a-z])", lambda found: self._tokens.get(found[1], found[0]), text)

    def known_hosts(self) -> tuple[str, ...]:
        """Return the user's files and the system's."""
        names = ("userknownhostsfile", "globalknownhostsfile")
        files = " ".join(line for name in names for line in self.section.get(name, [])).split()
        return tuple(_home(self.expand(file)) for file in files) or (_home("~/.ssh/known_hosts"),)

    def proxy(self) -> str:
        """Return the ProxyCommand. Raises UsageError."""
        command = self.first("proxycommand")
        if "%r" in command and not re.fullmatch(r"[\w.@+-]*", self.user):  # a shell will read it
            raise UsageError(f"{self.user!r} cannot be put into a ProxyCommand")
        return self.expand(command)


def _target(
    name: str,
    entry: dict[str, Any],
    section: ssh_config.Section,
    options: Options,
    password: Password,
) -> Target:
    config = _Config(section, entry)
    files = _key_files(entry, config, options.passphrase)
    agent = entry.get("allow_agent", True) and section.get("identityagent") != ["none"]
    agent = bool(agent and agent_keys())
    known = (_home(options.known_hosts),) if options.known_hosts else config.known_hosts()
    secret = entry.get("password")
    if secret is None:
        secret = password(config.user, config.host, not (files or agent))
    host, port = config.host, config.port
    alias, jumps = config.first("hostkeyalias") or None, config.first("proxyjump")
    return Target(
        name=name,
        host=host,
        port=port,
        username=config.user,
        device_type=entry.get("device_type", "linux").removesuffix("_ssh"),
        trust=hostkeys.read(known).trust(host, port, alias, options.mode),
        password=None if secret is None else str(secret),
        keys=files,
        agent=agent,
        identities_only=bool(entry.get("key_file")) or config.first("identitiesonly") == "yes",
        proxy=config.proxy() or (jumps and _jump(jumps, host, port, options, known)),
        settings={key: value for key, value in entry.items() if key not in _OURS},
        known_hosts=known,
    )


def _key_files(
    entry: dict[str, Any], config: _Config, passphrase: str | None
) -> tuple[KeyFile, ...]:
    """Return the keys that can be used. One that was named must be usable; defaults need not."""
    named, section = entry.get("key_file"), config.section
    names = [named] if named else map(config.expand, section.get("identityfile", _DEFAULTS))
    certificates = tuple(_home(config.expand(f)) for f in section.get("certificatefile", []))
    phrase = entry.get("passphrase") or passphrase
    files = [KeyFile(_home(file), certificates, phrase) for file in names]
    if named and problem(files[0]):
        load(files[0])  # raises it
    return tuple(file for file in files if not problem(file))


@functools.cache
def _home(file: str) -> str:
    return str(Path(file).expanduser())


def _jump(jumps: str, host: str, port: int, options: Options, known: tuple[str, ...]) -> str:
    """Return the ssh command that goes through ProxyJump. It asks nothing, so keys must do."""
    *first, last = jumps.split(",")
    strict = {"strict": "yes", "accept-new": "accept-new", "insecure": "no"}[options.mode]
    command = ["ssh", "-W", f"[{host}]:{port}", "-oBatchMode=yes"]
    command += [f"-oStrictHostKeyChecking={strict}", f"-oUserKnownHostsFile={' '.join(known)}"]
    own = Path.home() / ".ssh" / "config"
    config = options.ssh_config or (str(own) if own.is_file() else "")
    command += ["-F", config] if config else []
    command += ["-J", ",".join(first)] if first else []
    user, at, address = last.removeprefix("ssh://").rpartition("@")
    if address.count(":") > 1 and not address.startswith("["):
        address = f"[{address}]"
    return shlex.join([*command, f"ssh://{user}{at}{address}"])
