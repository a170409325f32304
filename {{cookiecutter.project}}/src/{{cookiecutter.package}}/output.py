"""Rows for people (a table) and for programs (json, csv, a Prometheus textfile)."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from .failures import plain
from .fleet import Row


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Failures first, then who has been up longest."""
    return sorted(rows, key=lambda row: (row.ok, -(row.uptime_seconds or 0), row.name))


def write(text: str, file: str | None) -> None:
    """To stdout, or to a file that is replaced whole or not at all.

    Raises OSError when the file cannot be written, after writing to stdout instead.
    """
    if file is None:
        print(text, flush=True)
        return
    new = Path(file).with_name(f".{Path(file).name}.{os.getpid()}")  # no collector reads that
    try:
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(file)
    except OSError:
        print(text, flush=True)
        raise
    finally:
        new.unlink(missing_ok=True)


def progress(rows: Iterable[Row], total: int) -> Iterable[Row]:
    """The same rows, with a bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        return rows
    from rich.console import Console
    from rich.progress import track

    return track(rows, "hosts", total, console=Console(stderr=True), transient=True)


def _table(rows: Sequence[Row]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table("HOST", "UPTIME", "", box=None, pad_edge=False)
    for row in rows:
        minutes = (row.uptime_seconds or 0) // 60
        uptime = f"{minutes // 1440}d {minutes // 60 % 24:2}h {minutes % 60:02}m"
        middle = Text(uptime) if row.ok else Text(str(row.error), "bold red")
        grid.add_row(Text(plain(row.name)), middle, Text(row.text or row.detail))
    console = Console()
    if not console.is_terminal:
        console.width = 500  # into a file or a pipe no line is folded
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _dicts(rows: Sequence[Row]) -> list[dict[str, object]]:
    return [{key: v for key, v in asdict(row).items() if key != "learned"} for row in rows]


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _dicts([Row("", "", "")])[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_dicts(rows))
    return text.getvalue().rstrip("\n")


def _prom(rows: Sequence[Row]) -> str:
    """For node_exporter's textfile collector. JSON escapes a label just as that format does."""
    lines = []
    for metric in ("up", "seconds", "probe_seconds"):
        lines.append(f"# TYPE ssh_uptime_{metric} gauge")
        for row in rows:
            labels = {"name": row.name, "host": row.host, "device_type": row.device_type}
            if metric == "up":
                labels["error"] = row.error or ""
            pairs = (f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in labels.items())
            name = f"ssh_uptime_{metric}" + "{" + ",".join(pairs) + "}"
            value = {"up": int(row.ok), "seconds": row.uptime_seconds}.get(metric, row.elapsed)
            lines += [] if value is None else [f"{name} {value}"]
    return "\n".join(lines)


FORMS: dict[str, Callable[[Sequence[Row]], str]] = {
    "table": _table,
    "json": lambda rows: json.dumps(_dicts(rows), indent=2, ensure_ascii=False),
    "csv": _csv,
    "prom": _prom,
}
