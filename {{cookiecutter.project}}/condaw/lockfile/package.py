"""One entry of conda-lock.yml, for one platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from rattler import PackageRecord, RepoDataRecord, Subdir
from rattler.package.build_string import BuildString


@dataclass(frozen=True)
class Package:
    """A locked package. What is said of its URL's parts holds for conda packages (CEP 26)."""

    manager: str  # `conda` or `pip`
    name: str
    version: str
    platform: str
    url: str
    sha256: str
    md5: str | None
    dependencies: Mapping[str, str]
    line: int = field(compare=False)  # where the entry begins in the lock, from 1

    @property
    def file_name(self) -> str:
        """Return the file name, NAME-VERSION-BUILD with an extension."""
        return file_name(self.url)

    @property
    def stem(self) -> str:
        """Return the file name without its extension."""
        return self.file_name.removesuffix(".conda").removesuffix(".tar.bz2")

    @property
    def build(self) -> str:
        """Return the build string."""
        return self.stem.rpartition("-")[2]

    @property
    def subdir(self) -> str:
        """Return the folder of the channel, `noarch` or the platform."""
        return PurePosixPath(urlsplit(self.url).path).parent.name

    @property
    def channel(self) -> str:
        """Return the URL of the channel, without a slash at its end."""
        return self.url.rsplit("/", 2)[0]

    def record(self, url: str | None = None) -> RepoDataRecord:
        """Return the record of a conda package, to be fetched from `url` or where the lock says."""
        number = self.build.rpartition("_")[2]
        record = PackageRecord(
            self.name,
            self.version,
            BuildString(self.build),
            int(number) if number.isdigit() else 0,
            self.subdir,
            depends=[f"{name} {spec}".strip() for name, spec in self.dependencies.items()],
            sha256=bytes.fromhex(self.sha256),
            md5=bytes.fromhex(self.md5) if self.md5 else None,
        )
        return RepoDataRecord(record, self.file_name, url or self.url, self.channel)


def file_name(url: str) -> str:
    """Return the name of the file that `url` is for."""
    return unquote(PurePosixPath(urlsplit(url).path).name)


def this_platform() -> str:
    """Return the conda subdir of this machine, such as `linux-64`."""
    return str(Subdir.current())
