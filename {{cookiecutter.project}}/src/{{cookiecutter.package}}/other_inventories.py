"""The inventories of nornir and Ansible, as entries of netmiko's format."""

from pathlib import Path

from . import yaml_lines
from .hosts import is_host
from .yaml_lines import Entries, Entry, Groups, Mapping

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


def is_nornir(top: Mapping) -> bool:
    """Tell whether this is the hosts file of nornir, by settings that netmiko has not."""
    names = ("hostname", "platform", "groups", "data", "connection_options")
    hosts = [entry for entry in top.values() if isinstance(entry, Mapping)]
    return any(name in host for host in hosts for name in names)


def is_ansible(top: Mapping) -> bool:
    """Tell whether this is what `ansible-inventory --list` prints."""
    return isinstance(top.get("_meta"), Mapping) and "hostvars" in top["_meta"]


def nornir(top: Mapping, folder: Path) -> tuple[Entries, Groups]:
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
        entries[name] = _common({"host": name} | entry, top, name)
    return entries, members


def _nornir_settings(level: Mapping) -> Entry:
    netmiko = (level.get("connection_options") or {}).get("netmiko") or {}
    found = {key: level.texts.get(key) for key in ("hostname", "username", "password")}
    found |= {key: level.get(key) for key in ("port", "platform")}
    found |= {key: value for key, value in netmiko.items() if key != "extras"}
    named = {"hostname": "host", "platform": "device_type"}
    settings = {named.get(key, key): v for key, v in found.items() if v is not None}
    return settings | (netmiko.get("extras") or {})


def ansible(top: Mapping) -> tuple[Entries, Groups]:
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
        entries[name] = _common({"host": name} | entry, variables, name)
    groups.pop("all", None)
    return entries, groups


def _common(entry: Entry, top: Mapping, name: str) -> Entry:
    """Return an entry with netmiko's device type, and a number as port. Raises UsageError."""
    kind = str(entry.get("device_type") or "linux").rpartition(".")[2]
    entry["device_type"] = _TYPES.get(kind, kind)
    if not is_host(entry["host"]):
        raise top.error(name, f"the name or the address of a host, not {entry['host']!r}")
    if "port" in entry:
        if not str(entry["port"]).isdecimal():
            raise top.error(name, f"a number as port, not {entry['port']!r}")
        entry["port"] = int(entry["port"])
    return entry
