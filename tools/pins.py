"""Write the hash-pinned requirement files from their `.in` files (run by `make pins`).

The engine must work with conda-lock, so both are resolved together, and each file gets its part.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONDAW = ROOT / "{{cookiecutter.project}}" / "condaw"
OLDEST = "3.10"
UNUSED = ["gitdb", "gitpython", "setuptools", "smmap", "zstandard"]
"""What conda-lock asks for and `condaw lock` never imports: the largest, a third of it all."""


def compile_pins(
    sources: list[Path],
    output: Path,
    *,
    python: str,
    header: str,
    constraint: Path | None = None,
    without: list[str] | None = None,
) -> None:
    """Write the pins of `sources` to `output`: wheels for all platforms, with sha256.

    `python` is the oldest Python to support. Raises CalledProcessError if uv finds no solution.
    """
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--upgrade", "--generate-hashes"]
    command += ["--only-binary", ":all:", "--no-header", "--no-annotate", "--no-emit-index-url"]
    command += ["--python-version", python]
    command += ["--constraint", str(constraint)] if constraint else []
    for name in without or []:
        command += ["--no-emit-package", name]
    pins = subprocess.run(
        [sys.executable, "-m", *command, *map(str, sources)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    output.write_text(f"# {header}\n{pins}", encoding="utf-8", newline="\n")


def names(pins: Path) -> list[str]:
    """Return the names of the packages in a pin file."""
    return sorted(set(re.findall(r"^([\w.-]+)==", pins.read_text(encoding="utf-8"), re.M)))


def main() -> None:
    """Write all pin files."""
    engine, relock = ROOT / "tools" / "engine.in", ROOT / "tools" / "relock.in"
    with tempfile.TemporaryDirectory() as scratch:
        both = Path(scratch, "both.txt")
        compile_pins([engine, relock], both, python=OLDEST, header="engine and conda-lock")
        compile_pins(
            [engine],
            CONDAW / "engine.txt",
            python=OLDEST,
            constraint=both,
            header="What condaw needs to make and verify an environment; made by the template.",
        )
        compile_pins(
            [relock],
            CONDAW / "relock.txt",
            python=OLDEST,
            constraint=both,
            without=[*names(CONDAW / "engine.txt"), *UNUSED],
            header="What `condaw lock` needs besides engine.txt; made by the template.",
        )
        compile_pins(
            [ROOT / "tools" / "audit.in"],
            CONDAW / "audit.txt",
            python=OLDEST,
            header="What `condaw audit` runs; made by the template.",
        )
        # The same versions as the engine's, so that tests use it in place.
        compile_pins(
            [ROOT / "requirements.in", engine, relock],
            ROOT / "requirements.txt",
            python="3.11",
            constraint=both,
            header="What the tools and tests of this repository need; made by `make pins`.",
        )
    for name, what in {
        "docs/requirements": "What building the documentation needs",
        "benchmarks/requirements": "What the benchmarks compare with and draw with",
        "tools/channel": "The wheels of the embedded channel",
    }.items():
        compile_pins(
            [ROOT / f"{name}.in"],
            ROOT / f"{name}.txt",
            python="3.11",
            header=f"{what}; made by `make pins`.",
        )


if __name__ == "__main__":
    main()
