"""Rows for people (tables) and for programs (json, a Prometheus textfile)."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from .failures import plain
from .fleet import Row


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Return failures first, then who has been up longest."""
    return sorted(rows, key=lambda row: (row.ok, -(row.uptime_seconds or 0), row.name))


def write(text: str, file: str | None) -> None:
    """Print a text, or put it into a file, which is replaced whole or not at all.

    A symbolic link is followed; what is no regular file (a pipe, /dev/null) is written to.
    Raises OSError when the file cannot be written, after printing the text instead.
    """
    if file is None:
        print(text, flush=True)
        return
    target = Path(os.path.realpath(file))
    new = target.with_name(f".{target.name}.{os.getpid()}")  # no collector reads that
    try:
        if target.exists() and not target.is_file():
            target.write_text(text + "\n", encoding="utf-8")
            return
        new.write_text(text + "\n", encoding="utf-8")
        if target.exists():
            shutil.copymode(target, new)
        new.replace(target)
    except OSError:
        print(text, flush=True)
        raise
    finally:
        new.unlink(missing_ok=True)


def table(rows: Sequence[Row], wide: bool = False) -> str:
    """Return a table for people; if `wide`, with the algorithms that were agreed on."""
    lines = [("HOST", "UPTIME", *(("KEX", "HOST KEY", "CIPHER") if wide else ()), "")]
    for row in rows:
        minutes = (row.uptime_seconds or 0) // 60
        uptime = f"{minutes // 1440}d {minutes // 60 % 24:2}h {minutes % 60:02}m"
        agreed = (row.kex, row.host_key, row.cipher) if wide else ()
        last = plain(row.text or row.detail)
        lines.append((plain(row.name), row.error or uptime, *agreed, last))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(f"{text:{w}}" for text, w in line).rstrip() for line in padded)


def as_json(rows: Sequence[Row]) -> str:
    """Return a list of rows."""
    return json.dumps([vars(row) for row in rows], indent=2, ensure_ascii=False)


def prom(rows: Sequence[Row]) -> str:
    """Return metrics for node_exporter's textfile collector."""
    lines: list[str] = []

    def metric(name: str, text: str, value: Callable[[Row], object], *labels: str) -> None:
        lines.extend((f"# HELP ssh_uptime_{name} {text}", f"# TYPE ssh_uptime_{name} gauge"))
        for row in rows:
            if (number := value(row)) is not None:
                shown = (label(row, each) for each in ("name", "host", "device_type", *labels))
                lines.append(f"ssh_uptime_{name}{{{','.join(shown)}}} {number}")

    def label(row: Row, name: str) -> str:
        value = plain(str(getattr(row, name))).replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}="{value}"'

    metric("up", "Whether the host gave its uptime.", lambda row: int(row.ok))
    metric("seconds", "The uptime of the host.", lambda row: row.uptime_seconds)
    metric("probe_seconds", "How long it took to ask.", lambda row: row.elapsed)
    why = "Why it failed; the kinds are in the manual."
    metric("failure", why, lambda row: 1 if row.error else None, "error")
    agreed = "The algorithms of SSH that were agreed on."
    metric("algorithms", agreed, lambda row: 1 if row.kex else None, "kex", "host_key", "cipher")
    return "\n".join(lines)


FORMS: dict[str, Callable[[Sequence[Row]], str]] = {
    "table": table,
    "wide": partial(table, wide=True),
    "json": as_json,
    "prom": prom,
}
