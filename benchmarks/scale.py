"""Measure how time, memory and disk grow with packages, files, and environments on one cache.

    .venv/bin/python benchmarks/scale.py [--runs 5] [--small] [TASK...]

The packages are made up: small files of random text, beside a real Python.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import contenders
import measure
import yaml
from contenders import Tool
from loopback import served
from measure import ROOT, Contenders, FailedError, Row
from workshop import PINS, WANTED, Workshop, embedded_channel, workshop

TASKS = ("packages", "files", "environments")
PACKAGES = (10, 100, 300, 1_000)
FILES = (1_000, 10_000, 30_000, 100_000)
ENVIRONMENTS = (1, 2, 5, 10, 20, 50)
FILES_EACH = 10
"""Files of a package where packages are counted."""
PACKAGES_EACH = 50
"""Packages where files are counted."""
SEED = 1


def grow(folder: Path, task: str, size: int, runs: int) -> list[Row]:
    """Measure with `size` packages, or files, and return the rows."""
    count, each = (
        (size, FILES_EACH) if task == "packages" else (PACKAGES_EACH, size // PACKAGES_EACH)
    )
    rows: list[Row] = []
    archives = made_up(folder, count, each)
    with served(folder / "site") as url:
        env = contenders.account(folder / "home", f"{url}/simple")
        project = locked(folder / "project", f"{url}/channel", archives)
        lock = project / "conda-lock.yml"
        ours = contenders.condaw("condaw", project, folder / "cache", env)
        tools = [ours]
        if program := shutil.which("micromamba"):
            tools.append(contenders.micromamba(program, folder, lock, lock, env, byte_code=False))
        jobs: dict[str, Contenders] = {
            "cold": {tool.name: tool.cold for tool in tools},
            "warm": {tool.name: tool.warm for tool in tools},
            "again": {ours.name: partial(ours.run, ours.again)},
            "verify": {ours.name: partial(ours.run, ours.verify)},
        }
        for job, able in jobs.items():
            rows += measure.alternate(f"{task}, {job}", able, runs, size=size)
    return rows


def made_up(folder: Path, count: int, each: int) -> list[Path]:
    """Make a channel of a real Python and `count` packages with `each` files of 2 kB.

    Return its archives.
    """
    from channel import write_package

    channel = folder / "site" / "channel"
    real = embedded_channel()
    archives = []
    for archive in [*real.glob("*/python-3*.conda"), *real.glob("*/python_abi-*.conda")]:
        copy = channel / archive.parent.name / archive.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        archives.append(Path(shutil.copy2(archive, copy)))
    (channel / "noarch").mkdir(exist_ok=True)
    chance = random.Random(SEED)  # noqa: S311 - to repeat it, not to hide it
    for number in range(count):
        stage = folder / "stage"
        inner = stage / "share" / f"p{number}"
        inner.mkdir(parents=True)
        for file in range(each):
            (inner / f"{file}.txt").write_bytes(chance.randbytes(1000).hex().encode())
        index = {"name": f"p{number}", "version": "1.0", "depends": [], "license": "MIT"}
        write_package(stage, channel, {**index, "subdir": "noarch", "noarch": "generic"})
        measure.discard(stage)
    return archives + sorted((channel / "noarch").glob("p[0-9]*.conda"))


def locked(project: Path, url: str, archives: Iterable[Path]) -> Path:
    """Make a project of condaw alone, with a lock of `archives`, and return it."""
    shutil.copytree(ROOT / "{{cookiecutter.project}}" / "condaw", project / "condaw")
    entries = []
    for archive in archives:
        name, version, _ = archive.name.rsplit("-", 2)
        content = archive.read_bytes()
        digests = {"sha256": hashlib.sha256(content), "md5": hashlib.md5(content)}  # noqa: S324
        entries.append(
            {
                "name": name,
                "version": version,
                "manager": "conda",
                "url": f"{url}/{archive.parent.name}/{archive.name}",
                "hash": {kind: digest.hexdigest() for kind, digest in digests.items()},
                "dependencies": {},
                "category": "main",
                "optional": False,
            }
        )
    platform = next(a.parent.name for a in archives if a.parent.name != "noarch")
    lock = {
        "version": 1,
        "metadata": {
            "content_hash": {platform: "0" * 64},
            "channels": [{"url": url, "used_env_vars": []}],
            "platforms": [platform],
            "sources": ["environment.yml"],
        },
        "package": [{**entry, "platform": platform} for entry in entries],
    }
    (project / "conda-lock.yml").write_text(yaml.safe_dump(lock), encoding="utf-8")
    source = {"channels": [url], "platforms": [platform], "dependencies": ["python"]}
    (project / "environment.yml").write_text(json.dumps(source), encoding="utf-8")
    return project


def environments(shop: Workshop, sizes: Sequence[int]) -> list[Row]:
    """Measure one environment after another, on one cache for each tool.

    On disk, a file with several hard links counts once.
    """
    rows: list[Row] = []
    for name in ("condaw", "micromamba", "uv"):
        if name == "micromamba" and not shutil.which(name):
            continue
        cache, places = shop.folder / f"{name}-shared", []
        for number in range(1, sizes[-1] + 1):
            tool = numbered(name, shop, cache, number)
            places.append(tool.prefix)
            cost = tool.run(tool.make)
            if number in sizes:
                disk = round(disk_mb([cache, *places]), 2)
                print(f"  environment {number} | {name}: {cost.seconds:.2f} s, {disk} MB in all")
                row = {"task": "environments", "contender": name, "size": number}
                rows.append({**row, "costs": [dataclasses.asdict(cost)], "disk_mb": disk})
    return rows


def numbered(name: str, shop: Workshop, cache: Path, number: int) -> Tool:
    """Return the tool `name` for environment `number`, on the shared `cache`."""
    folder = shop.folder / f"{name}-{number}"
    folder.mkdir()
    if name == "condaw":
        ignore = shutil.ignore_patterns(".conda")
        project = Path(shutil.copytree(shop.plain, folder / "project", ignore=ignore))
        return contenders.condaw(name, project, cache, shop.env)
    if name == "uv":
        tool = contenders.uv(folder, PINS, WANTED, shop.env, checked=False)
        return dataclasses.replace(tool, env={**tool.env, "UV_CACHE_DIR": str(cache)})
    program, lock = shutil.which(name) or name, shop.plain / "conda-lock.yml"
    tool = contenders.micromamba(program, folder, lock, lock, shop.env, byte_code=False)
    return dataclasses.replace(tool, env={**tool.env, "CONDA_PKGS_DIRS": str(cache)})


def disk_mb(folders: Iterable[Path]) -> float:
    """Return the MB that all files below `folders` take on disk; hard links count once."""
    blocks: dict[tuple[int, int], int] = {}
    for folder in folders:
        for place, inner, files in os.walk(folder):
            for name in [*inner, *files]:
                status = os.lstat(os.path.join(place, name))  # noqa: PTH118
                blocks[status.st_dev, status.st_ino] = status.st_blocks
    return sum(blocks.values()) * 512 / 1e6


def main() -> None:
    """Measure the chosen tasks, and record them."""
    options = measure.arguments(__doc__, TASKS)
    record = measure.Record("scale", options, contenders.versions())
    with tempfile.TemporaryDirectory() as name:
        for task, sizes in (("packages", PACKAGES), ("files", FILES)):
            if task in options.tasks:
                for size in sizes[: 1 if options.small else None]:
                    record.add(grow(Path(name, f"{task}-{size}"), task, size, options.runs))
    if "environments" in options.tasks:
        with tempfile.TemporaryDirectory() as name, workshop(Path(name)) as shop:
            try:
                record.add(environments(shop, ENVIRONMENTS[: 2 if options.small else None]))
            except FailedError as error:
                sys.exit(f"environments: {error}")


if __name__ == "__main__":
    main()
