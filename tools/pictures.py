"""Make the pictures of the documentation: terminals from real runs, diagrams from `.dot` files.

    python tools/pictures.py [NAME...]      # needs git, and graphviz for the diagrams

Writes docs/pictures/NAME.svg. Terminals use the same stage as the transcripts: each command runs in
a terminal, and what it prints is drawn. Only what differs each time is replaced (uptimes,
fingerprints of keys), and `...` stands for the first lines of a long output.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import io
import os
import pty
import re
import shutil
import subprocess
import tempfile
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text
from stage import Stage, project, stage

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
WIDTH = 88
ERASED = re.compile(r"[^\n]*\r(?!\n)(?:\x1b\[K)?")
CONTROL = re.compile(r"\x1b\[\??[0-9;]*[A-HJKSThlr]")
FINGERPRINT = re.compile(r"SHA256:[\w+/]{43}")
UPTIME = re.compile(r"\d+d +\d+h +\d+m +.*$", re.MULTILINE)

# rich's own frame without the web font that it would fetch, and with words for a screen reader.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" role="img" \
aria-labelledby="{unique_id}-title {unique_id}-desc" xmlns="http://www.w3.org/2000/svg">
<title id="{unique_id}-title">@TITLE@</title>
<desc id="{unique_id}-desc">@DESC@</desc>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
# Overrides the colours of graphviz, so that one file works on light and dark pages.
DIAGRAM_STYLE = """\
<style>
text { fill: #1f2430; font-family: system-ui, "DejaVu Sans", sans-serif; }
.node polygon, .node path { fill: #eef1f6; stroke: #55607a; }
.file polygon, .file path { fill: #dcebe0; stroke: #2f7d4f; }
.turn polygon, .turn path { fill: #f6e6cc; stroke: #a8650b; }
.edge path { stroke: #55607a; } .edge polygon { fill: #55607a; stroke: #55607a; }
.graph > polygon { fill: #ffffff; stroke: none; }
@media (prefers-color-scheme: dark) {
text { fill: #e4e8f0; }
.node polygon, .node path { fill: #2b3242; stroke: #8d99b5; }
.file polygon, .file path { fill: #213b2c; stroke: #5cb581; }
.turn polygon, .turn path { fill: #443319; stroke: #dba04e; }
.edge path { stroke: #8d99b5; } .edge polygon { fill: #8d99b5; stroke: #8d99b5; }
.graph > polygon { fill: #1b202b; }
}
</style>
"""


@dataclass(frozen=True)
class Terminal:
    """A picture of a terminal."""

    title: str
    description: str
    commands: Sequence[str]
    unseen: Sequence[str] = ()
    """Commands that run first, and are not shown."""
    last: int = 99
    """The number of lines of an output to show, at most."""
    in_project: bool = True
    """Start in a project that has its environment, otherwise in an empty home."""


TERMINALS = {
    "first-run": Terminal(
        "A project is generated, and its environment created and verified",
        "cookiecutter generates the project; its hook creates and verifies the conda environment. "
        "Then ssh-uptime runs in it and prints the uptime of a host.",
        [
            "cookiecutter --no-input gh:OWNER/cookiecutter-condaw",
            "cd ssh-uptime",
            "python -m condaw verify",
            "python -m condaw run -- ssh-uptime lab-1",
        ],
        last=4,
        in_project=False,
    ),
    "findings": Terminal(
        "verify finds a changed file and a package that nobody locked; create fixes both",
        "After a file was edited and a package installed by hand, condaw verify names both and "
        "exits with 1. condaw create --repair builds the environment again; verify finds nothing.",
        [
            "echo '# debug' >> .conda/lib/python3*/site-packages/paramiko/client.py",
            "python -m condaw run -- pip install -q --no-compile --break-system-packages humanize",
            "python -m condaw verify",
            "python -m condaw create --repair",
            "python -m condaw verify",
        ],
        last=5,
    ),
    "fleet": Terminal(
        "ssh-uptime logs in to four hosts: three fail, each with a reason and what to do",
        "One row for each host, failures first: a name that does not resolve, a port where nothing "
        "listens, a host whose key is not known, and one that prints its uptime.",
        ["python -m condaw run -- ssh-uptime --timeout 5 lab-1 lab-2 lab-3 lab-4"],
        unseen=[
            f"sed 's/^Host lab-1/Host {name}/; s/{line}.*/{other}/' ~/.ssh/config > ~/new"
            " && cat ~/new ~/.ssh/config > ~/all && mv ~/all ~/.ssh/config"
            for name, line, other in (
                ("lab-4", "HostName", "HostName lab-4.invalid"),
                ("lab-3", "Port", "Port 9"),
                ("lab-2", "User", "&\\n  HostKeyAlias lab-2"),
            )
        ],
    ),
}


def run_in_terminal(command: str, cwd: Path, env: dict[str, str]) -> str:
    """Return what `command` prints on a terminal, with escape sequences."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, WIDTH))
    child = subprocess.Popen(
        ["bash", "-c", command], cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(ours, 65536):  # EIO when the last process has gone
            shown += chunk
    child.wait()
    os.close(ours)
    return shown.decode("utf-8", "replace")


def screen(raw: str) -> str:
    """Return what stays on the screen: no overwritten lines, no cursor movements."""
    text = CONTROL.sub("", ERASED.sub("", raw.replace("\r\n", "\n")))
    text = UPTIME.sub("12d  4h  2m  12 days,  4:02", text)
    return FINGERPRINT.sub(f"SHA256:{'d2hhdCB5b3Ugc2Vl' * 3:.43}", text).rstrip("\n")


def terminal(picture: Terminal, name: str, world: Stage) -> str:
    """Run the commands of `picture` on the stage, and return the terminal as SVG."""
    home = world.account("ada")
    folder = project(world, home) if picture.in_project else home
    env = {**world.env(home), "COLUMNS": str(WIDTH)}
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for command in picture.unseen:
        subprocess.run(["bash", "-c", command], cwd=folder, env=env, check=True)
    for command in picture.commands:
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        if command.startswith("cd "):
            folder /= command[3:]
            continue
        raw = run_in_terminal(world.real(command), folder, env)
        lines = world.shown(screen(raw)).splitlines()
        if len(lines) > picture.last:
            lines = ["...", *lines[-picture.last :]]
        for line in lines:
            console.print(Text.from_ansi(line))
    console.print()  # the frame ends within the last line
    frame = FRAME.replace("@TITLE@", html.escape(picture.title))
    frame = frame.replace("@DESC@", html.escape(picture.description))
    return console.export_svg(title="", code_format=frame, unique_id=name)


def diagram(source: Path) -> str:
    """Return a `.dot` file as SVG; the graph's name is the title, its label the description."""
    text = source.read_text(encoding="utf-8")
    title, label = (re.search(p, text) for p in (r'digraph "(.*?)"', r'\n  label="(.*?)";'))
    assert title and label, f"{source} has no name or no label"
    look = ["-Nshape=box", "-Nstyle=filled,rounded", "-Nfontname=DejaVu Sans", "-Nfontsize=12"]
    look += ["-Efontname=DejaVu Sans", "-Efontsize=10", "-Gpad=0.2", "-Efontcolor=black"]
    drawn = subprocess.run(
        ["dot", "-Tsvg", *look],
        input=text.replace(label[0], ""),
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    drawn = re.sub(r"<!--.*?-->\n?|<\?xml.*?\?>\n?|<!DOCTYPE.*?>\n?", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r"<title>.*?</title>\n?", "", drawn)
    head = f"<title>{html.escape(title[1])}</title>\n<desc>{html.escape(label[1])}</desc>\n"
    return re.sub(r"(<svg[^>]*)>\n", rf'\1 role="img">\n{head}{DIAGRAM_STYLE}', drawn, count=1)


def main() -> None:
    """Draw the chosen pictures."""
    diagrams = {source.stem: source for source in PICTURES.glob("*.dot")}
    known = [*TERMINALS, *diagrams]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=known)
    for name in parser.parse_args().names:
        if name not in known:
            parser.error(f"there is no picture {name}, only {', '.join(known)}")
        if name in TERMINALS:
            with tempfile.TemporaryDirectory() as folder, stage(Path(folder, "stage")) as world:
                svg = terminal(TERMINALS[name], name, world)
        elif shutil.which("dot"):
            svg = diagram(diagrams[name])
        else:
            parser.error("diagrams need graphviz (on Debian: apt install graphviz)")
        (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")
        print(f"docs/pictures/{name}.svg")


if __name__ == "__main__":
    main()
