"""Which hosts: arguments, a hosts file, and the inventories of netmiko, nornir and Ansible.

All become entries of netmiko's format: a name, and arguments of its ConnectHandler.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import yaml_lines
from .failures import UsageError
from .yaml_lines import Mapping

Entry = dict[str, Any]
Entries = dict[str, Entry]
Groups = dict[str, list[str]]
"""The members of each group: hosts, or other groups."""

_HOST = re.compile(
    r"(?:(?P<username>[^@:\s]+)@)?"
    r"(?:\[(?P<v6>[\w.:%]+)\]|(?P<bare>[\da-fA-F]*:[\da-fA-F]*:[\w.:%]*)|(?P<host>\w[\w.-]*))"
    r"(?::(?P<port>\d{1,5}))?"
)

# nornir's platforms (NAPALM's names) and Ansible's network_os, without the collection.
_TYPES = {
    "ios": "cisco_ios",
    "iosxe": "cisco_xe",
    "iosxr": "cisco_xr",
    "nxos": "cisco_nxos",
    "nxos_ssh": "cisco_nxos",
    "asa": "cisco_asa",
    "eos": "arista_eos",
    "junos": "juniper_junos",
    "panos": "paloalto_panos",
    "fortios": "fortinet",
    "routeros": "mikrotik_routeros",
    "comware": "hp_comware",
    "aoscx": "aruba_aoscx",
    "sros": "nokia_sros",
    "os9": "dell_os9",
    "os10": "dell_os10",
    "exos": "extreme_exos",
    "ce": "huawei_vrp",
    "icx": "ruckus_fastiron",
}
_ANSIBLE = {
    "ansible_host": "host",
    "ansible_port": "port",
    "ansible_user": "username",
    "ansible_ssh_user": "username",
    "ansible_password": "password",
    "ansible_ssh_pass": "password",
    "ansible_ssh_private_key_file": "key_file",
    "ansible_become_password": "secret",
    "ansible_network_os": "device_type",
}


def parse(text: str) -> Entry:
    """Read `[user@]host[:port]`; an IPv6 address with a port has brackets. Raises UsageError."""
    found = _HOST.fullmatch(text)
    if not found or not 0 < int(found["port"] or 22) < 65536:
        user, _, host = text.rpartition("@")
        shown = f"...@{host}" if ":" in user else text  # what follows the colon is a password
        raise UsageError(f"expected [user@]host[:port], not {shown!r}")
    entry: Entry = {"host": found["v6"] or found["bare"] or found["host"]}
    entry |= {"username": found["username"]} if found["username"] else {}
    return entry | ({"port": int(found["port"])} if found["port"] else {})


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
    if "_meta" in top and "hostvars" in top["_meta"]:
        return _ansible(top)
    nornir = ("hostname", "platform", "groups", "data", "connection_options")
    if any(isinstance(entry, Mapping) and any(map(entry.get, nornir)) for entry in top.values()):
        return _nornir(top, folder)
    return _netmiko(top)


def _netmiko(top: Mapping) -> tuple[Entries, Groups]:
    meta = top.pop("__meta__", {})
    decrypt = _decrypter(meta) if meta.get("encryption") else lambda value: value
    groups = {name: entry for name, entry in top.items() if isinstance(entry, list)}
    hosts: Entries = {}
    for name, entry in top.items():
        if name in groups:
            for member in entry:
                if str(member) not in top:
                    raise top.error(name, f"the name of a host or a group, not {member!r}")
            groups[name] = [str(member) for member in entry]
        elif isinstance(entry, Mapping):
            hosts[name] = _checked(entry, decrypt, top.lines[name])
        else:
            raise top.error(name, "settings with host: under a name, or a list for a group")
    return hosts, groups


def _checked(entry: Mapping, decrypt: Callable[[Any], Any], line: int) -> Entry:
    """Return the settings of a host with the types that netmiko wants. Raises UsageError."""
    found = {key: value for key, value in entry.items() if value is not None}
    found |= {key: decrypt(entry.texts[key]) for key in _TEXTS if key in entry.texts}
    address = found.pop("ip", None)
    host = found.setdefault("host", address)
    if not isinstance(host, str) or not _HOST.fullmatch(host) or parse(host) != {"host": host}:
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


def _decrypter(meta: Mapping) -> Callable[[Any], Any]:
    """Return what decrypts the values that netmiko's tools have encrypted."""
    from netmiko.encryption_handling import decrypt_value, get_encryption_key

    def decrypt(value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith("__encrypt__"):
            return value
        try:
            kind = str(meta.get("encryption_type", "fernet"))
            return decrypt_value(value, get_encryption_key(), kind)
        except Exception as error:  # cryptography and netmiko raise many kinds
            said = str(error) or "wrong NETMIKO_TOOLS_KEY"
            raise UsageError(f"{meta.file}:1: cannot decrypt a value: {said}") from None

    return decrypt


def _nornir(top: Mapping, folder: Path) -> tuple[Entries, Groups]:
    """Read hosts with what they inherit from their groups, in order, and then from defaults."""
    others: list[Mapping] = []
    for name in ("groups.yaml", "defaults.yaml"):
        path = folder / name
        others.append(yaml_lines.load(path) if path.is_file() else Mapping(str(path)))
    groups, defaults = others
    entries: Entries = {}
    members: Groups = {name: [] for name in groups}
    for name, host in top.items():
        if not isinstance(host, Mapping):
            raise top.error(name, "settings of a host")
        chain, parents = [host], [str(group) for group in host.get("groups") or []]
        for parent in parents:  # grows
            if not isinstance(groups.get(parent), Mapping):
                raise host.error("groups", f"groups of groups.yaml, not {parent!r}")
            members[parent].append(name)
            chain.append(groups[parent])
            parents += [str(g) for g in groups[parent].get("groups") or [] if g not in parents]
        entry: Entry = {}
        for level in reversed([*chain, defaults]):
            entry |= _nornir_settings(level)
        entries[name] = _common({"host": name} | entry)
    return entries, members


def _nornir_settings(level: Mapping) -> Entry:
    netmiko = (level.get("connection_options") or {}).get("netmiko") or {}
    found = {key: level.texts.get(key) for key in ("hostname", "username", "password")}
    found |= {key: level.get(key) for key in ("port", "platform")}
    found |= {key: value for key, value in netmiko.items() if key != "extras"}
    named = {"hostname": "host", "platform": "device_type"}
    settings = {named.get(key, key): v for key, v in found.items() if v is not None}
    return settings | (netmiko.get("extras") or {})


def _ansible(top: Mapping) -> tuple[Entries, Groups]:
    """Read what `ansible-inventory --list` prints; its own ssh arguments are not looked at."""
    groups: Groups = {}
    for name, group in top.items():
        if isinstance(group, Mapping) and name != "_meta":
            groups[name] = [*(group.get("hosts") or []), *(group.get("children") or [])]
    variables = top["_meta"]["hostvars"]
    names = [m for members in groups.values() for m in members if m not in groups]
    entries = {}
    for name in dict.fromkeys([*variables, *names]):
        found = variables.get(name) or Mapping(top.file)
        entry = {ours: found.texts[key] for key, ours in _ANSIBLE.items() if key in found.texts}
        entries[name] = _common({"host": name} | entry)
    groups.pop("all", None)
    return entries, groups


def _common(entry: Entry) -> Entry:
    """Return an entry of nornir or Ansible with netmiko's device type, and a number as port."""
    kind = str(entry.get("device_type") or "linux").rpartition(".")[2]
    entry["device_type"] = _TYPES.get(kind, kind)
    if "port" in entry:
        entry["port"] = int(entry["port"])
    return entry
