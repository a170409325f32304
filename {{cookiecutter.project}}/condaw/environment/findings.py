"""What a verification finds: differences between the environment and the lock."""

from enum import Enum
from typing import NamedTuple

from condaw.base.errors import redacted


class Kind(Enum):
    """The kinds of findings, by their names in `--json` and in the docs."""

    ENVIRONMENT_STALE = "environment-stale"
    LOCK_STALE = "lock-stale"
    PYTHON_VERSION = "python-version"
    SMOKE_FAILED = "smoke-failed"
    PACKAGE_MISSING = "package-missing"
    PACKAGE_EXTRA = "package-extra"
    PACKAGE_DIFFERS = "package-differs"
    PROJECT_MISSING = "project-missing"
    FILE_MISSING = "file-missing"
    FILE_FOREIGN = "file-foreign"
    FILE_CHANGED = "file-changed"
    FILE_MODE = "file-mode"
    RECORD_CHANGED = "record-changed"


class Finding(NamedTuple):
    """One difference; `path` is relative to the prefix, with forward slashes."""

    kind: Kind
    text: str  # one sentence that names the package or file
    package: str | None = None
    path: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the finding as `--json` prints it."""
        return {**self._asdict(), "kind": self.kind.value, "text": redacted(self.text)}
