"""The `conda` that conda-lock runs: rattler's solver behind conda's command line.

conda-lock runs it with CONDA_SUBDIR set to the platform, and reads the plan as JSON.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import rattler
from rattler import GenericVirtualPackage, PackageName, RepoDataRecord
from rattler.package.build_string import BuildString

from condaw.base import process, scripts
from condaw.base.errors import CannotError
from condaw.lockfile import reader
from condaw.lockfile.cooldown import Cooldown, Exceptions
from condaw.network import channels

PATIENCE = 300  # seconds that the channels' indexes and the solver may take
REQUEST = "request.json"  # beside the executable: what conda's command line has no words for
UNTIMED = "untimed.txt"  # beside it, too: URLs of channels that do not say when they got packages


def install(folder: Path, lock: Path, kept: Iterable[str], rules: Cooldown) -> Path:
    """Write one that prefers those packages of `lock` whose URLs are in `kept`, and leaves out what
    is too new."""
    request = {"lock": str(lock), "kept": sorted(kept), "rules": rules}
    (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
    return scripts.write(folder, "conda", f"{__name__}:main", Path(sys.executable))


def main() -> None:
    """Be the `conda` that conda-lock runs."""
    parser = argparse.ArgumentParser(prog="condaw-solver")
    parser.add_argument("--version", action="version", version="conda 26.0 (rattler)")
    parser.add_argument("command", choices=["create"])
    parser.add_argument("--prefix")
    for flag in ("--dry-run", "--json", "--override-channels"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--channel", action="append", default=[])
    parser.add_argument("specs", nargs="*")
    options = parser.parse_intermixed_args()
    subdir = os.environ["CONDA_SUBDIR"]
    try:
        records = asyncio.run(asyncio.wait_for(_solve(options, subdir), PATIENCE))
        records.sort(key=lambda record: record.name.normalized)
        packages = [json.loads(record.to_json()) for record in records]
        answer = {"success": True, "actions": {"FETCH": packages}}
    except Exception as error:
        cause = " ".join(str(error).split())  # rattler draws a tree of lines
        if isinstance(error, asyncio.TimeoutError):  # in Python 3.10 not yet the built-in one
            cause = f"the channels gave no answer within {PATIENCE} s: check the network"
        answer = {"success": False, "message": f"{subdir}: {cause}"}
    print(json.dumps(answer))
    process.finish(0 if answer["success"] else 1)


async def _solve(options: argparse.Namespace, subdir: str) -> list[RepoDataRecord]:
    stand_ins = {channel: _virtual_packages(channel, subdir) for channel in options.channel}
    real = [channel for channel, virtual in stand_ins.items() if not virtual]
    request = json.loads(Path(sys.argv[0]).with_name(REQUEST).read_text(encoding="utf-8"))
    gateway, rules = channels.gateway(), Cooldown(*request["rules"])
    kept = await _kept_records(request, real, subdir, gateway)
    exceptions = Exceptions(rules, kept, gateway, real)
    records = await rattler.solve(
        [*real, exceptions] if rules.newest else real,
        [rattler.MatchSpec(spec) for spec in options.specs],
        gateway=gateway,
        platforms=[subdir, "noarch"],  # type: ignore[list-item]
        virtual_packages=[package for virtual in stand_ins.values() for package in virtual],
        locked_packages=list(kept),
        exclude_newer=rules.newest,
        timestamp_policy="allow-missing",
    )
    with Path(sys.argv[0]).with_name(UNTIMED).open("a", encoding="utf-8") as out:
        out.writelines(f"{url}\n" for url in exceptions.untimed(records) if rules.newest)
    return records


def _virtual_packages(channel: str, subdir: str) -> list[GenericVirtualPackage]:
    """Return the virtual packages of conda-lock's stand-in channel; none of any other channel."""
    # On Windows conda-lock gives a plain path.
    folder = channels.local_path(channel) or Path(channel)
    try:
        repodata = json.loads((folder / subdir / "repodata.json").read_text(encoding="utf-8"))
    except OSError:
        return []
    return [
        GenericVirtualPackage(
            PackageName(entry["name"]),
            rattler.Version(entry["version"]),
            BuildString(entry.get("build_string") or "0"),
        )
        for entry in repodata.get("packages", {}).values()
        if entry["name"].startswith("__")
    ]


async def _kept_records(
    request: dict[str, Any], real: Sequence[str], subdir: str, gateway: rattler.Gateway
) -> list[RepoDataRecord]:
    """Return the records that the solver should prefer: none of a lock that is not acceptable. They
    are the channels' own, which hold more than a lock does, unless a channel has lost them."""
    urls = [str(rattler.Channel(channel).base_url).rstrip("/") for channel in real]
    try:
        packages = reader.read(Path(request["lock"]), subdir, urls) if request["kept"] else []
    except CannotError:
        return []
    kept = [p for p in packages if p.manager == "conda" and p.url in request["kept"]]
    names = {package.name for package in kept}
    found = await gateway.query(real, [subdir, "noarch"], names, recursive=False)  # type: ignore[list-item]
    known = {record.url: record for records in found for record in records}
    return [known.get(package.url) or package.record() for package in kept]
