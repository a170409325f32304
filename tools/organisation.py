"""Compute the tables of docs/explanation/scale.md from the figures in scale.json beside it.

    python tools/organisation.py [--sizes FOLDER]

Each table is written between its marks in the page. `--sizes` first measures the shipped locks:
FOLDER holds `<subdir>/repodata.json`, as the channel does.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "explanation" / "scale.md"
FIGURES = PAGE.with_suffix(".json")
LOCKS = ROOT / "templates" / "conda-lock"
DEFAULT = "python-3.14-paramiko-5"
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
DAY = 86400
Figures = Mapping[str, Any]


def tables(figures: Figures) -> dict[str, str]:
    """Return the page's tables by their marks."""
    return {
        "environment": environment_table(figures),
        "runs": runs_table(figures),
        "store": store_table(figures),
    }


def environment_table(figures: Figures) -> str:
    """Return the size of one environment: as packages, with the engine, and unpacked."""
    rows = []
    for platform, conda in figures["conda_mb"].items():
        packages = conda + figures["wheels_mb"]
        unpacked = packages * figures["unpacked_factor"]
        rows.append([platform, mb(packages), mb(packages + figures["engine_mb"]), mb(unpacked)])
    return table(["platform", "packages", "with condaw's engine", "unpacked, about"], rows)


def runs_table(figures: Figures) -> str:
    """Return what a day of CI on Linux costs, by what is kept between runs."""
    packages = figures["conda_mb"]["linux-64"] + figures["wheels_mb"]
    everything = packages + figures["engine_mb"]
    changed = packages * figures["changed_share_of_a_relock"]
    line = figures["line_mb_per_s"]
    unpack = everything * figures["unpacked_factor"] / figures["unpack_mb_per_s"]
    warm = figures["create_warm_s"]
    cold = figures["create_cold_s"] + figures["engine_s"]
    weekly = figures["runs_a_day"] * 7 / figures["relocks_a_week"]
    shared = changed * figures["runners"] / weekly
    first = first_visits(weekly / figures["projects"], figures["runners"])
    ways = (
        ("nothing", everything, cold),
        ("CI's cache, by the lock's hash", everything, warm + unpack),
        ("`CONDAW_CACHE` on each runner; projects share packages", shared, warm),
        ("`CONDAW_CACHE` on each runner; no two projects share one", first * changed, warm),
        ("an image of each project, on each runner", first * packages, figures["nothing_to_do_s"]),
    )
    rows = []
    for kept, megabytes, seconds in ways:
        total = megabytes * figures["runs_a_day"]
        rate = total * 8 / 1000 / DAY
        peak = rate * figures["peak_to_average"]
        took = seconds + megabytes / line
        hours = took * figures["runs_a_day"] / 3600
        sent = f"{total / 1e6:,.2f} TB"
        rates = f"{rate:,.2f} / {peak:,.2f} Gbit/s"
        rows.append([kept, mb(megabytes), sent, rates, f"{took:.1f} s", f"{hours:,.0f} h"])
    head = ["kept between runs", "fetched a run", "fetched a day", "average / peak"]
    return table([*head, "`create` takes", "machine time a day"], rows)


def first_visits(runs: float, runners: int) -> float:
    """Return the share of `runs` that are the first on their runner, if runners are random."""
    return runners / runs * (1 - math.exp(-runs / runners))


def store_table(figures: Figures) -> str:
    """Return how much disk mirrors, bundles and the engine take."""
    five = sum(figures["conda_mb"].values()) + 5 * figures["wheels_mb"]
    projects = figures["projects"]
    linux = figures["conda_mb"]["linux-64"] + figures["wheels_mb"]
    yearly = 52 * figures["relocks_a_week"] * figures["changed_share_of_a_relock"]
    rows = [
        ["a mirror, all projects with the shipped locks", f"{figures['shipped_locks_mb']:,.0f} MB"],
        ["a mirror, no two projects share a file (the worst)", tb(five * projects)],
        ["the same after a year of weekly relocks", tb(five * projects * (1 + yearly))],
        ["one bundle of each project, for linux-64", tb((linux + figures["engine_mb"]) * projects)],
        ["the engine, on each runner", mb(figures["engine_mb"] * figures["unpacked_factor"])],
    ]
    return table(["kept", "size"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def mb(value: float) -> str:
    """Return megabytes as text."""
    return f"{value:,.2f} MB" if value < 10 else f"{value:,.0f} MB"


def tb(megabytes: float) -> str:
    """Return megabytes as text, in terabytes."""
    return f"{megabytes / 1e6:,.1f} TB"


def page(text: str, figures: Figures) -> str:
    """Return the page with its tables computed from `figures`."""
    made = tables(figures)
    return MARKED.sub(lambda match: f"{match[1]}{made[match[2]]}{match[3]}", text)


def measured(records: Path) -> dict[str, Any]:
    """Return the sizes in MB of the shipped locks' conda packages; `records` has repodata."""
    sizes = {}
    for file in records.glob("*/repodata.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        for kind in ("packages", "packages.conda"):
            for name, record in content.get(kind, {}).items():
                sizes[f"{file.parent.name}/{name}"] = record["size"]
    every: set[str] = set()
    platforms: dict[str, float] = {}
    for lock in sorted(LOCKS.glob("*.yml")):
        entries = yaml.safe_load(lock.read_text(encoding="utf-8"))["package"]
        for entry in (entry for entry in entries if entry["manager"] == "conda"):
            name = "/".join(entry["url"].split("/")[-2:])
            every.add(name)
            if lock.stem == DEFAULT:
                platform = entry["platform"]
                platforms[platform] = platforms.get(platform, 0) + sizes[name] / 1e6
    return {
        "conda_mb": {name: round(value, 1) for name, value in platforms.items()},
        "shipped_locks_mb": round(sum(sizes[name] for name in every) / 1e6),
    }


def main() -> None:
    """Write the tables into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=Path, metavar="FOLDER", help="measure the shipped locks")
    arguments = parser.parse_args()
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    if arguments.sizes:
        figures |= measured(arguments.sizes)
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    main()
