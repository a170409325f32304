"""rattler's solver, in the place of the conda that conda-lock would run."""

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import rattler
from conda_lock.virtual_package import FakeRepoData
from rattler import GenericVirtualPackage, PackageName, RepoDataRecord
from rattler.package.build_string import BuildString

from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile import environment_yml, reader, satisfies
from condaw.lockfile.cooldown import Cooldown, Exceptions
from condaw.lockfile.package import Package
from condaw.network import channels

PATIENCE = 300  # seconds that the channels' indexes and the solver may take


@dataclass
class Solver:
    """Prefers those packages of the project's lock whose URLs are in `kept`."""

    project: Project
    kept: Collection[str]
    virtual: FakeRepoData  # the virtual packages of each platform
    rules: Cooldown
    untimed: set[str] = field(default_factory=set)  # gets channels that tell no times

    def __call__(self, conda: object, channels: object, specs: list[str], platform: str) -> Any:
        """Return what conda would answer to `create --dry-run --json`. Raises CannotError if there
        is no solution."""
        try:
            records = asyncio.run(asyncio.wait_for(self._solve(specs, platform), PATIENCE))
            return {"actions": {"FETCH": [json.loads(record.to_json()) for record in records]}}
        except asyncio.TimeoutError:  # in Python 3.10 not yet the built-in one
            cause = f"the channels gave no answer within {PATIENCE} s"
        except Exception as error:
            cause = " ".join(str(error).split())  # rattler draws a tree of lines
        step = "correct environment.yml, or check the network and pip's settings"
        raise CannotError(f"{platform}: {cause}", step)

    async def _solve(self, specs: Sequence[str], subdir: str) -> list[RepoDataRecord]:
        # If there is a `pip:` section, conda-lock puts a bare `pip` in the place of the file's own
        # line for it (its issue 919). Its content hash stays as that makes it.
        own = {"pip": satisfies.requested(self.project).get("pip", "pip")}
        urls, gateway = environment_yml.channel_urls(self.project), channels.gateway()
        platforms: Any = [subdir, "noarch"]
        locked = self._locked(subdir, urls)
        # The channels' own records hold more than a lock does, but a channel may have lost one.
        names = {package.name for package in locked}
        found = await gateway.query(urls, platforms, names, recursive=False)
        known = {record.url: record for records in found for record in records}
        kept = [known.get(package.url) or package.record() for package in locked]
        exceptions = Exceptions(self.rules.packages, kept, gateway, urls)
        records = await rattler.solve(
            [*urls, exceptions] if self.rules.cutoff else urls,
            [rattler.MatchSpec(own.get(spec.split()[0], spec)) for spec in specs],
            gateway=gateway,
            platforms=platforms,
            virtual_packages=[
                GenericVirtualPackage(
                    PackageName(each["name"]),
                    rattler.Version(each["version"]),
                    BuildString(each["build"]),
                )
                for each in self.virtual.all_repodata[subdir]["packages"].values()
            ],
            locked_packages=kept,
            exclude_newer=self.rules.cutoff,
            timestamp_policy="allow-missing",
        )
        self.untimed |= exceptions.untimed(records) if self.rules.cutoff else set()
        return sorted(records, key=lambda record: record.name.normalized)

    def _locked(self, subdir: str, urls: Sequence[str]) -> list[Package]:
        """Return the packages to prefer: none of a lock that is not acceptable."""
        try:
            packages = reader.read(self.project.lock_file, subdir, urls) if self.kept else []
        except CannotError:
            return []
        return [p for p in packages if p.manager == "conda" and p.url in self.kept]
