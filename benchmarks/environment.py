"""How long condaw takes for what people wait for, on the embedded channel.

    .venv/bin/python benchmarks/environment.py [--runs 5] [--json FILE] [--try]

Each figure is the median of several runs of the whole command. The machine must be quiet, and
figures of two machines cannot be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from channel import channel  # noqa: E402 - found through the line above
from template import export  # noqa: E402


class Bench:
    """A locked project without smoke commands, in a home and with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self.env = {**kept, "HOME": str(home), "CONDAW_CACHE": str(folder / "cache")}
        words = [f"channel={channel(ROOT / 'build').as_uri()}", "environment=no", "project=demo"]
        words.append(f"python={sys.version_info[0]}.{sys.version_info[1]}")
        program = Path(sys.executable).with_name("cookiecutter")
        template = export(folder / "template")
        self.run([str(program), "--no-input", str(template), *words], folder)
        self.project = folder / "demo"
        self.condaw("lock", "--pin")
        pyproject = self.project / "pyproject.toml"
        text = pyproject.read_text(encoding="utf-8")
        pyproject.write_text(text.replace('[["ssh-uptime", "--self-test"]]', "[]"), "utf-8")

    def run(self, command: list[str], cwd: Path) -> float:
        """Seconds that `command` takes."""
        began = time.perf_counter()
        done = subprocess.run(command, cwd=cwd, env=self.env, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"{command}: {done.stderr.decode()}")
        return time.perf_counter() - began

    def condaw(self, *words: str) -> float:
        return self.run([sys.executable, "-m", "condaw", *words], self.project)

    def cold(self) -> float:
        shutil.rmtree(Path(self.env["CONDAW_CACHE"]), ignore_errors=True)
        return self.warm()

    def warm(self) -> float:
        shutil.rmtree(self.project / ".conda", ignore_errors=True)
        return self.condaw("create")

    def size(self) -> float:
        """Megabytes in the environment's files."""
        files = [path for path in (self.project / ".conda").rglob("*") if not path.is_symlink()]
        return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def median(runs: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(runs))


def measure(runs: int) -> dict[str, float]:
    """Seconds, but for the figures whose name says otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        figures = {
            "create, empty caches": median(min(runs, 3), bench.cold),
            "create, warm cache": median(runs, bench.warm),
            "create, nothing to do": median(runs, lambda: bench.condaw("create")),
            "status": median(runs, lambda: bench.condaw("status")),
            "python -c pass": median(
                runs, lambda: bench.run([sys.executable, "-c", "pass"], bench.project)
            ),
            "verify": median(runs, lambda: bench.condaw("verify")),
            "lock --check": median(runs, lambda: bench.condaw("lock", "--check")),
            "lock": median(min(runs, 3), lambda: bench.condaw("lock")),
        }
        figures["environment, MB"] = bench.size()
        figures["verify, MB/s"] = figures["environment, MB"] / figures["verify"]
        return figures


def measure_try() -> dict[str, float]:
    """`make try` in a fresh copy of this checkout, and once more."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        ignore = shutil.ignore_patterns(".venv", "build", ".git", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, clone, ignore=ignore)
        times = []
        for _ in range(2):
            began = time.perf_counter()
            subprocess.run(["make", "-C", str(clone), "try"], check=True, capture_output=True)
            times.append(time.perf_counter() - began)
    return {"make try, fresh": times[0], "make try, again": times[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--try", dest="whole", action="store_true", help="`make try`, too")
    arguments = parser.parse_args()
    figures = measure(arguments.runs) | (measure_try() if arguments.whole else {})
    machine = f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"{machine}, load {load}")
    for name, value in figures.items():
        print(f"{name:24} {value:8.3f}")
    if arguments.json:
        report = {"machine": machine, "load": load, "figures": figures}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # rattler, which the channel may have loaded, can crash at interpreter exit


if __name__ == "__main__":
    main()
