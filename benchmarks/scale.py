"""Measure how time, memory and disk grow with packages, files, and environments on one cache.

    .venv/bin/python benchmarks/scale.py [--runs 3] [--small] [TASK...]

The packages are made up: small files of random text, beside a real Python.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import measure
import workshop
import yaml
from loopback import served
from measure import ROOT, Contenders, Row
from workshop import Tool, Workshop

TASKS = ("packages", "files", "environments")
PACKAGES = (10, 100, 1_000)
FILES = (1_000, 10_000, 100_000)
ENVIRONMENTS = (1, 10, 50)
FILES_EACH = 10
"""Files of a package where packages are counted."""
PACKAGES_EACH = 50
"""Packages where files are counted."""
LARGE = 9_999
"""Files beyond which a run is long enough to be measured once."""
SEED = 1


def grow(folder: Path, task: str, size: int, runs: int) -> list[Row]:
    """Measure with `size` packages, or files, and return the rows."""
    count, each = (
        (size, FILES_EACH) if task == "packages" else (PACKAGES_EACH, size // PACKAGES_EACH)
    )
    runs = 1 if count * each > LARGE else runs
    rows: list[Row] = []
    archives = made_up(folder, count, each)
    with served(folder / "site") as url:
        env = workshop.account(folder / "home", f"{url}/simple")
        project = locked(folder / "project", f"{url}/channel", archives)
        ours = workshop.condaw("condaw", project, folder / "cache", env)
        tools = [ours]
        if shutil.which("micromamba"):
            lock = project / "conda-lock.yml"
            tools.append(workshop.micromamba("micromamba", folder / "mamba", lock, env))
        jobs: dict[str, Contenders] = {
            "cold": {tool.name: tool.cold for tool in tools},
            "warm": {tool.name: tool.warm for tool in tools},
            "again": {ours.name: partial(ours.run, ours.make[0])},
            "verify": {ours.name: partial(ours.run, [*workshop.CONDAW, "verify"])},
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
    real = workshop.embedded_channel(stand_ins=False)
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
    for name in ("condaw", "micromamba"):
        if not (name == "condaw" or shutil.which(name)):
            continue
        cache, places = shop.folder / f"{name}-shared", []
        for number in range(1, sizes[-1] + 1):
            tool = numbered(name, shop, cache, number)
            places.append(tool.prefix)
            cost = tool.run(*tool.make)
            if number in sizes:
                disk = round(disk_mb([cache, *places]), 2)
                print(f"  environment {number} | {name}: {cost.seconds:.2f} s, {disk} MB in all")
                row = {"task": "environments", "contender": name, "size": number}
                rows.append({**row, "costs": [dataclasses.asdict(cost)], "disk_mb": disk})
    return rows


def numbered(name: str, shop: Workshop, cache: Path, number: int) -> Tool:
    """Return the tool `name` for environment `number`, on the shared `cache`."""
    folder = shop.folder / f"{name}-{number}"
    if name == "condaw":
        ignore = shutil.ignore_patterns(".conda")
        project = Path(shutil.copytree(shop.plain, folder, ignore=ignore))
        return workshop.condaw(name, project, cache, shop.env)
    tool = workshop.micromamba(name, folder, shop.plain / "conda-lock.yml", shop.env)
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
    version = measure.version("micromamba", "--version")
    record = measure.Record("scale", options, {"micromamba": version})
    with tempfile.TemporaryDirectory() as name:
        for task, sizes in (("packages", PACKAGES), ("files", FILES)):
            if task in options.tasks:
                for size in sizes[: 1 if options.small else None]:
                    record.add(grow(Path(name, f"{task}-{size}"), task, size, options.runs))
    if "environments" in options.tasks:
        with tempfile.TemporaryDirectory() as name, workshop.workshop(Path(name)) as shop:
            record.add(environments(shop, ENVIRONMENTS[: 2 if options.small else None]))


if __name__ == "__main__":
    main()
