"""Run commands, and record what they cost."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.append(str(ROOT / "tools"))

# Linux counts the memory of whoever starts a program as the program's own, until it runs. So a
# small interpreter, of some 8 MB, starts it. wait4 also counts the children that it waited for.
STARTER = """\
import json, os, sys, time
out = int(sys.argv[1])
os.set_inheritable(out, False)
began = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
seconds = time.perf_counter() - began
memory = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
cost = [seconds, used.ru_utime + used.ru_stime, memory, used.ru_oublock * 512 / 1e6]
os.write(out, json.dumps([os.waitstatus_to_exitcode(status), cost]).encode())
"""


@dataclass(frozen=True)
class Cost:
    """What one or more commands took, with all the programs that they started."""

    seconds: float
    """Wall clock."""
    cpu_seconds: float
    """User and system."""
    memory_mb: float
    """The peak of the largest process, in millions of bytes."""
    written_mb: float
    """Handed to the file system to be written to the disk; Linux counts it (proc(5), `io`)."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.memory_mb, other.memory_mb),
            self.written_mb + other.written_mb,
        )


Contenders = Mapping[str, Callable[[], Cost]]
"""What is compared, by name: each prepares, which is not measured, and does its job once."""
Row = dict[str, Any]


class FailedError(Exception):
    """A measured command did not do its job."""


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    output: Path | None = None,
) -> Cost:
    """Run one command and return its cost; its stdout goes to `output`. Raises FailedError if it
    does not start or does not end with 0."""
    reading, writing = os.pipe()
    words = [str(word) for word in command]
    target = output or Path(os.devnull)
    try:
        with target.open("wb") as out:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", STARTER, str(writing), *words],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                pass_fds=[writing],
                check=False,
            )
    finally:
        os.close(writing)
    with os.fdopen(reading) as answers:
        answer = answers.read()
    said = done.stderr.decode(errors="replace").strip()
    if not answer:
        raise FailedError(f"{words[0]} did not start: {said}")
    code, cost = json.loads(answer)
    if code:
        raise FailedError(f"{' '.join(words)[:200]} ended with {code}: {said[-2000:]}")
    return Cost(*cost)


def discard(path: Path) -> None:
    """Move what is at `path` out of the way; it is deleted when the program ends.

    For some minutes ext4 does not reuse the inodes of deleted files, and searches past them all:
    creating an environment right after deleting one took four times the CPU.
    """
    if os.path.lexists(path):
        path.rename(Path(tempfile.mkdtemp(dir=_discarded().name)) / path.name)


@functools.cache
def _discarded() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="discarded-")


def alternate(task: str, contenders: Contenders, runs: int, **labels: Any) -> list[Row]:
    """Run the contenders in turns, so that a slow minute of the machine slows all of them.

    Return a row for each. One that fails is not run again, and its row says why.
    """
    rows: dict[str, Row] = {
        name: {"task": task, "contender": name, **labels, "costs": []} for name in contenders
    }
    for number in range(runs):
        for name, contender in contenders.items():
            row = rows[name]
            if "failed" in row:
                continue
            try:
                cost = contender()
            except (FailedError, OSError) as error:
                row["failed"] = str(error)
                print(f"  {name} failed: {error}", file=sys.stderr)
                continue
            row["costs"].append({k: round(v, 4) for k, v in dataclasses.asdict(cost).items()})
            where = " ".join(f"{key}={value}" for key, value in labels.items())
            print(
                f"  {number + 1}/{runs} {task} {where} | {name}: {cost.seconds:.2f} s, "
                f"CPU {cost.cpu_seconds:.2f} s, {cost.memory_mb:.0f} MB",
                flush=True,
            )
    return list(rows.values())


class Record:
    """The rows of one part, with machine, load and versions; written after each task. The rows of
    other tasks are kept."""

    def __init__(self, part: str, options: argparse.Namespace, versions: Mapping[str, str]) -> None:
        self.path = RESULTS / f"{part}.json"
        result = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}
        self.rows: list[Row] = result.get("rows", [])
        if options.resume and result.get("date") == time.strftime("%Y-%m-%d"):
            done = {row["task"].partition(",")[0] for row in self.rows}
            options.tasks = [task for task in options.tasks if task not in done]
        elif not options.some:
            self.rows = []
        self.about: dict[str, Any] = {
            "part": part,
            "date": time.strftime("%Y-%m-%d"),
            "runs": options.runs,
            "machine": machine(),
            "load": [load()],
            "versions": {"Python": platform.python_version(), **versions},
        }

    def add(self, rows: list[Row]) -> None:
        """Add the rows of one task in place of older ones, and write the file."""
        measured = {_key(row) for row in rows}
        self.rows = [row for row in self.rows if _key(row) not in measured] + rows
        about = {**self.about, "load": [*self.about["load"], load()]}
        self.path.parent.mkdir(exist_ok=True)
        text = json.dumps({**about, "rows": self.rows}, indent=1)
        self.path.write_text(text + "\n", encoding="utf-8")


def _key(row: Row) -> tuple[Any, ...]:
    return row["task"], row["contender"], row.get("size"), row.get("stage")


def machine() -> dict[str, Any]:
    """Return system, CPU, number of cores, and memory in GB."""
    cpu = platform.processor() or platform.machine()
    names = Path("/proc/cpuinfo")
    for line in names.read_text().splitlines() if names.exists() else []:
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 1e9),
    }


def load() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def version(*command: str | Path) -> str:
    """Return the first number that `command` prints, such as `26.7.1`; `none` without it."""
    if not shutil.which(command[0]):
        return "none"
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    words = (done.stdout or done.stderr).split("\n")[0].split()
    return next((word for word in words if word[:1].isdigit()), "none")


def arguments(description: str | None, tasks: Sequence[str], runs: int = 3) -> argparse.Namespace:
    """Parse the options that all parts take: which tasks, and how often."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("tasks", nargs="*", help="of " + ", ".join(tasks) + "; none means all")
    parser.add_argument("--runs", type=int, default=runs, help=f"of each task ({runs})")
    parser.add_argument("--small", action="store_true", help="only the smallest sizes")
    parser.add_argument("--resume", action="store_true", help="only what has no figures of today")
    options = parser.parse_args()
    if unknown := set(options.tasks) - set(tasks):
        parser.error(f"no such task: {', '.join(sorted(unknown))}")
    options.some = bool(options.tasks)
    options.tasks = options.tasks or list(tasks)
    return options
