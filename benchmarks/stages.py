"""Run `condaw create` or `verify` in the current folder, and print what its stages take, as JSON.

    stages.py create

Each stage is seconds, and CPU seconds of this process and of the programs that it waited for.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

BEGAN = time.perf_counter()
sys.path.insert(0, "")
found: dict[str, list[float]] = {}


def cpu() -> float:
    """Return the CPU seconds until now."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, which then adds what it takes to the stage `name`."""

    def wrapped(*words: Any, **named: Any) -> Any:
        began, used = time.perf_counter(), cpu()
        try:
            return function(*words, **named)
        finally:
            seconds, cpu_seconds = found.get(name, (0.0, 0.0))
            now = time.perf_counter() - began, cpu() - used
            found[name] = [seconds + now[0], cpu_seconds + now[1]]

    return wrapped


def main() -> None:
    """Time the functions that are the stages."""
    from condaw import commands
    from condaw.environment import bytecode, conda_packages, create, pypi_packages, verify
    from condaw.lockfile import reader

    found["Python and imports"] = [time.perf_counter() - BEGAN, cpu()]
    for name, module, function in (
        ("the lock read and judged", reader, "read"),
        ("conda packages fetched and linked", conda_packages, "link"),
        ("wheels and the project", pypi_packages, "install"),
        ("byte-code made or linked", bytecode, "link"),
        ("each file compared", create, "look"),
        ("each file compared", verify, "look"),
        ("each file compared", verify, "differences"),
        ("smoke commands", create, "smoke"),
    ):
        setattr(module, function, timed(name, getattr(module, function)))
    code = commands.main()
    found["in all"] = [time.perf_counter() - BEGAN, cpu()]
    print(json.dumps(found), flush=True)
    os._exit(code)  # as condaw does: rattler can crash while the interpreter shuts down


if __name__ == "__main__":
    main()
