"""How each host is reached: what its entry, the flags, ssh_config and known_hosts say of it."""

import functools
import getpass
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import hostkeys, ssh_config
from .inventory import Entries, Entry
from .keys import usable

# Settings that are used for the login, so netmiko does not get them.
_OURS = {"host", "port", "username", "password", "device_type", "key_file", "use_keys", "pkey"}
_OURS |= {"passphrase", "allow_agent", "ssh_config_file", "sock", "session_timeout"}


@dataclass(frozen=True, slots=True)
class Target:
    """A host and how to log in to it. `settings` are further arguments for netmiko."""

    name: str
    host: str
    username: str
    trust: hostkeys.Trust
    port: int = 22
    device_type: str = "linux"
    password: str | None = field(default=None, repr=False)
    keys: tuple[str, ...] = ()
    passphrase: str | None = field(default=None, repr=False)
    certificates: tuple[str, ...] = ()
    identities_only: bool = False
    proxy: str = ""
    settings: Entry = field(default_factory=dict, repr=False)

    def masked(self, text: str) -> str:
        """Return a text without secrets. Up to five characters would mask ordinary words."""
        for secret in (self.password, self.passphrase, self.settings.get("secret")):
            text = text.replace(secret, "***") if secret and len(secret) > 5 else text
        return text


def resolve(
    entries: Entries,
    defaults: Entry | None = None,
    config: str | None = None,
    known_hosts: str | None = None,
    accept_new: bool = False,
) -> list[Target]:
    """Return a target for each entry: what it says goes before `defaults`, they before ssh_config.

    `config` and `known_hosts` are files instead of ssh's own. Reads and decrypts every key, so
    that what is wrong with one is said before any host is asked. Raises UsageError and OSError.
    """
    strict = "accept-new" if accept_new else "yes"
    ssh = [
        "ssh",
        *ssh_config.option(config),
        "-oBatchMode=yes",
        f"-oStrictHostKeyChecking={strict}",
    ]
    if known_hosts:
        ssh.append(f"-oUserKnownHostsFile={known_hosts}")
    sections = ssh_config.lookup((entry["host"] for entry in entries.values()), config)
    return [
        _target(
            name, (defaults or {}) | entry, sections[entry["host"]], known_hosts, accept_new, ssh
        )
        for name, entry in entries.items()
    ]


def _target(
    name: str,
    entry: Entry,
    section: ssh_config.Section,
    known_hosts: str | None,
    accept_new: bool,
    ssh: list[str],
) -> Target:
    first = functools.partial(ssh_config.first, section)
    host, port = first("hostname", entry["host"]), int(entry.get("port") or first("port", "22"))
    user, me = str(entry.get("username") or first("user", getpass.getuser())), getpass.getuser()
    tokens = {"%": "%", "h": host, "n": entry["host"], "p": str(port), "r": user, "u": me}

    def paths(files: list[str]) -> tuple[str, ...]:
        home = tokens | {"d": str(Path.home())}
        return tuple(str(Path(_expanded(home, file)).expanduser()) for file in files)

    files = f"{first('userknownhostsfile')} {first('globalknownhostsfile')}".split()
    known = paths([known_hosts] if known_hosts else files)
    key, password, phrase = map(entry.get, ("key_file", "password", "passphrase"))
    names = [key] if key else section.get("identityfile", [])
    address = host if port == 22 else f"[{host}]:{port}"
    proxy = _expanded(tokens, first("proxycommand"), shlex.quote)
    if jumps := first("proxyjump"):
        proxy = _jump(ssh, jumps, f"[{host}]:{port}")
    return Target(
        name=name,
        host=host,
        port=port,
        username=user,
        device_type=entry.get("device_type", "linux").removesuffix("_ssh"),
        trust=hostkeys.trust(known, first("hostkeyalias", address), accept_new),
        password=str(password) if password else None,
        keys=usable(paths(names), phrase, named=bool(key)),
        passphrase=phrase,
        certificates=paths(section.get("certificatefile", [])),
        identities_only=bool(key) or first("identitiesonly") == "yes",
        proxy=proxy,
        settings={key: value for key, value in entry.items() if key not in _OURS},
    )


def _expanded(tokens: dict[str, str], text: str, quote: Callable[[str], str] = str) -> str:
    """Replace the tokens of ssh_config(5) that make sense in file names and commands."""
    return re.sub("%([%a-z])", lambda found: quote(tokens.get(found[1], found[0])), text)


def _jump(ssh: list[str], jumps: str, to: str) -> str:
    """Return the ssh command that goes through ProxyJump. It asks nothing, so keys must do."""
    *before, last = jumps.split(",")
    user, at, address = last.removeprefix("ssh://").rpartition("@")
    if address.count(":") > 1 and not address.startswith("["):
        address = f"[{address}]"
    through = ["-J", ",".join(before)] if before else []
    return shlex.join([*ssh, "-W", to, *through, f"ssh://{user}{at}{address}"])
