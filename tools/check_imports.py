"""Check that condaw's imports go one way; with `--dot`, print them for graphviz.

commands -> audit, bundle, doctor -> environment -> lockfile -> network -> base, and
engine -> network.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

CONDAW = Path(__file__).resolve().parent.parent / "{{cookiecutter.project}}" / "condaw"
BELOW = {
    "__main__": {"commands"},
    "commands": {"audit", "bundle", "doctor", "engine", "environment", "lockfile", "network"},
    "audit": {"engine", "lockfile", "network"},
    "bundle": {"engine", "environment", "lockfile", "network"},
    "doctor": {"engine", "environment", "lockfile", "network"},
    "environment": {"lockfile", "network"},
    "lockfile": {"network"},
    "network": set(),
    "engine": {"network"},
    "base": set(),
}
"""The rooms that each room may import, besides itself and `base`."""
HEAD = """\
// Made by tools/check_imports.py --dot
digraph "The rooms of condaw" {
  label="An arrow means: imports. Every room may import base, which is left out.";
"""


def imports(file: Path) -> Iterator[str]:
    """Yield the rooms of condaw that `file` imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if modules == ["condaw"]:
            modules = [f"condaw.{alias.name}" for alias in node.names]  # type: ignore[attr-defined]
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        for top, *rest in (module.split(".") for module in modules):
            if top == "condaw" and rest and not rest[0].startswith("__"):
                yield rest[0]


def arrows(condaw: Path) -> dict[tuple[str, str], int]:
    """Return how many files of one room import another, by the two rooms."""
    found: dict[tuple[str, str], int] = {}
    for file in sorted(condaw.rglob("*.py")):
        room = file.relative_to(condaw).parts[0].removesuffix(".py")
        for other in sorted(set(imports(file)) - {room} if room != "__init__" else ()):
            found[room, other] = found.get((room, other), 0) + 1
    return found


def wrong(condaw: Path) -> list[str]:
    """Return a sentence for each import that goes against the direction."""
    return [
        f"{room} imports {other}, which is not below it"
        for room, other in arrows(condaw)
        if other not in {*BELOW.get(room, ()), "base"}
    ]


def dot(condaw: Path) -> str:
    """Return the imports as a graph; the number is how many files have the import."""
    lines = [
        f'  {a} -> {b} [label="{number}"];'
        for (a, b), number in sorted(arrows(condaw).items())
        if not a.startswith("__") and b != "base"
    ]
    return HEAD + "\n".join([*lines, "}", ""])


def main() -> None:
    """Print the graph with `--dot`; otherwise exit with what is wrong, if anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dot", action="store_true", help="print the graph")
    if parser.parse_args().dot:
        print(dot(CONDAW), end="")
    elif sentences := wrong(CONDAW):
        raise SystemExit("\n".join(sentences))


if __name__ == "__main__":
    main()
