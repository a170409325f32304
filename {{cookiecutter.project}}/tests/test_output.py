"""Tables for people; json and Prometheus for programs."""

import json
import os
from pathlib import Path

import pytest

from {{ cookiecutter.package }}.fleet import Row
from {{ cookiecutter.package }}.output import FORMS, in_order, write

ROWS = [
    Row("b", "10.0.0.2", "linux", True, 300, "5 min", elapsed=0.5),
    Row("a", "10.0.0.1", "cisco_ios", True, 93_780, "1 day, 2:03", elapsed=0.25),
    Row('c"\\', "10.0.0.3", "linux", error="dns", detail="check [bold]its[/bold] spelling"),
]


def test_failures_come_first_then_who_has_been_up_longest() -> None:
    assert [row.name for row in in_order(ROWS)] == ['c"\\', "a", "b"]


def test_the_table_shows_uptimes_and_what_to_do() -> None:
    lines = FORMS["table"](in_order(ROWS)).splitlines()

    assert lines[1].split(maxsplit=2) == ['c"\\', "dns", "check [bold]its[/bold] spelling"]
    assert lines[2].split() == ["a", "1d", "2h", "03m", "1", "day,", "2:03"]


def test_json_holds_the_rows() -> None:
    rows = json.loads(FORMS["json"](ROWS))

    assert [row["uptime_seconds"] for row in rows] == [300, 93_780, None]
    assert [row["error"] for row in rows] == [None, None, "dns"]


def test_prometheus_gets_valid_metrics() -> None:
    rows = [
        *ROWS,
        Row("d\x1b[31m\n", "::1", "linux", True, 1, "1s", kex="k", host_key="h", cipher="c"),
    ]

    lines = FORMS["prom"](rows).splitlines()

    assert 'ssh_uptime_seconds{name="a",host="10.0.0.1",device_type="cisco_ios"} 93780' in lines
    assert 'ssh_uptime_up{name="d[31m",host="::1",device_type="linux"} 1' in lines
    third = r'name="c\"\\",host="10.0.0.3",device_type="linux"'
    assert "ssh_uptime_up{" + third + "} 0" in lines
    assert [line for line in lines if line.startswith("ssh_uptime_failure")] == [
        "ssh_uptime_failure{" + third + ',error="dns"} 1'
    ]
    (algorithms,) = [line for line in lines if line.startswith("ssh_uptime_algorithms")]
    assert algorithms.endswith(',kex="k",host_key="h",cipher="c"} 1')
    comments = [line.split()[1:3] for line in lines if line.startswith("#")]
    names = ("up", "seconds", "probe_seconds", "failure", "algorithms")
    assert comments == [[w, f"ssh_uptime_{name}"] for name in names for w in ("HELP", "TYPE")]


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "uptime.prom"
    write("old", str(file))

    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write("new", str(file))

    assert capsys.readouterr().out == "new\n"
    assert file.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links and pipes of Unix")
def test_a_link_is_followed_and_a_device_stays_one(tmp_path: Path) -> None:
    real, link, pipe = (tmp_path / name for name in ("real", "link", "pipe"))
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to("real")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    for file in (link, pipe, Path("/dev/null")):
        write("new", str(file))

    assert (link.is_symlink(), real.read_text()) == (True, "new\n")
    assert real.stat().st_mode & 0o777 == 0o640
    assert os.read(reader, 100) == b"new\n"
    os.close(reader)
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()
