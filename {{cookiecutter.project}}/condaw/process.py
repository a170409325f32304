"""The one place where other programs are started and where this one ends."""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False  # typing takes longer to load than all that is needed here
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import NoReturn


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `command` without a shell; stdout and stderr come back together, as text.

    Raises OSError when the program cannot be started.
    """
    import subprocess  # where nothing is to be done, it need not be loaded

    return subprocess.run(
        [str(part) for part in command],
        env=env,
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def attached(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run `command` on this terminal and wait for it; returns its exit code."""
    import subprocess

    return subprocess.run(command, env=env, check=False).returncode


def become(command: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """End as `command`: replaced by it, or, on Windows, waiting for it and passing its code on.

    Raises OSError when the program cannot be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":
        finish(attached(command, env))
    os.execvpe(command[0], list(command), dict(env))  # noqa: S606


def finish(code: int) -> NoReturn:
    """Leave at once with `code`.

    py-rattler can crash while the interpreter shuts down, after its work is done; so the
    interpreter is not shut down. conda-lock leaves it to `atexit` to remove temporary folders.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
