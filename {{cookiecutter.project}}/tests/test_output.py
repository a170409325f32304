"""Tables for people; json, csv and Prometheus for programs."""

import csv
import json
import subprocess
from collections.abc import Callable
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


def test_json_and_csv_hold_the_same_rows() -> None:
    from_json = json.loads(FORMS["json"](ROWS))
    from_csv = list(csv.DictReader(FORMS["csv"](ROWS).splitlines()))

    assert [list(row) for row in from_json] == [list(row) for row in from_csv]
    assert from_json[1]["uptime_seconds"] == 93_780
    assert from_json[2]["error"] == from_csv[2]["error"] == "dns"


def test_prometheus_gets_valid_metrics() -> None:
    lines = FORMS["prom"](ROWS).splitlines()

    assert 'ssh_uptime_seconds{name="a",host="10.0.0.1",device_type="cisco_ios"} 93780' in lines
    assert r'name="c\"\\"' in next(line for line in lines if 'error="dns"' in line)
    assert [line for line in lines if line.startswith("#")] == [
        "# TYPE ssh_uptime_up gauge",
        "# TYPE ssh_uptime_seconds gauge",
        "# TYPE ssh_uptime_probe_seconds gauge",
    ]


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


def test_the_command_tests_itself_without_a_home(
    ssh_uptime: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    result = ssh_uptime("--self-test", HOME="/nonexistent")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("self-test passed")
