"""The inventories of netmiko, nornir and Ansible, as entries of netmiko's format.

All are read as YAML, which JSON is too. Names and texts stay as they are written: 0123, on or
2024-01-01 is the name of a host there, and not a number, a boolean or a date.
"""

import functools
import inspect
from pathlib import Path
from typing import Any

import yaml

from .devices import DEVICES
from .failures import UsageError
from .inventory import Entries, Entry, Groups, parse

# nornir's platforms (NAPALM's names) and Ansible's network_os: ios, eos, junos, panos, ...
_TYPES = {name.partition("_")[2]: name for name in DEVICES} | {
    "iosxe": "cisco_xe",
    "iosxr": "cisco_xr",
    "nxos_ssh": "cisco_nxos",
    "fortios": "fortinet",
    "ce": "huawei_vrp",
    "icx": "ruckus_fastiron",
}
_NORNIR = {"hostname": "host", "platform": "device_type"}
_NORNIR |= {name: name for name in ("username", "password", "port")}
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
_TEXTS = {"host", "username", "password", "secret", "passphrase", "key_file", "device_type"}


class Mapping(dict[str, Any]):
    """A mapping in a file; `lines` has the line of each key."""

    file: Path
    lines: dict[str, int]

    def error(self, name: str, key: str, expected: str) -> UsageError:
        """Return the error with the line of a key under a name, or of the name."""
        line = getattr(self.get(name), "lines", {}).get(key) or self.lines.get(name, 1)
        return UsageError(f"{self.file}:{line}: expected {expected}")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, for which only null and `<<` are more than a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in yaml
        first: [rule for rule in rules if rule[0].endswith((":merge", ":null"))]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def mapping(self, node: yaml.MappingNode) -> Mapping:
        found = Mapping()
        found.file, found.lines = self.file, {}
        for key, _ in node.value:
            if key.value in found.lines:
                first = f"{key.value!r} once, see line {found.lines[key.value]}"
                raise yaml.MarkedYAMLError(problem=first, problem_mark=key.start_mark)
            if key.value != "<<":
                found.lines[key.value] = key.start_mark.line + 1
        self.flatten_mapping(node)  # puts what `<<` merges before the rest
        for key, value in node.value:
            found[key.value] = self.construct_object(value, deep=True)
        return found


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.mapping)


def _load(path: Path) -> Any:
    loader = _Loader(path.read_text("utf-8", "replace"))
    loader.file = path
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: expected YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise UsageError(f"{path}:1: expected YAML: {error}") from None


def read_file(path: Path) -> tuple[Entries, Groups]:
    """Read an inventory of netmiko, nornir (its folder, or its hosts file) or Ansible."""
    path = path / "hosts.yaml" if path.is_dir() else path
    top = _load(path)
    if not isinstance(top, Mapping) or not top:
        raise UsageError(f"{path}:1: expected hosts, as 'name:' and settings under it")
    inner = {key for host in top.values() if isinstance(host, Mapping) for key in host}
    try:
        if isinstance(top.get("_meta"), Mapping):
            return _ansible(top)
        if inner & {"hostname", "platform", "groups", "data", "connection_options"}:
            return _nornir(top)
        return _netmiko(top)
    except (AttributeError, LookupError, TypeError, ValueError, yaml.YAMLError):
        expected = "an inventory of netmiko, nornir or Ansible, and something in it is none"
        raise UsageError(f"{path}:1: expected {expected}") from None


def _netmiko(top: Mapping) -> tuple[Entries, Groups]:
    """Read netmiko's own: names with settings, and lists of names."""
    hosts: Entries = {}
    groups: Groups = {}
    for name, entry in top.items():
        if isinstance(entry, Mapping):
            hosts[name] = _checked({"host": entry.get("ip")} | entry, top, name)
        elif isinstance(entry, list):
            groups[name] = entry
        else:
            raise top.error(name, "", "settings with host: under a name, or a list for a group")
        for member in groups.get(name, []):
            if member not in top:
                raise top.error(name, "", f"the name of a host or a group, not {member!r}")
    return hosts, groups


def _nornir(top: Mapping) -> tuple[Entries, Groups]:
    """Read hosts with what they inherit from their groups, in order, and then from defaults."""
    paths = [top.file.with_name(name) for name in ("groups.yaml", "defaults.yaml")]
    groups, defaults = (_load(path) or {} if path.is_file() else {} for path in paths)
    hosts: Entries = {}
    members: Groups = {name: [] for name in groups}
    for name, host in top.items():
        levels, parents = [host], list(host.get("groups") or [])
        for parent in parents:  # grows
            if parent not in groups:
                raise top.error(name, "groups", f"groups of groups.yaml, not {parent!r}")
            members[parent].append(name)
            levels.append(groups[parent] or {})
            parents += [g for g in levels[-1].get("groups") or [] if g not in parents]
        entry: Entry = {"host": name, "device_type": "linux"}
        for level in reversed([*levels, defaults]):
            netmiko = (level.get("connection_options") or {}).get("netmiko") or {}
            for found in (level, netmiko):
                entry |= {
                    _NORNIR[key]: value for key, value in found.items() if key in _NORNIR and value
                }
            entry |= netmiko.get("extras") or {}
        hosts[name] = _checked(entry, top, name)
    return hosts, members


def _ansible(top: Mapping) -> tuple[Entries, Groups]:
    """Read what `ansible-inventory --list` prints; its own ssh arguments are not looked at."""
    variables = top.pop("_meta")["hostvars"]
    groups = {
        name: [*(group.get("hosts") or []), *(group.get("children") or [])]
        for name, group in top.items()
    }
    members = [name for group in groups.values() for name in group if name not in groups]
    hosts: Entries = {}
    for name in dict.fromkeys([*variables, *members]):
        entry: Entry = {"host": name, "device_type": "linux"}
        for key, value in (variables.get(name) or {}).items():
            entry |= {_ANSIBLE[key]: value} if key in _ANSIBLE else {}
        hosts[name] = _checked(entry, variables, name)
    groups.pop("all", None)
    return hosts, groups


def _checked(entry: Entry, top: Mapping, name: str) -> Entry:
    """Return the settings of a host with the types that netmiko wants. Raises UsageError."""
    found = {key: value for key, value in entry.items() if value is not None and key != "ip"}
    try:
        right = parse(found.get("host", "")) == {"host": found["host"]}
    except UsageError:
        right = False
    if not right:
        said = f"host: with a name or an address, not {found.get('host')!r}"
        raise top.error(name, "host", said)
    for key, value in list(found.items()):
        if key not in {*_TEXTS, "port", "use_keys"} and key not in _settings():
            raise top.error(name, key, f"a setting of netmiko's ConnectHandler, not {key!r}")
        if key not in _TEXTS and isinstance(value, str):
            found[key] = yaml.safe_load(value)
    port = found.get("port", 22)
    if not isinstance(port, int) or not 0 < port < 65536:
        raise top.error(name, "port", f"a number from 1 to 65535 as port, not {port!r}")
    if "device_type" in found:
        kind = found["device_type"].rpartition(".")[2]
        found["device_type"] = _TYPES.get(kind, kind)
    return found


@functools.cache
def _settings() -> frozenset[str]:
    from netmiko import BaseConnection

    return frozenset(inspect.signature(BaseConnection).parameters)
