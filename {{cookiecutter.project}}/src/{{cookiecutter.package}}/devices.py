"""How each device type is asked for its uptime, and how the answer is read.

A new type is one line in DEVICES, and a file with a real answer in tests/outputs.
"""

import re
from typing import NamedTuple

from .failures import Failure, last_line, plain


class Device(NamedTuple):
    """A device type: the command, and a pattern whose group 1 is the uptime and nothing else.

    `unix` says that the host has a real shell, so the command is run without a terminal; all
    others are netmiko's. `login` is appended to the user name.
    """

    command: str
    pattern: str = r"\buptime(?: is|:)\s+(.+)"
    unix: bool = False
    login: str = ""


_UNIX = Device("uptime", r"\bup\s+(.+?)(?:,\s+\d+ users?)?,\s+load average", unix=True)
_SHOW_VERSION = Device("show version")
_COMWARE = Device("display version")
_ICX = Device("show version", r"[Ss]ystem uptime is\s+(.+)")

DEVICES = {
    "linux": _UNIX,
    "vyos": _UNIX,
    "allied_telesis_awplus": Device("show system", r"Uptime\s+:\s+(.+)"),
    "arista_eos": _SHOW_VERSION,
    "aruba_aoscx": Device("show system", r"Up Time\s+:\s+(.+?)(?:,? under a minute)?$"),
    "cisco_asa": Device("show version", r"^(?!failover)\S+ up ((?:\d+ \w+ ?)+)"),
    "cisco_ios": _SHOW_VERSION,
    "cisco_nxos": _SHOW_VERSION,
    "cisco_s300": Device("show system", r"System Up Time \(days,hour:min:sec\):\s+(.+)"),
    "cisco_xe": _SHOW_VERSION,
    "cisco_xr": _SHOW_VERSION,
    "dell_os10": Device("show version", r"^Up Time:\s+(.+)"),
    "dell_os9": _SHOW_VERSION,
    "extreme_exos": Device("show switch", r"System UpTime:\s+(.+)"),
    "f5_tmsh": Device("run /util bash -c uptime", _UNIX.pattern),
    "fortinet": Device("get system performance status"),
    "hp_comware": _COMWARE,
    "hp_procurve": Device("show system", r"Up Time\s+:\s+(.+?)(?:\s{2}|$)"),
    "huawei_vrp": _COMWARE,
    "juniper_junos": Device("show system uptime", r"System booted:.*\((.+) ago\)"),
    # The suffix is netmiko's: no colours, 511 columns, 4098 lines.
    "mikrotik_routeros": Device("/system resource print", login="+ct511w4098h"),
    "nokia_sros": Device("show uptime", r"System Up Time\s*:\s+(.+?)\s*\(hr:min:sec\)"),
    "paloalto_panos": Device("show system info"),
    "ruckus_fastiron": _ICX,
    "brocade_fastiron": _ICX,
}

# Each part at most once, and the largest first: 2 weeks, 1 day | 3w1d 02:33 | 70,03:16:47
_UNITS = {
    31_536_000: r"years?|yrs?|y",
    604_800: r"week\(s\)|weeks?|w",
    86_400: r"day\(s\)|days?|d|(?=,\d+:)",
    3_600: r"h(?:ou)?r\(s\)|hours?|hrs?|h",
    60: r"min(?:ute)?\(s\)|minutes?|mins?|m",
    1: r"sec(?:ond)?\(s\)|seconds?|secs?|s",
}
_PART = r"(?:(\d+)\s*(?:{})(?:,?\s+and\s+|[,\s]+|(?=\d)|$))?"
_DURATION = re.compile(
    "".join(map(_PART.format, _UNITS.values())) + r"(?:(\d+):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?)?"
)


def read(device_type: str, output: str) -> tuple[int, str]:
    """Return the uptime in seconds and in the device's own words. Raises Failure (parse)."""
    device = DEVICES[device_type]
    found = re.search(device.pattern, output, re.IGNORECASE | re.MULTILINE)
    words = plain(found[1]) if found else ""
    seconds = duration(words)
    if seconds is None:
        said = f"answered {words or last_line(output)!r}, which is no uptime"
        raise Failure("parse", f"'{device.command}' was {said}: check the device type")
    return seconds, words


def duration(words: str) -> int | None:
    """Return the seconds in words that are a duration from the first to the last, else None."""
    found = _DURATION.fullmatch(words.strip())
    if not found or not any(found.groups()):
        return None
    sizes = (*_UNITS, 3_600, 60, 1)
    return sum(int(n) * size for n, size in zip(found.groups("0"), sizes, strict=True))
