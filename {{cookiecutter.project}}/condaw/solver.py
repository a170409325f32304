"""rattler's solver, and the conda-compatible front through which conda-lock asks it.

conda-lock drives an executable, `EXE create --dry-run --json --override-channels --channel
CHANNEL... SPEC...` with CONDA_SUBDIR set, and reads the plan as JSON. `main` is that executable.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rattler import (
    Gateway,
    GenericVirtualPackage,
    LockFile,
    MatchSpec,
    PackageName,
    RepoDataRecord,
    Version,
    solve,
)
from rattler.exceptions import GatewayError, SolverError
from rattler.package.build_string import BuildString

from condaw import network, process
from condaw.project import cache_dir

KEEP = "CONDAW_SOLVER_KEEP"
"""Names a lock whose versions the solver prefers: what `condaw lock --update` leaves alone."""
UPDATE = "CONDAW_SOLVER_UPDATE"
"""Comma-separated names that KEEP does not hold back."""


def solve_specs(
    specs: Sequence[str],
    channels: Sequence[str],
    subdir: str,
    virtual_packages: Sequence[GenericVirtualPackage] = (),
    keep: Sequence[RepoDataRecord] = (),
) -> list[RepoDataRecord]:
    """The records that satisfy `specs` on `subdir`, sorted by name.

    Raises SolverError, with rattler's explanation, when there is no solution.
    """
    records = asyncio.run(
        solve(
            list(channels),
            [MatchSpec(spec) for spec in specs],
            gateway=_gateway(),
            platforms=[subdir, "noarch"],  # type: ignore[list-item]
            virtual_packages=list(virtual_packages),
            locked_packages=list(keep),
        )
    )
    return sorted(records, key=lambda record: record.name.normalized)


def has_python(channels: Sequence[str], subdir: str) -> bool:
    """Whether `channels` hold a python for `subdir` at all."""
    try:
        found = asyncio.run(
            _gateway().query(list(channels), [subdir], ["python"], recursive=False)  # type: ignore[list-item]
        )
    except GatewayError:
        return False
    return any(found)


def _gateway() -> Gateway:
    return Gateway.from_config(
        network.config(), cache_dir=cache_dir() / "repodata", client=network.client()
    )


def virtual_packages(channel: str, subdir: str) -> list[GenericVirtualPackage] | None:
    """The virtual packages of conda-lock's stand-in channel; None for any other channel."""
    # On Windows conda-lock gives a plain path.
    is_url = channel.startswith("file:")
    folder = Path(url2pathname(urlsplit(channel).path) if is_url else channel)
    repodata = folder / subdir / "repodata.json"
    if not repodata.is_file():
        return None
    entries = json.loads(repodata.read_text(encoding="utf-8")).get("packages", {}).values()
    if not entries or not all(entry["name"].startswith("__") for entry in entries):
        return None
    return [
        GenericVirtualPackage(
            PackageName(entry["name"]),
            Version(entry["version"]),
            BuildString(entry.get("build_string") or "0"),
        )
        for entry in entries
    ]


def kept_records(subdir: str) -> list[RepoDataRecord]:
    """What the lock named by KEEP holds for `subdir`, without the names in UPDATE."""
    if not (lock := os.environ.get(KEEP)):
        return []
    update = set(os.environ.get(UPDATE, "").split(","))
    environment = LockFile.from_path(Path(lock)).default_environment()
    packages = environment.packages_by_platform() if environment else {}
    return [
        package.repo_data_record()
        for platform, found in packages.items()
        if str(platform) == subdir
        for package in found
        if hasattr(package, "repo_data_record") and package.name not in update
    ]


def as_action(record: RepoDataRecord) -> dict[str, Any]:
    """A record as conda prints it in the FETCH and LINK lists of a dry run."""
    return {
        **json.loads(record.to_json()),
        "url": record.url,
        "channel": record.channel,
        "fn": record.file_name,
        "dist_name": record.file_name.removesuffix(".conda").removesuffix(".tar.bz2"),
    }


def plan(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `conda create --dry-run --json` prints, solved by rattler."""
    subdir = os.environ["CONDA_SUBDIR"]
    channels, virtual = [], []
    for channel in arguments.channel:
        stand_in = virtual_packages(channel, subdir)
        if stand_in is None:
            channels.append(channel)
        else:
            virtual += stand_in
    try:
        records = solve_specs(arguments.specs, channels, subdir, virtual, kept_records(subdir))
    except Exception as error:
        kind = "no solution" if isinstance(error, SolverError) else "error"
        return {"success": False, "kind": kind, "message": str(error)}
    actions = [as_action(record) for record in records]
    return {"success": True, "actions": {"FETCH": actions, "LINK": actions}}


def main() -> None:
    """Be the `conda` that conda-lock calls."""
    if sys.argv[1:] == ["--version"]:
        print("conda 26.0 (rattler)")
        process.finish(0)
    parser = argparse.ArgumentParser(prog="condaw-solver")
    parser.add_argument("command", choices=["create"])
    parser.add_argument("--prefix")
    for flag in ("--dry-run", "--json", "--override-channels"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--channel", action="append", default=[])
    parser.add_argument("specs", nargs="*")
    answer = plan(parser.parse_intermixed_args())
    print(json.dumps(answer))
    process.finish(0 if answer["success"] else 1)


if __name__ == "__main__":
    main()
