"""Every device type: real output, and a login through netmiko's driver for it.

The outputs of network devices are, but for Fortinet's, from the tests of ntc-templates (Apache
License 2.0, Network to Code).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from server import OUTPUTS, PASSWORD, Device

from {{ cookiecutter.package }}.devices import DEVICES, duration, read
from {{ cookiecutter.package }}.failures import Failure
from {{ cookiecutter.package }}.fleet import collect
from {{ cookiecutter.package }}.hostkeys import Line, Trust
from {{ cookiecutter.package }}.session import Target

EXPECTED = {
    "linux": (2_115_960, "24 days, 11:46"),
    "vyos": (51_660, "14:21"),
    "cisco_ios": (12_572_100, "20 weeks, 5 days, 12 hours, 15 minutes"),
    "cisco_xe": (4_295_640, "7 weeks, 17 hours, 14 minutes"),
    "cisco_nxos": (10_646_119, "123 day(s), 5 hour(s), 15 minute(s), 19 second(s)"),
    "cisco_xr": (2_943_720, "4 weeks, 6 days, 1 hour, 42 minutes"),
    "arista_eos": (81_560_640, "134 weeks, 5 days, 23 hours and 44 minutes"),
    "juniper_junos": (13_374_960, "22w0d 19:16"),
    "hp_procurve": (1_296_000, "15 days"),
    "mikrotik_routeros": (4_103_745, "6w5d11h55m45s"),
    "fortinet": (300, "0 days, 0 hours, 5 minutes"),
    "paloalto_panos": (182_329, "2 days, 2:38:49"),
    "huawei_vrp": (54_960, "0 week, 0 day, 15 hours, 16 minutes"),
}

# Prompts, and what netmiko asks before the first command.
PROMPTS = {
    "linux": "admin@server:~$ ",
    "vyos": "vyos@vyos:~$ ",
    "juniper_junos": "admin@router> ",
    "mikrotik_routeros": "[admin@MikroTik] > ",
    "fortinet": "FGT-1 # ",
    "paloalto_panos": "admin@pa1> ",
    "huawei_vrp": "<Huawei>",
}
PREPARATION = {
    "arista_eos": {
        "terminal width 511": "Width set to 511 columns.",
        "terminal length 0": "Pagination disabled.",
    },
    "juniper_junos": {
        "set cli screen-width 511": "Screen width set to 511",
        "set cli complete-on-space off": "Disabling complete-on-space",
        "set cli screen-length 0": "Screen length set to 0",
    },
    "fortinet": {
        "get system status | grep Virtual": "Virtual domain configuration: disable",
        "get system status | grep Version": "Version: FortiGate-VM64-KVM v7.0.3,build0237,211207",
        "get system console": "output              : standard",
    },
}


def test_every_device_type_has_an_output_and_an_expectation() -> None:
    assert set(DEVICES) == set(EXPECTED) == {file.stem for file in OUTPUTS.glob("*.txt")}


@pytest.mark.parametrize("device_type", DEVICES)
def test_the_uptime_is_read_from_real_output(device_type: str) -> None:
    output = OUTPUTS.joinpath(f"{device_type}.txt").read_text()

    assert read(device_type, output) == EXPECTED[device_type]


@pytest.mark.parametrize("device_type", DEVICES)
def test_output_without_an_uptime_says_so(device_type: str) -> None:
    with pytest.raises(Failure, match="check the device type") as caught:
        read(device_type, "% Invalid input detected\x1b[31m at '^' marker.")
    assert caught.value.kind == "parse"
    assert "\x1b" not in str(caught.value)


def test_control_characters_of_a_device_do_not_reach_the_terminal() -> None:
    line = " 10:00:00 up 1 day\x1b]0;owned\x07, 2:03,  1 user,  load average: 0.00, 0.01, 0.05"

    assert read("linux", line)[1] == "1 day]0;owned, 2:03"


def test_a_line_that_a_template_does_not_know_is_no_obstacle() -> None:
    output = OUTPUTS.joinpath("cisco_xr.txt").read_text() + "\n!!! something new\n"

    assert read("cisco_xr", output) == EXPECTED["cisco_xr"]


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("1 year, 2 weeks", 32_745_600),
        ("2 days, 3:04", 183_840),
        ("2 days, 3:04:05", 183_845),
        ("3w1d 02:33", 1_909_980),
        ("1 hour and 5 minutes", 3_900),
        ("45 secs", 45),
        ("0 min", 0),
        ("soon", None),
    ],
)
def test_durations_are_understood_in_many_forms(words: str, seconds: int | None) -> None:
    assert duration(words) == seconds


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        (" 10:00:00 up 1 day,  2:03,  1 user,  load average: 0.00, 0.01, 0.05", 93_780),
        (" 10:00:00 up 5 min,  0 user,  load average: 0.00, 0.01, 0.05", 300),
        (" 10:00:00 up 3:04, load average: 0.00, 0.01, 0.05", 11_040),
        ("10:00  up 3 days,  2:11, 5 users, load averages: 1.25 1.30 1.31", 267_060),
        ("10:00AM  up 45 secs, 1 user, load averages: 0.00, 0.00, 0.00", 45),
    ],
    ids=["linux", "just booted", "busybox", "macos", "bsd"],
)
def test_unix_uptimes_differ_and_are_all_read(line: str, seconds: int) -> None:
    assert read("linux", line)[0] == seconds


def test_netmiko_logs_in_to_every_device_type(start: Callable[[Device], int]) -> None:
    targets = []
    for device_type, description in DEVICES.items():
        output = OUTPUTS.joinpath(f"{device_type}.txt").read_text().rstrip("\n")
        answers = PREPARATION.get(device_type, {}) | {description.command: output}
        device = Device(PROMPTS.get(device_type, "switch#"), answers)
        port = start(device)
        line = Line("", device.key.get_name(), device.key.get_base64(), "test:1")
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "username": "admin",
            "password": PASSWORD,
            "device_type": device_type,
        }
        if device_type == "fortinet":
            # netmiko insists on key exchanges of FortiOS that paramiko's server side has not.
            settings["disabled_algorithms"] = {"kex": ["none"]}
        targets.append(Target(device_type, settings, Trust(f"[127.0.0.1]:{port}", (line,))))

    with ThreadPoolExecutor(len(targets)) as executor:
        rows = {row.name: row for row in collect(targets, 30, executor)}

    assert {row.name: row.detail for row in rows.values() if not row.ok} == {}
    assert {name: (row.uptime_seconds, row.text) for name, row in rows.items()} == EXPECTED
