"""The one place where other programs are started, and where this one ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import NoReturn


def stop_when_told() -> None:
    """Let the signals that end or hang up a process stop this one as Ctrl-C does, cleaning up."""
    import signal

    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run `command` without a shell, and return its exit code, and stdout and stderr as one text.
    Raises OSError if it cannot be started."""
    import subprocess

    return subprocess.run(
        resolved(command, env),
        env=env,
        cwd=cwd,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def run_together(
    commands: Sequence[Sequence[str]], *, env: Mapping[str, str], cwd: Path
) -> list[tuple[str, int]]:
    """Run `commands` at the same time, and return the output and the exit code of each. Raises
    OSError if one cannot be started. None of them outlives this, also after Ctrl-C."""
    from contextlib import ExitStack
    from subprocess import DEVNULL, PIPE, STDOUT, Popen

    children = []
    with ExitStack() as stack:
        for each in commands:
            words = resolved(each, env)
            child = Popen(words, env=env, cwd=cwd, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
            stack.callback(child.kill)
            children.append(child)
        return [(c.communicate()[0].decode("utf-8", "replace"), c.returncode) for c in children]


def attached(command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> int:
    """Run `command` on this terminal, wait for it, and return its exit code. Ctrl-C is for the
    command alone. Raises OSError if it cannot be started."""
    import signal
    import subprocess

    with subprocess.Popen(resolved(command, env), env=env, cwd=cwd) as child:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return child.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def become(command: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """End as `command`: replaced by it, or, on Windows, waiting for it and passing its code on.
    Raises OSError if the program cannot be started."""
    import signal

    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":
        finish(attached(command, env))
    # Python ignores these, and what is ignored stays so. Source: signal(7), execve(2).
    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execvpe(command[0], list(command), dict(env))  # noqa: S606


def resolved(command: Sequence[str | Path], env: Mapping[str, str] | None) -> list[str]:
    """Return `command` with its program looked up on the PATH of `env`. Windows would look on the
    PATH of this process. Source: CreateProcess, lpApplicationName."""
    import shutil

    program, *words = map(str, command)
    path = None if env is None else env.get("PATH")
    return [shutil.which(program, path=path) or program, *words]


def last_line(output: str) -> str:
    """Return the last line of a program's output that is not blank: most often its error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def finish(code: int) -> NoReturn:
    """Leave at once with `code`: py-rattler can crash while the interpreter shuts down. conda-lock
    leaves it to `atexit` to remove temporary folders."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
