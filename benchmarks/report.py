"""results/*.json -> the tables and plots of docs/explanation/benchmarks.md.

    build/bench/bin/python benchmarks/report.py

What is between the marks of a part is written anew; what a person wrote around it stays.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "explanation" / "benchmarks.md"
PICTURES = ROOT / "docs" / "pictures" / "benchmarks"

Row = dict[str, Any]
Result = dict[str, Any]

ENVIRONMENT = {
    "cold": "Create, empty caches",
    "warm": "Create, warm caches",
    "again": "Nothing to do",
    "verify": "Verify",
    "repair": "Repair one broken package",
    "relock": "Lock again",
    "bundle": "Put everything into one file",
    "unbundle": "Create from that file, empty caches",
}
FLEET = {
    "near": "Unix",
    "far": "Unix, 50 ms round trip",
    "devices": "Devices",
    "devices far": "Devices, 50 ms round trip",
}
GENERATION = {
    "generate": "`cookiecutter`, to a locked and verified environment",
    "clone": "`python -m condaw create` in a clone",
    "try": "`make try`, with the making of the channel",
}


# --- figures


def figure(row: Row, key: str) -> float:
    """Return the median of one kind of cost, in the unit of `measure.Cost`."""
    return float(median(cost[key] for cost in row["costs"]))


def ratio(row: Row, other: Row, key: str = "seconds") -> float:
    """Return how many times as much `row` takes as `other`.

    It is the median over the rounds; each compares two runs that followed each other.
    """
    pairs = zip(row["costs"], other["costs"], strict=False)
    return float(median(ours[key] / theirs[key] for ours, theirs in pairs))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> str:
    """Return x if values grow as size ** x: the slope of a least squares line of the logarithms."""
    if len(sizes) < 2:
        return ""
    xs, ys = [math.log(size) for size in sizes], [math.log(value) for value in values]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return f"{slope / sum((a - x) ** 2 for a in xs):.2f}"


def short(value: float) -> str:
    """Return `value` with three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def good(rows: Iterable[Row], task: str) -> list[Row]:
    """Return the rows of a task that have figures."""
    return [row for row in rows if row["task"] == task and row["costs"]]


# --- Markdown


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in body), ""]


def about(result: Result) -> list[str]:
    """Return a paragraph: date, machine, load and versions."""
    machine = result["machine"]
    loads = [f"{load:.1f}" for load in (min(result["load"]), max(result["load"]))]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [
        f"{result['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}; load {loads[0]} to {loads[1]}; medians of {result['runs']}. "
        f"{versions}.",
        "",
    ]


def summary(result: Result) -> list[str]:
    """Return the seconds of the most frequent tasks in one table, without the floors."""
    frequent = ("cold", "warm", "again", "verify", "relock")
    tasks = {task: ENVIRONMENT[task] for task in frequent if good(result["rows"], task)}
    body = []
    found = [row for row in result["rows"] if row["task"] in tasks and row["costs"]]
    for name, rows in by_contender(found).items():
        if not name.startswith("floor"):
            seconds = {row["task"]: short(figure(row, "seconds")) for row in rows}
            body.append([name, *(seconds.get(task, "") for task in tasks)])
    return table(["seconds", *tasks.values()], body)


def environment(result: Result) -> list[str]:
    """Return the section on environments."""
    lines = about(result)
    for task, title in ENVIRONMENT.items():
        if not (rows := good(result["rows"], task)):
            continue
        floor = rows[0] if rows[0]["contender"].startswith("floor") else None
        body = []
        for row in rows:
            keys = ("seconds", "cpu_seconds", "memory_mb", "written_mb")
            cells = [short(figure(row, key)) for key in keys]
            body.append([row["contender"], *cells, short(ratio(row, floor)) if floor else ""])
        head = [title, "seconds", "CPU seconds", "memory, MB", "written, MB", "x floor"]
        lines += table(head[: 6 if floor else 5], [row[: 6 if floor else 5] for row in body])
    drawn = [task for task in ("cold", "warm") if good(result["rows"], task)]
    if drawn:
        draw_dots("environment", {ENVIRONMENT[t]: good(result["rows"], t) for t in drawn})
        lines += picture("environment", "Seconds to create an environment")
    return lines


def scale(result: Result) -> list[str]:
    """Return the section on growth."""
    lines = about(result)
    for unit in ("packages", "files"):
        tasks = sorted({row["task"] for row in result["rows"] if row["task"].startswith(unit)})
        if not tasks:
            continue
        sizes = sorted({row["size"] for row in result["rows"] if row["task"] in tasks})
        body, curves = [], {}
        for task in tasks:
            for name, rows in by_contender(good(result["rows"], task)).items():
                label = f"{name}, {task.partition(', ')[2]}"
                for key, kind in (("seconds", "s"), ("memory_mb", "MB")):
                    values = {row["size"]: figure(row, key) for row in rows}
                    cells = [short(values[size]) if size in values else "" for size in sizes]
                    grows = exponent(list(values), list(values.values()))
                    body.append([f"{label}, {kind}", *cells, grows])
                    curves[label, kind] = values
        lines += table([unit, *(f"{size:,}" for size in sizes), "exponent"], body)
        draw_curves(f"scale-{unit}", unit, curves)
        lines += picture(f"scale-{unit}", f"Time and memory by the number of {unit}")
    return lines + environments(good(result["rows"], "environments"))


def environments(rows: list[Row]) -> list[str]:
    """Return the disk that environments and cache take, and what one more environment adds."""
    if not rows:
        return []
    sizes, body, curves = sorted({row["size"] for row in rows}), [], {}
    for name, found in by_contender(rows).items():
        disk = {row["size"]: row["disk_mb"] for row in found}
        more = (disk[sizes[-1]] - disk[sizes[0]]) / max(sizes[-1] - sizes[0], 1)
        body.append([name, *(short(disk[size]) for size in sizes), short(more)])
        curves[name, "MB"] = disk
        curves[name, "s"] = {row["size"]: figure(row, "seconds") for row in found}
    lines = table(["environments: MB", *map(str, sizes), "MB for one more"], body)
    draw_curves("scale-environments", "environments on one cache", curves)
    return lines + picture("scale-environments", "Time and disk by the number of environments")


def fleet(result: Result) -> list[str]:
    """Return the section on fleets of hosts."""
    lines = about(result)
    curves: dict[tuple[str, str], dict[int, float]] = {}
    for task, title in FLEET.items():
        if not (rows := good(result["rows"], task)):
            continue
        sizes = sorted({row["size"] for row in rows})
        for what, of in (
            ("hosts/s", lambda row: row["size"] / figure(row, "seconds")),
            ("CPU ms a host", lambda row: 1000 * figure(row, "cpu_seconds") / row["size"]),
            ("memory, MB", lambda row: figure(row, "memory_mb")),
        ):
            body = []
            for name, found in by_contender(rows).items():
                values = {row["size"]: of(row) for row in found}
                body.append([name, *(short(values[s]) if s in values else "" for s in sizes)])
                if what == "hosts/s":
                    curves[name, title] = values
            lines += table([f"{title}: {what}", *(f"{size:,}" for size in sizes)], body)
    if curves:
        draw_curves("fleet", "hosts", curves, "hosts/s")
        lines += picture("fleet", "Hosts a second by the number of hosts")
    if rows := good(result["rows"], "encrypted"):
        body = [
            [r["contender"], *(short(figure(r, k)) for k in ("seconds", "cpu_seconds"))]
            for r in rows
        ]
        lines += table([f"{rows[0]['size']} Unix hosts", "seconds", "CPU seconds"], body)
    if rows := good(result["rows"], "known"):
        body = [
            [r["contender"], *(short(figure(r, k)) for k in ("seconds", "cpu_seconds"))]
            for r in rows
        ]
        lines += table([f"known_hosts, {rows[0]['size']} hosts", "seconds", "CPU seconds"], body)
    return lines


def generation(result: Result) -> list[str]:
    """Return the section on generating a project."""
    body = [
        [title, row["contender"], *(short(figure(row, k)) for k in ("seconds", "cpu_seconds"))]
        for task, title in GENERATION.items()
        for row in good(result["rows"], task)
    ]
    return about(result) + table(["", "", "seconds", "CPU seconds"], body)


def targets(results: dict[str, Result]) -> list[str]:
    """Return the targets, and how far each is met."""
    found = {
        (row["task"], row["contender"]): row
        for row in results.get("environment", {}).get("rows", [])
        if row["costs"]
    }
    body = []
    for text, most, ours, theirs in (
        ("warm create / micromamba's", 0.5, ("warm", "condaw"), "micromamba"),
        ("warm create / uv's, files compared", 1, ("warm", "condaw"), "uv, files compared"),
        ("cold create / micromamba's", 0.8, ("cold", "condaw"), "micromamba"),
        ("verify / sha256sum", 1.5, ("verify", "condaw"), "floor: sha256sum"),
        ("nothing to do / python -c pass", 2, ("again", "condaw"), "floor: python -c pass"),
    ):
        other = ours[0], theirs
        if ours in found and other in found:
            seconds = ratio(found[ours], found[other])
            cpu = ratio(found[ours], found[other], "cpu_seconds")
            verdict = "yes" if seconds <= most else "no"
            body.append([text, f"{most:g}", short(seconds), short(cpu), verdict])
    rows = results.get("scale", {}).get("rows", [])
    big = [r for r in rows if r["task"] == "packages, cold" and r["size"] == 1000 and r["costs"]]
    for row in big:
        if row["contender"] == "condaw":
            memory = figure(row, "memory_mb")
            verdict = "yes" if memory < 120 else "no"
            body.append(["MB of memory at 1,000 packages", "120", short(memory), "", verdict])
    return table(["target", "at most", "measured", "CPU time", "met"], body) if body else []


def by_contender(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows by contender, in their order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["contender"], []).append(row)
    return found


def picture(name: str, title: str) -> list[str]:
    """Return the lines that show a picture."""
    return [f"![{title}](../pictures/benchmarks/{name}.svg)", ""]


# --- plots, the same bytes for the same figures

GREEN, GREY = "#2fa45f", "#8a93a3"
COLORS = ["#3b8fe0", "#e07b1a", GREEN, "#d9534f", "#9a6fd0", "#a8764e", "#d55fb0", GREY, "#a3a020"]
"""Readable on white and on black."""
INK = "#010203"
"""Stands for the colour of text and axes, which is the page's."""
STYLE = """\
svg { color: #1f2430; } text { fill: currentColor; }
@media (prefers-color-scheme: dark) { svg { color: #e4e8f0; } }
"""


def plotting() -> Any:
    """Return pyplot, set up to draw SVG whose text is text."""
    matplotlib.use("svg")
    inks = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    settings = {"svg.hashsalt": "condaw", "svg.fonttype": "none", "font.size": 9}
    matplotlib.rcParams.update(settings | dict.fromkeys(inks, INK))
    import matplotlib.pyplot as plot

    return plot


def save(drawing: Any, name: str) -> None:
    """Write the plot without a background, in the colours of the page that it is on."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.svg"
    drawing.savefig(path, metadata={"Date": None}, bbox_inches="tight", transparent=True)
    text = path.read_text(encoding="utf-8").replace(INK, "currentColor")
    text = text.replace("</style>", f"\n{STYLE}</style>", 1)
    lines = (line.rstrip() for line in text.splitlines())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_dots(name: str, groups: dict[str, list[Row]]) -> None:
    """Draw a field for each group, with a dot for each contender.

    Bars would have no start on a logarithmic axis.
    """
    drawing, fields = plotting().subplots(1, len(groups), figsize=(10, 3.2), squeeze=False)
    for field, (title, rows) in zip(fields[0], groups.items(), strict=True):
        for place, row in enumerate(rows):
            value = figure(row, "seconds")
            ours = row["contender"].startswith("condaw")
            field.plot(value, place, "o", color=GREEN if ours else GREY)
            field.annotate(
                short(value), (value, place), (6, 0), textcoords="offset points", va="center"
            )
        values = [figure(row, "seconds") for row in rows]
        field.set(title=f"{title}, seconds", xscale="log", xlim=(min(values) / 2, max(values) * 3))
        field.set_yticks(range(len(rows)), [row["contender"] for row in rows])
        field.grid(alpha=0.3, axis="both")
        field.xaxis.set_major_formatter("{x:g}")
        field.minorticks_off()
        field.invert_yaxis()
    drawing.tight_layout()
    save(drawing, name)


def draw_curves(
    name: str, unit: str, curves: dict[tuple[str, str], dict[int, float]], label: str = ""
) -> None:
    """Draw a field for each second part of the keys, and a curve for each first part."""
    kinds = list(dict.fromkeys(kind for _, kind in curves))
    titles = list(dict.fromkeys(title for title, _ in curves))
    colors = dict(zip(titles, itertools.cycle(COLORS), strict=False))
    drawing, fields = plotting().subplots(1, len(kinds), figsize=(10, 3.6), squeeze=False)
    for field, kind in zip(fields[0], kinds, strict=True):
        for title in titles:
            values = curves.get((title, kind), {})
            points = list(values), list(values.values())
            field.plot(*points, marker="o", ms=3, label=title, color=colors[title])
        field.set(xscale="log", yscale="log", xlabel=unit, ylabel=label or kind)
        field.set_title(kind if label else "")
        field.xaxis.set_major_formatter("{x:,g}")
        field.yaxis.set_major_formatter("{x:g}")
        field.grid(alpha=0.3)
    legend = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "framealpha": 0}
    fields[0][-1].legend(fontsize=7, **legend)
    drawing.tight_layout()
    save(drawing, name)


# --- the page


def main() -> None:
    """Write the tables into the page, and draw the plots."""
    results = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in RESULTS.glob("*.json")}
    page = PAGE.read_text(encoding="utf-8")
    page = replaced(page, "targets", targets(results))
    if "environment" in results:
        page = replaced(page, "summary", summary(results["environment"]))
    parts = {"environment": environment, "scale": scale, "fleet": fleet, "generation": generation}
    for name, write in parts.items():
        if name in results:
            page = replaced(page, name, write(results[name]))
    PAGE.write_text(page, encoding="utf-8", newline="\n")


def replaced(page: str, name: str, lines: Sequence[str]) -> str:
    """Return the page with `lines` between the marks of `name`; exit if they are not there once."""
    marks = rf"(<!-- begin {name}[^\n]*-->\n).*?(<!-- end {name} -->)"
    body = "\n" + "\n".join(lines)
    made, count = re.subn(marks, lambda m: m[1] + body + m[2], page, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{PAGE}: expected the marks of {name} once, found them {count} times")
    return made


if __name__ == "__main__":
    main()
