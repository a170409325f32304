"""Which hosts: arguments, a hosts file, and the inventories of netmiko, nornir and Ansible.

All become entries of netmiko's format: a name, and arguments of its ConnectHandler.
"""

from collections.abc import Iterable
from pathlib import Path

from . import other_inventories, yaml_lines
from .failures import UsageError
from .hosts import is_host, parse
from .yaml_lines import Entries, Entry, Groups, Mapping

__all__ = ["parse", "read"]


def read(arguments: list[str], files: Iterable[str]) -> Entries:
    """Return all hosts that are asked for, each once. Raises UsageError and OSError.

    An argument may be the name of a host or a group in a file; without arguments all are meant.
    """
    hosts: Entries = {}
    groups: Groups = {}
    for file in files:
        read_file = _structured if Path(file).is_dir() or _is_structured(file) else _hosts_file
        more, names = read_file(file)
        for name, entry in more.items():
            if hosts.setdefault(name, entry) != entry:
                raise UsageError(f"{file}: {name!r} is in another inventory too, and differs")
        for name, members in names.items():
            groups[name] = [*groups.get(name, []), *members]
    groups.setdefault("all", list(hosts))
    if not arguments:
        return hosts
    chosen: Entries = {}
    for argument in arguments:
        if hosts and argument in groups:
            chosen |= {name: hosts[name] for name in _members(argument, hosts, groups)}
        else:
            chosen[argument] = hosts.get(argument) or parse(argument)
    return chosen


def _members(group: str, hosts: Entries, groups: Groups) -> list[str]:
    """Return the hosts of a group and of the groups in it; a group may be in itself."""
    found, names = [group], []
    for name in found:  # grows
        found += [member for member in groups.get(name, []) if member not in found]
        names += [name] if name in hosts else []
    return names


def _is_structured(file: str) -> bool:
    return Path(file).suffix.lower() in (".yml", ".yaml", ".json")


def _hosts_file(file: str) -> tuple[Entries, Groups]:
    entries: Entries = {}
    for number, line in enumerate(Path(file).read_text("utf-8", "replace").splitlines(), 1):
        host, *more = line.partition("#")[0].split() or [""]
        if len(more) > 1:
            expected = "[user@]host[:port] [device_type]"
            raise UsageError(f"{file}:{number}: expected {expected}, not {len(more) + 1} words")
        try:
            entry = parse(host) if host else {}
        except UsageError as error:
            raise UsageError(f"{file}:{number}: {error}") from None
        entry |= {"device_type": more[0]} if more else {}
        if host and entries.setdefault(host, entry) != entry:
            raise UsageError(f"{file}:{number}: {host!r} has another device type above")
    return entries, {}


def _structured(file: str) -> tuple[Entries, Groups]:
    """Read an inventory of netmiko, nornir (its folder, or its hosts file) or Ansible."""
    folder = Path(file) if Path(file).is_dir() else Path(file).parent
    path = folder / "hosts.yaml" if Path(file).is_dir() else Path(file)
    top = yaml_lines.load(path)
    try:
        if other_inventories.is_ansible(top):
            return other_inventories.ansible(top)
        if other_inventories.is_nornir(top):
            return other_inventories.nornir(top, folder)
        return _netmiko(top)
    except (AttributeError, LookupError, TypeError, ValueError):  # a list for a text, for example
        expected = "an inventory of netmiko, nornir or Ansible, and something in it is none"
        raise UsageError(f"{path}:1: expected {expected}") from None


def _netmiko(top: Mapping) -> tuple[Entries, Groups]:
    """Read netmiko's own: names with settings, and lists of names."""
    meta = top.pop("__meta__", {})
    groups = {name: entry for name, entry in top.items() if isinstance(entry, list)}
    hosts: Entries = {}
    for name, entry in top.items():
        if name in groups:
            for member in entry:
                if str(member) not in top:
                    raise top.error(name, f"the name of a host or a group, not {member!r}")
            groups[name] = [str(member) for member in entry]
        elif isinstance(entry, Mapping):
            hosts[name] = _checked(entry, top.lines[name])
        else:
            raise top.error(name, "settings with host: under a name, or a list for a group")
    return _decrypted(hosts, meta) if meta.get("encryption") else hosts, groups


def _checked(entry: Mapping, line: int) -> Entry:
    """Return the settings of a host with the types that netmiko wants. Raises UsageError."""
    found = {key: value for key, value in entry.items() if value is not None}
    found |= {key: entry.texts[key] for key in _TEXTS if key in entry.texts}
    address = found.pop("ip", None)
    host = found.setdefault("host", address)
    if not is_host(host):
        line = entry.lines.get("host", line)
        raise UsageError(f"{entry.file}:{line}: expected host: with a name or an address")
    for key in found:
        if key not in _COMMON and key not in _settings():
            raise entry.error(key, f"a setting of netmiko's ConnectHandler, not {key!r}")
    if "port" in found:
        if not str(found["port"]).isdecimal() or not 0 < int(found["port"]) < 65536:
            raise entry.error("port", f"a number from 1 to 65535 as port, not {found['port']!r}")
        found["port"] = int(found["port"])
    return found


_TEXTS = ("host", "ip", "username", "password", "secret", "passphrase", "key_file", "device_type")
_COMMON = {*_TEXTS, "port", "use_keys"}


def _settings() -> Iterable[str]:
    import inspect

    from netmiko import BaseConnection

    return inspect.signature(BaseConnection).parameters


def _decrypted(hosts: Entries, meta: Mapping) -> Entries:
    """Return the hosts with the values in plain text that netmiko's tools have encrypted."""
    from netmiko.encryption_handling import decrypt_config, get_encryption_key

    kind = str(meta.get("encryption_type", "fernet"))
    try:
        return decrypt_config(hosts, get_encryption_key(), kind)
    except Exception as error:  # cryptography and netmiko raise many kinds
        said = str(error) or "NETMIKO_TOOLS_KEY is wrong"
        raise UsageError(f"{meta.file}:1: cannot decrypt a value: {said}") from error
