"""results/*.json -> the tables and plots of docs/explanation/benchmarks.md.

    build/bench/bin/python benchmarks/report.py

What is between the marks of a part is written anew; what a person wrote around it stays.
"""

from __future__ import annotations

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
    """The median of one kind of cost."""
    return float(median(cost[key] for cost in row["costs"]))


def ratio(row: Row, other: Row, key: str = "seconds") -> float:
    """How much more `row` takes than `other`, by the median of the rounds: each compares two
    runs that followed each other."""
    pairs = zip(row["costs"], other["costs"], strict=False)
    return float(median(ours[key] / theirs[key] for ours, theirs in pairs))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> str:
    """The slope of the least squares line through the logarithms: values grow as size ** slope."""
    if len(sizes) < 2:
        return ""
    xs, ys = [math.log(size) for size in sizes], [math.log(value) for value in values]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    return f"{slope / sum((a - x) ** 2 for a in xs):.2f}"


def short(value: float) -> str:
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def good(rows: Iterable[Row], task: str) -> list[Row]:
    return [row for row in rows if row["task"] == task and row["costs"]]


# --- Markdown


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in body), ""]


def about(result: Result) -> list[str]:
    """Where, when and with what."""
    machine = result["machine"]
    loads = [f"{load:.1f}" for load in (min(result["load"]), max(result["load"]))]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [
        f"{result['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}; load {loads[0]} to {loads[1]}; medians of {result['runs']}. "
        f"{versions}.",
        "",
    ]


def environment(result: Result) -> list[str]:
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
        draw_bars("environment", {ENVIRONMENT[t]: good(result["rows"], t) for t in drawn})
        lines += picture("environment", "Seconds to create an environment")
    return lines


def scale(result: Result) -> list[str]:
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
    """Disk that all environments and the cache take, and what one more environment takes."""
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
    body = [
        [title, row["contender"], *(short(figure(row, k)) for k in ("seconds", "cpu_seconds"))]
        for task, title in GENERATION.items()
        for row in good(result["rows"], task)
    ]
    return about(result) + table(["", "", "seconds", "CPU seconds"], body)


def targets(results: dict[str, Result]) -> list[str]:
    """What was aimed at, and what is."""
    found = {
        (row["task"], row["contender"]): row
        for row in results.get("environment", {}).get("rows", [])
        if row["costs"]
    }
    body = []
    for text, most, ours, theirs in (
        ("warm create, verified: of micromamba's", 0.5, ("warm", "condaw"), "micromamba"),
        ("warm create: of uv's with files compared", 1, ("warm", "condaw"), "uv, files compared"),
        ("cold create: of micromamba's", 0.8, ("cold", "condaw"), "micromamba"),
        ("verify: of sha256sum", 1.5, ("verify", "condaw"), "floor: sha256sum"),
        ("nothing to do: of python -c pass", 2, ("again", "condaw"), "floor: python -c pass"),
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
    return table(["target", "at most", "measured", "by CPU time", "met"], body) if body else []


def by_contender(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["contender"], []).append(row)
    return found


def picture(name: str, title: str) -> list[str]:
    return [f"![{title}](../pictures/benchmarks/{name}.svg)", ""]


# --- plots, the same bytes for the same figures


def plotting() -> Any:
    matplotlib.use("svg")
    settings = {"svg.hashsalt": "condaw", "svg.fonttype": "none", "font.size": 9}
    matplotlib.rcParams.update(settings)
    import matplotlib.pyplot as plot

    return plot


def save(drawing: Any, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.svg"
    drawing.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    lines = (line.rstrip() for line in path.read_text(encoding="utf-8").splitlines())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_bars(name: str, groups: dict[str, list[Row]]) -> None:
    drawing, fields = plotting().subplots(1, len(groups), figsize=(10, 3.2), squeeze=False)
    for field, (title, rows) in zip(fields[0], groups.items(), strict=True):
        names, values = [r["contender"] for r in rows], [figure(r, "seconds") for r in rows]
        colors = ["#2a7" if r.startswith("condaw") else "#89a" for r in names]
        bars = field.barh(names, values, color=colors)
        field.bar_label(bars, [short(value) for value in values], padding=2)
        field.set(title=f"{title}, seconds", xscale="log", xlim=(min(values) / 2, max(values) * 3))
        field.minorticks_off()
        field.invert_yaxis()
    drawing.tight_layout()
    save(drawing, name)


def draw_curves(
    name: str, unit: str, curves: dict[tuple[str, str], dict[int, float]], label: str = ""
) -> None:
    """A field for each second part of the keys."""
    kinds = list(dict.fromkeys(kind for _, kind in curves))
    drawing, fields = plotting().subplots(1, len(kinds), figsize=(10, 3.6), squeeze=False)
    for field, kind in zip(fields[0], kinds, strict=True):
        for (title, its), values in curves.items():
            if its == kind:
                field.plot(list(values), list(values.values()), marker="o", ms=3, label=title)
        field.set(xscale="log", yscale="log", xlabel=unit, ylabel=label or kind)
        field.set_title(kind if label else "")
        field.grid(alpha=0.3)
    fields[0][-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    drawing.tight_layout()
    save(drawing, name)


# --- the page


def main() -> None:
    results = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in RESULTS.glob("*.json")}
    page = PAGE.read_text(encoding="utf-8")
    page = replaced(page, "targets", targets(results))
    parts = {"environment": environment, "scale": scale, "fleet": fleet, "generation": generation}
    for name, write in parts.items():
        if name in results:
            page = replaced(page, name, write(results[name]))
    PAGE.write_text(page, encoding="utf-8", newline="\n")


def replaced(page: str, name: str, lines: Sequence[str]) -> str:
    """The page with `lines` between the marks of `name`."""
    marks = rf"(<!-- begin {name}[^\n]*-->\n).*?(<!-- end {name} -->)"
    body = "\n" + "\n".join(lines)
    made, count = re.subn(marks, lambda m: m[1] + body + m[2], page, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{PAGE}: the marks of {name} are there {count} times")
    return made


if __name__ == "__main__":
    main()
