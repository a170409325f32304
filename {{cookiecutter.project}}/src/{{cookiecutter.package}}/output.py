"""Rows for people (a table) and for programs (json, csv, a Prometheus textfile)."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .fleet import Row


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Failures first, then who has been up longest."""
    return sorted(rows, key=lambda row: (row.ok, -(row.uptime_seconds or 0), row.name))


def write(text: str, file: str | None) -> None:
    """To stdout, or to a file that is replaced whole or not at all. Raises OSError."""
    if file is None:
        print(text, flush=True)
        return
    new = Path(file).with_name(f".{Path(file).name}.{os.getpid()}")  # no collector reads that
    try:
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """Yields what to call after each row; a bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("hosts", total=total)
        yield lambda: bar.advance(task)


def table(rows: Iterable[Row]) -> str:
    """For people: a failed host shows its kind of error and what to do."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table("HOST", "UPTIME", "", box=None, pad_edge=False)
    for row in rows:
        if row.ok:
            grid.add_row(Text(row.name), human(row.uptime_seconds or 0), Text(row.text))
        else:
            grid.add_row(Text(row.name), Text(row.error or "", "bold red"), Text(row.detail))
    console = Console()
    with console.capture() as captured:
        # Into a file or a pipe no line is folded.
        console.print(grid, width=None if console.is_terminal else 500)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def human(seconds: int) -> str:
    """`12d 3h 4m` for a number of seconds."""
    minutes = seconds // 60
    return f"{minutes // 1440}d {minutes // 60 % 24}h {minutes % 60}m"


def as_json(rows: Iterable[Row]) -> str:
    """A list of rows."""
    return json.dumps([_public(row) for row in rows], indent=2, ensure_ascii=False)


def as_csv(rows: Iterable[Row]) -> str:
    """A line of names, and a line for each row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _public(Row("", "", "")), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_public, rows))
    return text.getvalue().rstrip("\n")


def prom(rows: Iterable[Row]) -> str:
    """The text format of Prometheus, for node_exporter's textfile collector."""
    metrics: dict[str, list[str]] = {}
    for row in rows:
        labels = {"name": row.name, "host": row.host, "device_type": row.device_type}
        values = {"seconds": row.uptime_seconds, "probe_seconds": row.elapsed, "up": int(row.ok)}
        for metric, value in values.items():
            lines = metrics.setdefault(f"ssh_uptime_{metric}", [])
            if metric == "up":
                labels["error"] = row.error or ""
            # JSON escapes a label as Prometheus wants it: backslash, quote, newline.
            text = ",".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in labels.items())
            lines += [] if value is None else [f"ssh_uptime_{metric}{{{text}}} {value}"]
    heads = {name: f"# TYPE {name} gauge" for name in metrics}
    return "\n".join("\n".join([heads[name], *lines]) for name, lines in metrics.items())


def _public(row: Row) -> dict[str, Any]:
    return {key: value for key, value in asdict(row).items() if key != "learned"}


FORMS = {"table": table, "json": as_json, "csv": as_csv, "prom": prom}
