"""Which hosts: arguments, and the inventories of netmiko, nornir and Ansible.

All become entries of netmiko's format: a name, and arguments of its ConnectHandler. Files are read
as YAML, which JSON is too. What stands there is a text: 0123, on or 2024-01-01 is a name, and not
a number, a boolean or a date.
"""

import functools
import inspect
import re
from pathlib import Path
from typing import Any

import yaml

from .devices import DEVICES
from .failures import UsageError

Entry = dict[str, Any]
"""Arguments of netmiko's ConnectHandler."""
Entries = dict[str, Entry]
Groups = dict[str, list[str]]
"""The members of each group: hosts, or other groups."""

_HOST = re.compile(
    r"(?:(?P<username>[^@:\s]+)@)?"
    r"(?:\[(?P<v6>[\w.:%]+)\]|(?P<bare>[\da-fA-F]*:[\da-fA-F]*:[\w.:%]*)|(?P<host>\w[\w.-]*))"
    r"(?::(?P<port>\d{1,5}))?"
)
_TEXTS = {"host", "username", "password", "secret", "passphrase", "key_file", "device_type"}
_USUAL = {*_TEXTS, "port", "use_keys"}

# What nornir and Ansible call them; Ansible with `ansible_` before it.
_NAMES = {"hostname": "host", "user": "username", "ssh_private_key_file": "key_file"}
_NAMES |= {"become_password": "secret", "platform": "device_type", "network_os": "device_type"}
# Their platforms (NAPALM's names) and network_os: ios, eos, junos, panos, ...
_TYPES = {name.partition("_")[2]: name for name in DEVICES}
_TYPES |= {"iosxe": "cisco_xe", "iosxr": "cisco_xr", "nxos_ssh": "cisco_nxos"}
_TYPES |= {"fortios": "fortinet", "ce": "huawei_vrp", "icx": "ruckus_fastiron"}


def parse(text: str) -> Entry:
    """Read `[user@]host[:port]`; an IPv6 address with a port has brackets. Raises UsageError."""
    found = _HOST.fullmatch(text)
    if not found or not 0 < int(found["port"] or 22) < 65536:
        user, _, host = text.rpartition("@")
        shown = f"...@{host}" if ":" in user else text  # what follows the colon is a password
        raise UsageError(f"expected [user@]host[:port], not {shown!r}")
    host = found["v6"] or found["bare"] or found["host"]
    entry = {"host": host, "username": found["username"], "port": int(found["port"] or 0)}
    return {key: value for key, value in entry.items() if value}


def read(arguments: list[str], file: str | None = None) -> Entries:
    """Return all hosts that are asked for. Raises UsageError and OSError.

    An argument may be the name of a host or a group in the file; without any, all are meant.
    """
    hosts, groups = _file(Path(file)) if file else ({}, {})
    chosen: Entries = {} if arguments else hosts
    for argument in arguments:
        if argument in groups:
            chosen |= {name: hosts[name] for name in _members(argument, groups) if name in hosts}
        else:
            chosen[argument] = hosts.get(argument) or parse(argument)
    return chosen


def _members(group: str, groups: Groups) -> list[str]:
    """Return what is in a group and in the groups in it; a group may be in itself."""
    names = [group]
    for name in names:  # grows
        names += [member for member in groups.get(name, []) if member not in names]
    return names


def _file(path: Path) -> tuple[Entries, Groups]:
    top = _load(path)
    if not isinstance(top, dict) or not top:
        raise UsageError(f"{path}:1: expected hosts, as 'name:' and settings under it")
    inner = {key for host in top.values() if isinstance(host, dict) for key in host}
    try:
        if "_meta" in top:
            return _ansible(top)
        if inner & {"hostname", "platform", "groups", "data", "connection_options"}:
            return _nornir(top, path)
        return _netmiko(top)
    except (AttributeError, LookupError, TypeError, ValueError, yaml.YAMLError):
        expected = "an inventory of netmiko, nornir or Ansible, and something in it is none"
        raise UsageError(f"{path}:1: expected {expected}") from None


def _netmiko(top: dict[str, Any]) -> tuple[Entries, Groups]:
    """Read netmiko's own: names with settings, and lists of names."""
    groups = {name: value for name, value in top.items() if isinstance(value, list)}
    for member in (member for group in groups.values() for member in group):
        if member not in top:
            raise _expected("the name of a host or a group", member)
    hosts = {name: _entry(name, top[name]) for name in top if name not in groups}
    return hosts, {"all": [*hosts]} | groups


def _nornir(top: dict[str, Any], path: Path) -> tuple[Entries, Groups]:
    """Read hosts with what they inherit from their groups, in order, and then from defaults."""
    beside = [path.with_name(name) for name in ("groups.yaml", "defaults.yaml")]
    groups, defaults = ((_load(file) if file.is_file() else None) or {} for file in beside)
    hosts: Entries = {}
    members: Groups = {"all": [*top]} | {name: [] for name in groups}
    for name, host in top.items():
        levels, parents = [host], [*(host.get("groups") or [])]
        for parent in parents:  # grows
            if parent not in groups:
                raise _expected("groups of groups.yaml", parent)
            members[parent].append(name)
            levels.append(groups[parent] or {})
            parents += [g for g in levels[-1].get("groups") or [] if g not in parents]
        entry: Entry = {"device_type": "linux"}
        for level in reversed([*levels, defaults]):
            netmiko = (level.get("connection_options") or {}).get("netmiko") or {}
            entry |= _renamed(level) | _renamed(netmiko) | (netmiko.get("extras") or {})
        hosts[name] = _entry(name, entry)
    return hosts, members


def _ansible(top: dict[str, Any]) -> tuple[Entries, Groups]:
    """Read what `ansible-inventory --list` prints; its own ssh arguments are not looked at."""
    variables = top.pop("_meta")["hostvars"]
    groups = {
        name: [*(group.get("hosts") or []), *(group.get("children") or [])]
        for name, group in top.items()
    }
    members = [name for group in groups.values() for name in group if name not in groups]
    hosts: Entries = {}
    for name in dict.fromkeys([*variables, *members]):
        settings = (variables.get(name) or {}).items()
        own = {key[8:]: value for key, value in settings if key.startswith("ansible_")}
        hosts[name] = _entry(name, {"device_type": "linux"} | _renamed(own))
    return hosts, groups | {"all": [*hosts]}


def _renamed(settings: Entry) -> Entry:
    named = {_NAMES.get(key, key): value for key, value in settings.items() if value}
    return {key: value for key, value in named.items() if key in _USUAL}


def _entry(name: str, settings: Entry) -> Entry:
    """Return the settings of a host with the types that netmiko wants. Raises UsageError."""
    if not isinstance(settings, dict):
        raise _expected("settings under a name, or a list for a group", name)
    entry = {key: value for key, value in settings.items() if value not in (None, "")}
    host = entry.setdefault("host", entry.pop("ip", name))
    if not re.fullmatch(r"\w[\w.-]*|[\da-fA-F:]+:[\w.:%]*", host):
        raise _expected("host: with a name or an address", host)
    for key, value in entry.items():
        if key not in _USUAL and key not in _netmiko_settings():
            raise _expected("a setting of netmiko's ConnectHandler", key)
        if key not in _TEXTS and isinstance(value, str):
            entry[key] = yaml.safe_load(value)
    port = entry.get("port", 22)
    if not isinstance(port, int) or not 0 < port < 65536:
        raise _expected("a number from 1 to 65535 as port", settings["port"])
    if kind := entry.get("device_type", "").rpartition(".")[2]:
        entry["device_type"] = _TYPES.get(kind, kind)
    return entry


@functools.cache
def _netmiko_settings() -> set[str]:
    from netmiko import BaseConnection  # takes 0.2 s: only where it is needed

    return {*inspect.signature(BaseConnection).parameters}


class Text(str):
    """A text in a file; `where` is its place, as file:line."""

    where = ""


def _expected(what: str, found: str) -> UsageError:
    return UsageError(f"{getattr(found, 'where', '')}: expected {what}, not {found!r}")


def _load(path: Path) -> Any:
    """Read YAML. Raises UsageError and OSError."""
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return _values(yaml.compose(path.read_text("utf-8", "replace"), loader), path)
    except (yaml.YAMLError, RecursionError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or error
        line = mark.line + 1 if mark else 1
        raise UsageError(f"{path}:{line}: expected YAML: {problem}") from None


def _values(node: Any, path: Path) -> Any:
    """Return what a node of YAML holds: mappings, lists, and texts as they are written."""
    if isinstance(node, yaml.SequenceNode):
        return [_values(each, path) for each in node.value]
    if not isinstance(node, yaml.MappingNode):
        if node is None or node.tag.endswith(":null"):
            return None
        text = Text(node.value)
        text.where = f"{path}:{node.start_mark.line + 1}"
        return text
    found: dict[Text, Any] = {}
    for key, value in node.value:
        if key.value in found:
            raise _expected("each name once", _values(key, path))
        if key.tag.endswith(":merge"):
            found |= _values(value, path)
        else:
            found[_values(key, path)] = _values(value, path)
    return found
