"""Measure condaw beside micromamba, on the embedded channel over http on loopback.

    .venv/bin/python benchmarks/environment.py [--runs 3] [TASK...]

micromamba is measured if it is on PATH. Do not compare the figures of two machines.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import measure
from measure import Contenders, Cost
from workshop import CONDAW, Command, Tool, Workshop, account, cookiecutter, packages, workshop

TASKS = ("cold", "warm", "again", "verify", "generate", "stages", "start")
STAGES = Path(__file__).with_name("stages.py")
OWN = ("condaw", "rattler", "yaml", "packaging", "installer", "asyncio")
"""Packages whose imports have rows of their own; the rest is the standard library."""


def task(name: str, shop: Workshop, tools: list[Tool]) -> Contenders:
    """Return what is compared in a task that compares whole commands."""
    if name == "generate":
        own = (f"channel={shop.url}/channel",)
        return {
            "from conda-forge, with a lock of the template's": partial(
                next_project, shop, "shipped"
            ),
            "from a channel of one's own, solved": partial(next_project, shop, "template", *own),
        }
    if name == "cold":
        return {tool.name: tool.cold for tool in tools}
    for tool in tools:
        if not tool.prefix.exists():
            tool.run(*tool.make)
    if name == "warm":
        return {tool.name: tool.warm for tool in tools}
    whole, plain = tools[:2]
    if name == "again":
        return {
            "python -c pass": partial(whole.run, [sys.executable, "-c", "pass"]),
            "condaw status": partial(whole.run, [*CONDAW, "status"]),
            "condaw create": partial(whole.run, whole.make[0]),
        }
    files = [p for p in sorted(plain.prefix.rglob("*")) if p.is_file() and not p.is_symlink()]
    openssl: Command = ["openssl", "dgst", "-sha256", *files]
    return {
        "openssl dgst -sha256, the files of plain": partial(plain.run, openssl),
        plain.name: partial(plain.run, [*CONDAW, "verify"]),
        whole.name: partial(whole.run, [*CONDAW, "verify"]),
    }


def next_project(shop: Workshop, template: str, *words: str) -> Cost:
    """Run `cookiecutter` once more. conda-forge has a mirror on loopback."""
    measure.discard(shop.folder / "next")
    words = ("environment=required", *words)
    command = cookiecutter(shop.folder, "next", template, *words)
    cache = shop.folder / f"cache-{template}"
    # A solve needs the real PyPI; the cache is filled by the first project.
    user = account(shop.folder / "home-online") if template == "template" else shop.env
    env = {**user, "CONDAW_CACHE": str(cache), "CONDA_CHANNEL_ALIAS": shop.url}
    if not cache.exists():
        measure.run(command, cwd=shop.folder, env=env)
        measure.discard(shop.folder / "next")
    return measure.run(command, cwd=shop.folder, env=env)


def stages(tools: list[Tool], runs: int) -> list[measure.Row]:
    """Return what the stages of a create take, with empty caches and then with warm ones."""
    rows = []
    for tool, cold in ((tool, cold) for tool in tools[:2] for cold in (True, False)):
        found: dict[str, list[Any]] = defaultdict(list)
        out = tool.cwd / "stages.json"
        for _ in range(runs):
            measure.discard(tool.prefix)
            if cold:
                measure.discard(tool.cache)
            command: Command = [sys.executable, STAGES, "create", "--quiet"]
            measure.run(command, cwd=tool.cwd, env=tool.env, output=out)
            for stage, (seconds, cpu) in json.loads(out.read_text("utf-8")).items():
                found[stage].append({"seconds": round(seconds, 4), "cpu_seconds": round(cpu, 4)})
        row = {"task": "stages, cold" if cold else "stages", "contender": tool.name}
        rows += [{**row, "stage": stage, "costs": costs} for stage, costs in found.items()]
    return rows


def start(tool: Tool, runs: int) -> list[measure.Row]:
    """Return what a command imports, in seconds by package: the medians of -X importtime."""
    rows = []
    for command in ("status", "create"):
        found: dict[str, list[Any]] = defaultdict(list)
        for _ in range(runs):
            if command == "create":
                measure.discard(tool.prefix)
            words: Command = ["env", "PYTHONPROFILEIMPORTTIME=1", *CONDAW, command, "--quiet"]
            out = tool.cwd / "imports.txt"
            measure.run(
                ["sh", "-c", '"$@" 2>&1', "sh", *words], cwd=tool.cwd, env=tool.env, output=out
            )
            sums: dict[str, int] = defaultdict(int)
            listed = re.findall(
                r"^import time: +(\d+) \| +\d+ \| +(\w+)", out.read_text("utf-8"), re.M
            )
            for microseconds, package in listed:
                sums[package if package in OWN else "the rest"] += int(microseconds)
            for package in (*OWN, "the rest"):
                found[package].append({"seconds": sums[package] / 1e6})
        row = {"task": "start", "contender": command}
        rows += [{**row, "stage": package, "costs": costs} for package, costs in found.items()]
    return rows


def main() -> None:
    """Measure the chosen tasks, and record them."""
    options = measure.arguments(__doc__, TASKS)
    version = measure.version("micromamba", "--version")
    record = measure.Record("environment", options, {"micromamba": version})
    with tempfile.TemporaryDirectory() as folder, workshop(Path(folder)) as shop:
        tools = shop.tools()
        for name in options.tasks:
            if name in ("stages", "start"):
                task("warm", shop, tools)  # makes what is missing
                made = (
                    stages(tools, options.runs)
                    if name == "stages"
                    else start(tools[0], options.runs)
                )
                record.add(made)
            else:
                record.add(measure.alternate(name, task(name, shop, tools), options.runs))
        record.about["size"] = size(shop, tools[1])
        record.add([])


def size(shop: Workshop, plain: Tool) -> dict[str, int]:
    """Return how large the two environments are."""
    files = [p.lstat().st_size for p in plain.prefix.rglob("*") if not p.is_dir() or p.is_symlink()]
    entries = packages(shop.whole)
    wheels = sum(entry["manager"] == "pip" for entry in entries)
    megabytes = round(sum(files) / 1e6)
    return {"conda": len(entries) - wheels, "wheels": wheels, "files": len(files), "mb": megabytes}


if __name__ == "__main__":
    main()
