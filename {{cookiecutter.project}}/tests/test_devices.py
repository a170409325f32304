"""Every device type: its output, and a session through netmiko's driver for it.

Outputs that were captured on devices come from the tests of ntc-templates (Apache License 2.0,
Network to Code) and from FakeNOS (MIT): all but those of dell_os10, extreme_exos, f5_tmsh,
hp_comware and nokia_sros. For these, neither has one, so they were written in the form of PUBLISHED.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import OUTPUTS, PASSWORD
from ssh_devices import Device

from {{ cookiecutter.package }}.ask import ask
from {{ cookiecutter.package }}.devices import DEVICES, duration, read
from {{ cookiecutter.package }}.failures import Failure
from {{ cookiecutter.package }}.fleet import collect
from {{ cookiecutter.package }}.hostkeys import Line, Trust
from {{ cookiecutter.package }}.targets import Target

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
    "allied_telesis_awplus": (123_190_932, "1425 days 19:42:12"),
    "aruba_aoscx": (22_980, "6 hours, 23 minutes"),
    "brocade_fastiron": (63_111_611, "730 day(s) 11 hour(s) 11 second(s)"),
    "cisco_asa": (9_914_400, "114 days 18 hours"),
    "cisco_s300": (6_059_807, "70,03:16:47"),
    "dell_os10": (11_171_575, "18 weeks 3 days 07:12:55"),
    "dell_os9": (810_300, "1 week(s), 2 day(s), 9 hour(s), 5 minute(s)"),
    "extreme_exos": (3_906_879, "45 days 5 hours 14 minutes 39 seconds"),
    "f5_tmsh": (4_417_620, "51 days, 3:07"),
    "hp_comware": (18_957_240, "31 weeks, 2 days, 9 hours, 54 minutes"),
    "nokia_sros": (12_374_258, "143 days, 05:17:38.42"),
    "ruckus_fastiron": (2_088_661, "24 day(s) 4 hour(s) 11 minute(s) 1 second(s)"),
}

# Lines that owners of such devices have shown in public.
PUBLISHED = {
    "dell_os10": ("Up Time: 1 day 01:29:03", 91_743),
    "extreme_exos": ("System UpTime:    112 days 17 hours 53 minutes 32 seconds ", 9_741_212),
    "f5_tmsh": (" 14:27:37 up 88 days, 16:57,  1 user,  load average: 3.2, 3.0, 2.7", 7_664_220),
    "hp_comware": ("H3C S6520 uptime is 4 weeks, 3 days, 13 hours, 40 minutes", 2_727_600),
    "nokia_sros": ("System Up Time         : 0 days, 00:01:44.31 (hr:min:sec)", 104),
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
    "hp_comware": "<HPE>",
    "nokia_sros": "A:pe-1# ",
    "f5_tmsh": "admin@(lb-1)(cfg-sync Standalone)(Active)(/Common)(tmos)# ",
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


@pytest.mark.parametrize("device_type", PUBLISHED)
def test_the_uptime_is_read_from_what_others_saw(device_type: str) -> None:
    line, seconds = PUBLISHED[device_type]

    assert read(device_type, f"first line\n{line}\nlast line")[0] == seconds


@pytest.mark.parametrize("device_type", DEVICES)
def test_output_without_an_uptime_says_so(device_type: str) -> None:
    with pytest.raises(Failure, match="check the device type") as caught:
        read(device_type, "% Invalid input detected\x1b[31m at '^' marker.")
    assert caught.value.kind == "parse"
    assert "\x1b" not in str(caught.value)


def test_control_characters_of_a_device_do_not_reach_the_terminal() -> None:
    line = " 10:00:00 up 1 day\x1b]0;owned\x07, 2:03,  1 user,  load average: 0.00, 0.01, 0.05"

    with pytest.raises(Failure) as caught:
        read("linux", line)
    assert "answered '1 day]0;owned, 2:03'" in str(caught.value)


def test_lines_around_the_uptime_do_not_matter() -> None:
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
        ("70,03:16:47", 6_059_807),
        ("6w5d11h55m45s", 4_103_745),
        ("2 day(s), 14 min(s)", 173_640),
        ("0 days, 00:01:44.31", 104),
        ("6 weeks 1 day 17:55:03", 3_779_703),
        ("35 days 17 hours 35 minutes 20 seconds ", 3_087_320),
        # Nothing is added up, or left out, that is not a duration from end to end.
        ("3 ms", None),
        ("5 min 5 min", None),
        ("1 day 2 weeks", None),
        ("67 days, 3 fortnights", None),
        ("3 months", None),
        ("uptime 3 days", None),
        ("", None),
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
        ("  3:07pm  up 2 day(s), 14 min(s),  1 user,  load average: 0.02, 0.01, 0.01", 173_640),
    ],
    ids=["linux", "just booted", "busybox", "macos", "bsd", "solaris"],
)
def test_unix_uptimes_differ_and_are_all_read(line: str, seconds: int) -> None:
    assert read("linux", line)[0] == seconds


def device_and_target(
    device_type: str, start: Callable[[Device], int]
) -> tuple[Device, Target]:
    """Start a device of a type, and return it with the way to it."""
    output = OUTPUTS.joinpath(f"{device_type}.txt").read_text().rstrip("\n")
    answers = PREPARATION.get(device_type, {}) | {DEVICES[device_type].command: output}
    device = Device(PASSWORD, PROMPTS.get(device_type, "switch#"), answers)
    port = start(device)
    line = Line("", device.key.get_name(), device.key.get_base64(), "test:1")
    trust = Trust(f"[127.0.0.1]:{port}", (line,))
    target = Target(device_type, "127.0.0.1", "admin", trust, port, device_type, PASSWORD)
    return device, target


@pytest.mark.parametrize("latency", [0.0, 0.5], ids=["near", "far"])
def test_every_device_type_is_asked_on_a_server(
    latency: float, start: Callable[[Device], int]
) -> None:
    made = [device_and_target(device_type, start) for device_type in DEVICES]
    for device, _ in made:
        device.latency = latency
    targets = [target for _, target in made]

    with ThreadPoolExecutor(len(targets)) as executor:
        rows = {row.name: row for row in collect(targets, executor, 60, keep_trying=True)}

    assert {row.name: row.detail for row in rows.values() if not row.ok} == {}
    assert {name: (row.uptime_seconds, row.text) for name, row in rows.items()} == EXPECTED


def test_a_prompt_that_is_not_of_the_device_type_is_told(start: Callable[[Device], int]) -> None:
    _, target = device_and_target("cisco_ios", start)
    ask(target, "show version")  # loads netmiko, for which the time below is too short
    _, target = device_and_target("linux", start)

    with pytest.raises(Failure) as failure:
        ask(replace(target, device_type="cisco_ios"), "show version", timeout=2)

    assert failure.value.kind == "no-prompt"


@pytest.mark.parametrize("device_type", ["linux", "cisco_ios"])
def test_any_command_can_be_asked(device_type: str, start: Callable[[Device], int]) -> None:
    device, target = device_and_target(device_type, start)
    device.answers["show clock"] = "12:00:00.123 UTC Tue Mar 4 2025"

    assert ask(target, "show clock").strip() == "12:00:00.123 UTC Tue Mar 4 2025"


def test_mikrotik_gets_the_login_that_turns_its_colours_off(
    start: Callable[[Device], int],
) -> None:
    device, target = device_and_target("mikrotik_routeros", start)

    ask(target, "/system resource print")

    assert device.users == ["admin+ct511w4098h"]


@pytest.mark.skipif(os.name == "nt", reason="getpass reads the keyboard there, not stdin")
@pytest.mark.parametrize("vouched", [True, False], ids=["known", "unknown"])
def test_the_first_example_asks_a_device_whose_key_is_known(
    tmp_path: Path, start: Callable[[Device], int], vouched: bool
) -> None:
    device = Device(PASSWORD, "switch#", {"show clock": "12:00:00.123 UTC"})
    port = start(device)
    (tmp_path / ".ssh").mkdir()
    line = device.known_hosts(port) if vouched else ""
    (tmp_path / ".ssh" / "known_hosts").write_text(line)
    script = Path(__file__).parent.parent / "examples" / "first.py"

    done = subprocess.run(
        [sys.executable, script, "cisco_ios", f"me@127.0.0.1:{port}", "show clock"],
        input=f"{PASSWORD}\n",
        env={**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # else getpass would ask the terminal
    )

    assert (done.stdout == "12:00:00.123 UTC\n") == vouched, done.stderr
    assert bool(device.users) == vouched
