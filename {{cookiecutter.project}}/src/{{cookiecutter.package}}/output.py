"""Rows for people (a table) and for programs (json, csv, a Prometheus textfile)."""

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
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


def progress(rows: Iterable[Row], total: int) -> Iterable[Row]:
    """Return the same rows, with a bar on stderr if that is a terminal."""
    if total < 2 or not sys.stderr.isatty():
        return rows
    from rich.console import Console
    from rich.progress import track

    return track(rows, "hosts", total, console=Console(stderr=True), transient=True)


def summary(rows: Sequence[Row], seconds: float) -> str:
    """Return the last line: how many hosts were fine, how many failed, and how long it took."""
    fine = sum(row.ok for row in rows)
    return f"{fine} of {len(rows)} hosts answered, {len(rows) - fine} failed, in {seconds:.1f} s"


def table(rows: Sequence[Row], algorithms: bool = False, colour: bool = False) -> str:
    """Return a table for people; `algorithms` adds a column for each that was agreed on."""
    lines = [["HOST", "UPTIME", *(("KEX", "HOST KEY", "CIPHER") if algorithms else ()), ""]]
    for row in rows:
        minutes = (row.uptime_seconds or 0) // 60
        uptime = f"{minutes // 1440}d {minutes // 60 % 24:2}h {minutes % 60:02}m"
        agreed = (row.kex, row.host_key, row.cipher) if algorithms else ()
        lines.append([row.name, uptime if row.ok else str(row.error), *agreed])
        lines[-1].append(row.text or row.detail)
    widths = [max(len(plain(cell)) for cell in column) for column in zip(*lines, strict=True)]
    shown = []
    for line, failed in zip(lines, [False, *(not row.ok for row in rows)], strict=True):
        cells = [plain(cell).ljust(width) for cell, width in zip(line, widths, strict=True)]
        if failed and colour:
            cells[1] = f"\x1b[1;31m{cells[1]}\x1b[0m"
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)


def _dicts(rows: Sequence[Row]) -> list[dict[str, object]]:
    inner = ("learned", "login")
    return [{key: v for key, v in asdict(row).items() if key not in inner} for row in rows]


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _dicts([Row("", "", "")])[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_dicts(rows))
    return text.getvalue().rstrip("\n")


_METRICS: dict[str, tuple[str, Callable[[Row], float | None], tuple[str, ...]]] = {
    "up": ("Whether the host gave its uptime.", lambda row: int(row.ok), ()),
    "seconds": ("The uptime of the host.", lambda row: row.uptime_seconds, ()),
    "probe_seconds": ("How long it took to ask.", lambda row: row.elapsed, ()),
    "failure": (
        "Why it failed; the kinds are in the manual.",
        lambda r: 1 - r.ok or None,
        ("error",),
    ),
    "algorithms": (
        "The algorithms of SSH that were agreed on.",
        lambda row: 1 if row.kex else None,
        ("kex", "host_key", "cipher"),
    ),
}


def _prom(rows: Sequence[Row]) -> str:
    """Return metrics for node_exporter's textfile collector."""
    lines = []
    for name, (text, value_of, more) in _METRICS.items():
        lines += [f"# HELP ssh_uptime_{name} {text}", f"# TYPE ssh_uptime_{name} gauge"]
        for row in rows:
            labels = ",".join(map(_label, ("name", "host", "device_type", *more), [row] * 9))
            if (value := value_of(row)) is not None:
                lines.append(f"ssh_uptime_{name}{{{labels}}} {value}")
    return "\n".join(lines)


def _label(name: str, row: Row) -> str:
    value = plain(str(getattr(row, name)))
    return f'{name}="{value.translate({92: chr(92) * 2, 34: chr(92) + chr(34)})}"'


FORMS: dict[str, Callable[[Sequence[Row]], str]] = {
    "table": table,
    "json": lambda rows: json.dumps(_dicts(rows), indent=2, ensure_ascii=False),
    "csv": _csv,
    "prom": _prom,
}
