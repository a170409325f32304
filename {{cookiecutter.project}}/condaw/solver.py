"""rattler's solver, and the conda-compatible front through which conda-lock asks it.

conda-lock drives an executable, `EXE create --dry-run --json --override-channels --channel
CHANNEL... SPEC...` with CONDA_SUBDIR set, and reads the plan as JSON. `main` is that executable.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rattler import (
    Channel,
    Gateway,
    GenericVirtualPackage,
    MatchSpec,
    PackageName,
    RepoDataRecord,
    Version,
    solve,
)
from rattler.exceptions import GatewayError
from rattler.package.build_string import BuildString

from condaw import lock, network, process
from condaw.outcome import CannotError, redacted
from condaw.project import cache_dir

KEEP = "CONDAW_SOLVER_KEEP"
"""Names a lock whose versions the solver prefers: what `condaw lock --update` leaves alone."""
UPDATE = "CONDAW_SOLVER_UPDATE"
"""Comma-separated names that KEEP does not hold back."""
PATIENCE = 300
"""Seconds that the channels' indexes and the solver may take."""


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


def virtual_packages(channel: str, subdir: str) -> list[GenericVirtualPackage]:
    """The virtual packages of conda-lock's stand-in channel; none of any other channel."""
    # On Windows conda-lock gives a plain path.
    is_url = channel.startswith("file:")
    folder = Path(url2pathname(urlsplit(channel).path) if is_url else channel)
    try:
        repodata = json.loads((folder / subdir / "repodata.json").read_text(encoding="utf-8"))
    except OSError:
        return []
    return [
        GenericVirtualPackage(
            PackageName(entry["name"]),
            Version(entry["version"]),
            BuildString(entry.get("build_string") or "0"),
        )
        for entry in repodata.get("packages", {}).values()
        if entry["name"].startswith("__")
    ]


def kept_records(channels: Sequence[str], subdir: str) -> list[RepoDataRecord]:
    """What the lock named by KEEP holds for `subdir`, without the names in UPDATE."""
    if not (kept := os.environ.get(KEEP)):
        return []
    update = os.environ.get(UPDATE, "").split(",")
    urls = [str(Channel(channel).base_url).rstrip("/") for channel in channels]
    packages = lock.read(Path(kept), subdir, urls)
    return [p.record for p in packages if p.manager == "conda" and p.name not in update]


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
    stand_ins = {name: virtual_packages(name, subdir) for name in arguments.channel}
    channels = [name for name, virtual in stand_ins.items() if not virtual]
    try:
        solution = solve(
            channels,
            [MatchSpec(spec) for spec in arguments.specs],
            gateway=_gateway(),
            platforms=[subdir, "noarch"],  # type: ignore[list-item]
            virtual_packages=[each for virtual in stand_ins.values() for each in virtual],
            locked_packages=kept_records(channels, subdir),
        )
        records = asyncio.run(asyncio.wait_for(solution, PATIENCE))
    except asyncio.TimeoutError:  # in Python 3.10 not yet the built-in one
        cause = f"the channels gave no answer within {PATIENCE} s: check the network"
        return {"success": False, "message": f"{subdir}: {cause}"}
    except Exception as error:
        said = " ".join(str(error).split())  # rattler draws a tree of lines
        cause = error.cause if isinstance(error, CannotError) else redacted(said)
        return {"success": False, "message": f"{subdir}: {cause}"}
    actions = [as_action(record) for record in sorted(records, key=lambda r: r.name.normalized)]
    return {"success": True, "actions": {"FETCH": actions, "LINK": actions}}


def main() -> None:
    """Be the `conda` that conda-lock calls."""
    parser = argparse.ArgumentParser(prog="condaw-solver")
    parser.add_argument("--version", action="version", version="conda 26.0 (rattler)")
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
