"""Console scripts that start a given Python: a shebang on POSIX, a small `.exe` on Windows."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from installer.scripts import Script

if TYPE_CHECKING:
    from installer.scripts import LauncherKind, ScriptSection


def write(
    folder: Path, name: str, target: str, python: Path, section: ScriptSection = "console"
) -> Path:
    """Write the script `name`, which calls `target` ("module:function") with `python`. Returns its
    path, which ends in `.exe` on Windows."""
    module, _, function = target.partition(":")
    kind: LauncherKind = "posix"
    if os.name == "nt":
        kind = "win-arm64" if platform.machine() == "ARM64" else "win-amd64"
    file_name, content = Script(name, module, function, section).generate(str(python), kind)
    path = folder / file_name
    path.write_bytes(content)
    path.chmod(0o755)
    return path
