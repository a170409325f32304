"""Which command shows the uptime of each device type, and how it is read."""

import re
from typing import NamedTuple

from .failures import Failure, plain


class Device(NamedTuple):
    """A device type. Group 1 of `pattern` is the uptime, if ntc-templates has no field (`ntc`).

    `restores`: netmiko changes a setting of the device, and must put it back at the end.
    """

    command: str
    pattern: str = r"\buptime(?: is|:)\s+(.+)"
    ntc: bool = True
    restores: bool = False


_UNIX = Device("uptime", r"\bup\s+(.+?)(?:,\s+\d+ users?)?,\s+load average", ntc=False)
_VERSION = Device("show version")

DEVICES = {
    "linux": _UNIX,
    "vyos": _UNIX,
    "cisco_ios": _VERSION,
    "cisco_xe": _VERSION,
    "cisco_nxos": _VERSION,
    "cisco_xr": _VERSION,
    "arista_eos": _VERSION,
    "juniper_junos": Device("show system uptime", r"booted:.*\((.+) ago\)", ntc=False),
    "hp_procurve": Device("show system", r"Up Time\s+:\s+(\d+ \w+)"),
    "mikrotik_routeros": Device("/system resource print"),
    "fortinet": Device("get system performance status", ntc=False, restores=True),
    "paloalto_panos": Device("show system info"),
    "huawei_vrp": Device("display version"),
}

_SECONDS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def read(device_type: str, output: str) -> tuple[int, str]:
    """The uptime in seconds, and in the device's words. Raises Failure (parse)."""
    device = DEVICES[device_type]
    words = _field(device_type, device.command, output) if device.ntc else ""
    # A template refuses lines that it does not know; a pattern does not mind them.
    found = re.search(device.pattern, output, re.IGNORECASE)
    words = plain(words or (found[1] if found else ""))
    seconds = duration(words)
    if seconds is None:
        answer = f"'{device.command}' was answered by {plain(output)[:60]!r}"
        raise Failure("parse", f"{answer}, which has no uptime: check the device type")
    return seconds, words


def duration(words: str) -> int | None:
    """Seconds in words such as `2 weeks, 1 day`, `3w1d 02:33`, `12 days, 3:04`; None if none."""
    parts = re.findall(r"(\d+)\s*([ywdhms])", words.lower())
    for hours, minutes, seconds in re.findall(r"(\d+):(\d\d)(?::(\d\d))?", words):
        parts += [(hours, "h"), (minutes, "m"), (seconds or "0", "s")]
    return sum(int(number) * _SECONDS[unit] for number, unit in parts) if parts else None


def _field(device_type: str, command: str, output: str) -> str:
    from netmiko.utilities import get_structured_data_textfsm
    from textfsm import TextFSMError  # type: ignore[import-untyped]

    try:
        rows = get_structured_data_textfsm(output, device_type, command)
    except TextFSMError:
        return ""
    return str(rows[0].get("uptime", "")) if isinstance(rows, list) else ""
