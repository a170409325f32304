"""Measure condaw and other tools on the embedded channel, over http on loopback.

    .venv/bin/python benchmarks/environment.py [--runs 5] [TASK...]

conda, mamba and micromamba are measured if they are on PATH; pip and uv install the same packages
as wheels, and use an existing Python. Do not compare the figures of two machines.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import contenders
import measure
from contenders import HERE, Tool
from measure import Contenders, Cost, FailedError
from workshop import PINS, WANTED, Workshop, serve_engine, workshop

TASKS = ("cold", "warm", "again", "verify", "repair", "relock", "bundle", "unbundle")
BROKEN = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/pygments/token.py"
"""A file of one small package, in conda environments as in virtual ones."""


def tools(shop: Workshop) -> list[Tool]:
    """Return the tools to compare, condaw first."""
    folder, env, lock = shop.folder, shop.env, shop.plain / "conda-lock.yml"
    found = [
        contenders.condaw("condaw", shop.plain, folder / "cache", env),
        contenders.condaw("condaw, with wheels and project", shop.whole, folder / "cache2", env),
    ]
    for name in ("micromamba", "mamba"):
        if program := shutil.which(name):
            quick = contenders.micromamba(program, folder, lock, shop.one, env, byte_code=False)
            full = contenders.micromamba(
                program, folder, shop.explicit, shop.one, env, byte_code=True
            )
            found += [quick, full]
    if program := shutil.which("conda"):
        found.append(contenders.conda(program, folder, shop.explicit, env))
    if program := shutil.which("micromamba") or shutil.which("conda"):
        found.append(contenders.conda_lock(program, folder, shop.plain, env))
    found.append(contenders.pip(folder, PINS, env))
    found += [contenders.uv(folder, PINS, WANTED, env, checked=flag) for flag in (False, True)]
    return found


class Floor:
    """The least that a tool can take: the same work without bookkeeping."""

    def __init__(self, shop: Workshop) -> None:
        self.shop, self.folder = shop, shop.folder / "floor"
        self.words: list[str | Path] = [sys.executable, "-I", HERE / "floor.py"]

    def _run(self, *words: str | Path, cwd: Path | None = None) -> Cost:
        os.sync()
        return measure.run(words, cwd=cwd or self.shop.folder, env=self.shop.env)

    def unpack(self) -> Cost:
        """Unpack all archives."""
        measure.discard(self.folder)
        return self._run(*self.words, "unpack", self.folder, *self.shop.archives)

    def link(self) -> Cost:
        """Link all unpacked files into a new folder."""
        if not self.folder.exists():
            self.unpack()
        target = self.shop.folder / "floor-linked"
        measure.discard(target)
        return self._run(*self.words, "link", self.folder, target)

    def python(self) -> Cost:
        """Start Python and do nothing."""
        return self._run(sys.executable, "-c", "pass")

    def hashes(self, tool: Tool) -> Callable[[], Cost]:
        """Return a job that runs `sha256sum --check` over the files of the environment."""
        tool.ready()
        sums = self.shop.folder / "sums.txt"
        files = [p for p in sorted(tool.prefix.rglob("*")) if p.is_file() and not p.is_symlink()]
        with sums.open("w", encoding="utf-8") as out:
            for file in files:
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                out.write(f"{digest}  {file.relative_to(tool.prefix)}\n")
        return lambda: self._run("sha256sum", "--check", "--quiet", sums, cwd=tool.prefix)


def task(name: str, shop: Workshop, found: list[Tool]) -> Contenders:
    """Return what is compared in the task `name`, the floor first."""
    floor, ours = Floor(shop), found[0]
    if name == "cold":
        return {"floor: unpack": floor.unpack, **{tool.name: tool.cold for tool in found}}
    if name == "warm":
        for tool in found:
            tool.ready()
        return {"floor: hard links": floor.link, **{tool.name: tool.warm for tool in found}}
    if name in ("bundle", "unbundle"):
        return bundles(name, shop, ours)
    able = [tool for tool in found if getattr(tool, name)]
    if name == "repair":
        return {tool.name: partial(tool.repair_file, BROKEN) for tool in able}
    for tool in able:
        tool.ready()
    jobs: Contenders = {tool.name: partial(tool.run, getattr(tool, name)) for tool in able}
    if name == "again":
        return {"floor: python -c pass": floor.python, **jobs}
    return {"floor: sha256sum": floor.hashes(ours), **jobs} if name == "verify" else jobs


def bundles(name: str, shop: Workshop, ours: Tool) -> Contenders:
    """Return what is compared when packing all into one file, and when creating from it."""
    ours.ready()
    condaw, file = ours.again[0][:-1], shop.folder / "bundle"
    packed, unpacked = shop.folder / "packed.tar.gz", shop.folder / "unpacked"
    packer = contenders.conda_pack()
    serve_engine(shop)

    def bundle() -> Cost:
        file.unlink(missing_ok=True)
        return ours.run([[*condaw, "bundle", file]])

    def unbundle() -> Cost:
        measure.discard(ours.cache)
        measure.discard(ours.prefix)
        return ours.run([[*condaw, "create", "--bundle", file]])

    def pack() -> Cost:
        words = [packer or "", "--quiet", "--force", "--prefix", ours.prefix, "--output", packed]
        return ours.run([words])

    def unpack() -> Cost:
        measure.discard(unpacked)
        unpacked.mkdir()
        conda_unpack = [unpacked / "bin" / "python", unpacked / "bin" / "conda-unpack"]
        return ours.run([["tar", "-xzf", packed, "-C", unpacked], conda_unpack])

    if name == "bundle":
        return {"condaw": bundle} | ({"conda-pack": pack} if packer else {})
    bundle()
    if packer:
        pack()
    return {"condaw": unbundle} | ({"conda-pack": unpack} if packer else {})


def main() -> None:
    """Measure the chosen tasks, and record them."""
    options = measure.arguments(__doc__, TASKS)
    record = measure.Record("environment", options, contenders.versions())
    with tempfile.TemporaryDirectory() as folder, workshop(Path(folder)) as shop:
        found = tools(shop)
        for name in options.tasks:
            try:
                record.add(measure.alternate(name, task(name, shop, found), options.runs))
            except FailedError as error:
                print(f"  {name} is skipped: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
