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
from .keys import KeyFile, usable

# Settings that are used for the login, so netmiko does not get them.
_OURS = {
    "host",
    "port",
    "username",
    "password",
    "device_type",
    "key_file",
    "use_keys",
    "passphrase",
}
_OURS |= {"pkey", "allow_agent", "ssh_config_file", "sock", "session_timeout"}


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
    keys: tuple[KeyFile, ...] = ()
    identities_only: bool = False
    proxy: str = ""
    settings: Entry = field(default_factory=dict, repr=False)

    def masked(self, text: str) -> str:
        """Return a text without secrets. Up to five characters would mask ordinary words."""
        secrets = [self.password, self.settings.get("secret"), *(k.passphrase for k in self.keys)]
        for secret in secrets:
            text = text.replace(secret, "***") if secret and len(secret) > 5 else text
        return text


@dataclass(frozen=True)
class Options:
    """What the command line says of all hosts. `defaults` are for entries that do not say."""

    defaults: Entry = field(default_factory=dict, repr=False)
    ssh_config: str | None = None
    known_hosts: str | None = None
    accept_new: bool = False


def resolve(entries: Entries, options: Options | None = None) -> list[Target]:
    """Return one target for each entry: what it says goes before options, they before ssh_config.

    Reads and decrypts every key, so that what is wrong with one is said before any host is
    asked. Raises UsageError and OSError.
    """
    options = options or Options()
    hosts = [entry["host"] for entry in entries.values()]
    sections = ssh_config.lookup(hosts, options.ssh_config)
    return [
        _target(name, options.defaults | entry, sections[entry["host"]], options)
        for name, entry in entries.items()
    ]


def _target(name: str, entry: Entry, section: ssh_config.Section, options: Options) -> Target:
    first = functools.partial(ssh_config.first, section)
    host, port = first("hostname", entry["host"]), int(entry.get("port") or first("port", "22"))
    user, me = str(entry.get("username") or first("user", getpass.getuser())), getpass.getuser()
    tokens = {"%": "%", "h": host, "n": entry["host"], "p": str(port), "r": user, "u": me}
    path = functools.partial(_path, tokens | {"d": str(Path.home())})
    files = f"{first('userknownhostsfile')} {first('globalknownhostsfile')}".split()
    known = tuple(map(path, [options.known_hosts] if options.known_hosts else files))
    key, password, phrase = map(entry.get, ("key_file", "password", "passphrase"))
    names = [key] if key else section.get("identityfile", [])
    address = host if port == 22 else f"[{host}]:{port}"
    proxy = _expanded(tokens, first("proxycommand"), shlex.quote)
    if jumps := first("proxyjump"):
        proxy = _jump(jumps, host, port, options, known)
    return Target(
        name=name,
        host=host,
        port=port,
        username=user,
        device_type=entry.get("device_type", "linux").removesuffix("_ssh"),
        trust=hostkeys.trust(known, first("hostkeyalias", address), options.accept_new),
        password=None if password is None else str(password),
        keys=usable(tuple(KeyFile(path(file), phrase) for file in names), named=bool(key)),
        identities_only=bool(key) or first("identitiesonly") == "yes",
        proxy=proxy,
        settings={key: value for key, value in entry.items() if key not in _OURS},
    )


def _expanded(tokens: dict[str, str], text: str, quote: Callable[[str], str] = str) -> str:
    """Replace the tokens of ssh_config(5) that make sense in file names and commands."""
    return re.sub("%([%a-z])", lambda found: quote(tokens.get(found[1], found[0])), text)


def _path(tokens: dict[str, str], text: str) -> str:
    return str(Path(_expanded(tokens, text)).expanduser())


def _jump(jumps: str, host: str, port: int, options: Options, known: tuple[str, ...]) -> str:
    """Return the ssh command that goes through ProxyJump. It asks nothing, so keys must do."""
    *first, last = jumps.split(",")
    strict = "accept-new" if options.accept_new else "yes"
    command = ["ssh", *ssh_config.option(options.ssh_config), "-oBatchMode=yes"]
    command += [f"-oStrictHostKeyChecking={strict}", f"-oUserKnownHostsFile={' '.join(known)}"]
    command += ["-W", f"[{host}]:{port}", *(["-J", ",".join(first)] if first else [])]
    user, at, address = last.removeprefix("ssh://").rpartition("@")
    if address.count(":") > 1 and not address.startswith("["):
        address = f"[{address}]"
    return shlex.join([*command, f"ssh://{user}{at}{address}"])
