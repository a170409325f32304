"""Run the commands that the documentation shows, and compare what they print with what it shows.

    python tools/transcripts.py [--write] [PAGE...]

In a ```console block, `$ ` starts a command, and the lines after it are its output. `...` matches
anything; numbers, versions and digests may differ. The commands of a page run one after the other
in one shell. HTML comments say what readers need not see:

    <!-- stage: project -->   before the first block: start in a project with its environment
    <!-- $ COMMAND -->        run this command here
    <!-- exit 1 -->           the next command exits with this code, not with 0

`--write` replaces the output that differs.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stage import Stage, project, stage

DOCS = Path(__file__).resolve().parent.parent / "docs"
STEP = re.compile(
    r"^<!-- (?P<directive>stage: project|exit \d+|\$ .+?) -->$"
    r"|^(?P<indent> *)```console\n(?P<block>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
IN_PROJECT = "<!-- stage: project -->"
END = "--- end of output ---"
NOISE = re.compile(r"^WARNING: Location .* is ignored: .*\n", re.MULTILINE)
VARIABLE = re.compile(r"\b[0-9a-f]{10,}\b|\bh[0-9a-f]{10}_0\w*|\d+(\.\d+)*|cp3\d+")


@dataclass
class Step:
    """One command of a page, and where its output is in the text."""

    command: str
    wanted: str | None
    """The output on the page; None for a command that readers do not see."""
    code: int = 0
    start: int = 0
    end: int = 0
    indent: str = ""


@dataclass(frozen=True)
class Difference:
    """A command that did not do what the page says."""

    page: Path
    step: Step
    printed: str
    code: int

    def __str__(self) -> str:
        head = f"{self.page.name}: $ {self.step.command}\nexit code {self.code}"
        return f"{head}, expected {self.step.code}\n{self.printed}"


def groups() -> list[list[Path]]:
    """Return the pages with something to run; those that start in a project share a stage."""
    texts = {page: page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md"))}
    runnable = {page: text for page, text in texts.items() if "```console" in text}
    together = [page for page, text in runnable.items() if IN_PROJECT in text]
    return [[page] for page in runnable if page not in together] + [together]


def steps(text: str) -> Iterator[Step]:
    """Yield the commands of a page in order."""
    code = 0
    for match in STEP.finditer(text):
        directive = match["directive"] or ""
        if directive.startswith("exit "):
            code = int(directive.split()[1])
        elif directive.startswith("$ "):
            yield Step(directive[2:], None)
        elif match["block"] is not None:
            for step in _block(match["block"], match.start("block"), match["indent"]):
                step.code, code = code, 0
                yield step


def _block(block: str, offset: int, indent: str) -> Iterator[Step]:
    """Yield the commands of one block; `offset` is where it starts in the page."""
    prompts = [match.start() for match in re.finditer(rf"^{indent}\$ ", block, re.MULTILINE)]
    for begin, end in zip(prompts, [*prompts[1:], len(block)], strict=True):
        line, _, output = block[begin:end].partition("\n")
        wanted = re.sub(f"^{indent}", "", output, flags=re.MULTILINE)
        start = offset + begin + len(line) + 1
        yield Step(line.strip()[2:], wanted, start=start, end=offset + end, indent=indent)


def matches(wanted: str, printed: str) -> bool:
    """Return whether `printed` is what the page shows, but for what differs between machines."""
    masked = VARIABLE.sub("0", " ".join(wanted.split()))
    pattern = ".*".join(re.escape(part.strip()) for part in masked.split("..."))
    return bool(re.fullmatch(pattern, VARIABLE.sub("0", " ".join(printed.split())), re.DOTALL))


class Shell:
    """A shell in which the commands of a page run."""

    def __init__(self, world: Stage, home: Path, folder: Path) -> None:
        self._world = world
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=world.env(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> tuple[str, int]:
        """Run `command`; return its stdout and stderr together, and its exit code.

        Raises RuntimeError if the shell ends.
        """
        assert self._shell.stdin and self._shell.stdout
        self._shell.stdin.write(
            f"{{ {self._world.real(command)}\n}} </dev/null\nprintf '\\n{END} %s\\n' $?\n"
        )
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(END):
                printed = NOISE.sub("", "".join(lines)).strip("\n")
                return self._world.shown(printed), int(line.split()[-1])
            lines.append(line)
        raise RuntimeError(f"the shell ended at: {command}")

    def close(self) -> None:
        """End the shell."""
        self._shell.communicate()


def differences(pages: Sequence[Path]) -> list[Difference]:
    """Run pages one after the other on one stage, and return what differs from them."""
    found = []
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder, "stage")) as world:
        home = world.account("ada")
        for page in pages:
            text = page.read_text(encoding="utf-8")
            start = project(world, home) if IN_PROJECT in text else home
            with contextlib.closing(Shell(world, home, start)) as shell:
                for step in steps(text):
                    printed, code = shell.run(step.command)
                    shows = step.wanted is None or matches(step.wanted, printed)
                    if code != step.code or not shows:
                        found.append(Difference(page, step, printed, code))
    return found


def rewritten(text: str, found: Sequence[Difference]) -> str:
    """Return the page with what was printed in place of what differs."""
    for each in reversed(found):
        step = each.step
        if step.wanted is not None:
            lines = [f"{step.indent}{line}".rstrip() for line in each.printed.splitlines()]
            text = text[: step.start] + "".join(f"{line}\n" for line in lines) + text[step.end :]
    return text


def main() -> None:
    """Run the chosen pages, and print what differs; exit with 1 if anything does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="replace the output that differs")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    chosen = [page.resolve() for page in arguments.pages]
    found = [each for group in ([chosen] if chosen else groups()) for each in differences(group)]
    print(*found, sep="\n\n")
    if arguments.write:
        for page in {each.page for each in found}:
            text = rewritten(page.read_text("utf-8"), [each for each in found if each.page == page])
            page.write_text(text, encoding="utf-8")
    sys.exit(int(bool(found) and not arguments.write))


if __name__ == "__main__":
    main()
