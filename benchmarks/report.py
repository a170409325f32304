"""results/*.json -> docs/explanation/benchmarks.md and its picture.

    build/bench/bin/python benchmarks/report.py

The whole page is written here, and each figure in it is computed, so that no sentence can drift.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "explanation" / "benchmarks.md"
PICTURE = ROOT / "docs" / "pictures" / "benchmarks.svg"

WHOLE, PLAIN = "condaw, as generated", "condaw, plain"
SAME, BARE = "micromamba, the same job", "micromamba, bare"
OPENSSL = "openssl dgst -sha256, the files of plain"
SHIPPED = "from conda-forge, with a lock of the template's"
TASKS = {
    "cold": "Create, empty caches",
    "warm": "Create, warm caches",
    "again": "Nothing to do",
    "verify": "Verify",
    "generate": "`cookiecutter`, the next project",
}
FLEET = {
    "near": "Unix, no round trip",
    "far": "Unix, 50 ms round trip",
    "devices": "Devices, no round trip",
    "devices far": "Devices, 50 ms round trip",
}
COMPARED = "each file compared"
AT = 500
"""Hosts at which the targets of a fleet are judged."""

Row = dict[str, Any]
Lines = list[str]


class Results:
    """The rows of all parts."""

    def __init__(self) -> None:
        paths = sorted(RESULTS.glob("*.json"))
        self.parts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
        self.rows: list[Row] = [row for part in self.parts.values() for row in part["rows"]]

    def of(self, task: str, **labels: Any) -> list[Row]:
        """Return the rows of a task that have figures and these labels."""
        found = [row for row in self.rows if row["task"] == task and row["costs"]]
        return [row for row in found if all(row.get(k) == v for k, v in labels.items())]

    def row(self, task: str, contender: str, **labels: Any) -> Row:
        """Return the one row of a contender."""
        return next(iter(self.of(task, contender=contender, **labels)), {"costs": []})

    def about(self, part: str) -> Lines:
        """Return a paragraph: date, machine, load and versions."""
        result, machine = self.parts[part], self.parts[part]["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
        return [
            f"{result['date']}: {machine['cpu']}, {machine['cores']} cores, "
            f"{machine['memory_gb']} GB, {machine['system']}; load {min(result['load']):.1f} to "
            f"{max(result['load']):.1f}; medians of {result['runs']}. {versions}.",
            "",
        ]


class Target(NamedTuple):
    """What should hold, what was measured, and what shows why it does not."""

    text: str
    most: float
    measured: float
    unit: str
    why: str

    def met(self) -> str:
        """Return the last cell of its row."""
        return "" if isnan(self.measured) else "yes" if self.measured <= self.most else "no"


# --- figures


def figure(row: Row, key: str = "seconds") -> float:
    """Return the median of one kind of cost, in the unit of `measure.Cost`; NaN without one."""
    return float(median(cost[key] for cost in row["costs"])) if row["costs"] else float("nan")


def ratio(row: Row, other: Row, key: str = "seconds") -> float:
    """Return how many times as much `row` takes as `other`: the median over the rounds, each of
    which compares two runs that followed each other."""
    pairs = zip(row["costs"], other["costs"], strict=False)
    found = [ours[key] / theirs[key] for ours, theirs in pairs]
    return float(median(found)) if found else float("nan")


def short(value: float) -> str:
    """Return `value` with three significant digits, nothing for NaN."""
    return "" if isnan(value) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> Lines:
    """Return the lines of a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in body), ""]


# --- targets


def targets(results: Results) -> list[Target]:
    """Return all targets."""
    row = results.row

    def stage(name: str, tool: str = WHOLE, key: str = "seconds") -> str:
        return f"{short(figure(row('stages', tool, stage=name), key))} s"

    warm, plain, bare = (row("warm", name) for name in (WHOLE, PLAIN, BARE))
    python = row("again", "python -c pass")
    parts = (
        f"Python and imports take {stage('Python and imports')}, rattler's linking "
        f"{stage('conda packages fetched and linked')}, the wheels "
        f"{stage('wheels and the project')}, comparing {stage(COMPARED)}, the smoke commands "
        f"{stage('smoke commands')}."
    )
    imports = f"{stage('Python and imports', PLAIN)} until the first stage begins, "
    imports += f"{stage(COMPARED, PLAIN)} to compare each file, which micromamba does not do"
    beside = f"A warm create is {short(figure(warm))} s of it; the rest is cookiecutter."
    openssl = figure(row("verify", OPENSSL), "cpu_seconds")
    proof = (
        f"openssl takes {short(openssl)} s of CPU. Before condaw hashes, Python and its imports "
    )
    proof += f"take {stage('Python and imports', PLAIN, 'cpu_seconds')}, and afterwards it starts "
    proof += "the environment's Python."
    little = f"`python -c pass` is {short(1000 * figure(python))} ms; the rest is condaw's modules."
    compiled = row("stages, cold", PLAIN, stage="byte-code made or linked")
    memory = row("packages, cold", "condaw", size=1_000)
    return [
        Target("Warm create as generated", 1.0, figure(warm), " s", parts),
        Target("… over micromamba's bare create", 2.5, ratio(warm, bare), "", parts),
        Target(
            "… over micromamba doing the same job", 0.35, ratio(warm, row("warm", SAME)), "", parts
        ),
        Target("Warm create plain over micromamba's", 1.25, ratio(plain, bare), "", f"{imports}."),
        Target(
            "Cold create plain over micromamba's",
            0.8,
            ratio(row("cold", PLAIN), row("cold", BARE)),
            "",
            f"condaw compiles byte-code, once for each package, for {short(figure(compiled))} s, "
            f"which `--no-pyc` leaves out. It takes {imports}.",
        ),
        *(
            Target(
                f"`{name}` over `python -c pass`", 2, ratio(row("again", name), python), "", little
            )
            for name in ("condaw status", "condaw create")
        ),
        Target(
            "Verify, plain, CPU over `openssl dgst -sha256`",
            1.3,
            ratio(row("verify", PLAIN), row("verify", OPENSSL), "cpu_seconds"),
            "",
            proof,
        ),
        Target(
            "`cookiecutter`, the next project", 2.5, figure(row("generate", SHIPPED)), " s", beside
        ),
        Target("Memory at 1,000 packages", 130, figure(memory, "memory_mb"), " MB", ""),
        *fleet_targets(results),
    ]


def fleet_targets(results: Results) -> list[Target]:
    """Return the targets of the sample."""

    def of(task: str, other: str, key: str, *, speed: bool = False) -> float:
        ours, theirs = (results.row(task, name, size=AT) for name in ("ssh-uptime", other))
        return ratio(theirs, ours, key) if speed else ratio(ours, theirs, key)

    paramiko = "paramiko has two threads for each connection, and its packets in Python."
    keys = [results.row("encrypted", f"ssh-uptime, {kind} key") for kind in ("encrypted", "plain")]
    once = "The key is decrypted once, which is made to be slow; what is left is noise."
    start = results.row("start", "ssh-uptime", size=1)
    return [
        Target(
            "Unix: CPU a host over asyncssh's",
            0.8,
            of("near", "asyncssh", "cpu_seconds"),
            "",
            paramiko,
        ),
        Target(
            "Unix, 50 ms: parallel-ssh's speed over ours",
            1.5,
            1 / of("far", "parallel-ssh", "seconds", speed=True),
            "",
            "libssh2 is written in C.",
        ),
        *(
            Target(
                f"{FLEET[task]}: {text} nornir's",
                1,
                of(task, "nornir + netmiko", key),
                "",
                paramiko,
            )
            for task in ("devices", "devices far")
            for text, key in (("time over", "seconds"), ("CPU over", "cpu_seconds"))
        ),
        Target(
            "300 Unix hosts, an encrypted key over a plain one",
            1,
            ratio(keys[0], keys[1]),
            "",
            once,
        ),
        Target(
            "One Unix host, with the start of the program",
            0.25,
            figure(start),
            " s",
            "Most of it is Python and the import of paramiko with cryptography.",
        ),
    ]


# --- the page


def page(results: Results) -> str:
    """Return the page."""
    judged, size = targets(results), results.parts["environment"]["size"]
    rows = [
        [t.text, f"{t.most:g}{t.unit}", f"{short(t.measured)}{t.unit}".strip(), t.met()]
        for t in judged
    ]
    whys: dict[str, list[str]] = {}
    for target in judged:
        if target.met() == "no":
            whys.setdefault(target.why, []).append(target.text.removeprefix("… "))
    missed = [f"- **{', '.join(texts)}.** {why}" for why, texts in whys.items()]
    lines = [
        "# Benchmarks",
        "",
        f"The default project has {size['conda']} conda packages and {size['wheels']} wheels, as "
        f"the shipped locks have: {size['files']:,} files and {size['mb']} MB without the wheels.",
        "",
        "![Seconds to create an environment](../pictures/benchmarks.svg)",
        "",
        *table(["target", "at most", "measured", "met"], rows),
    ]
    if missed:
        lines += ["What is missed, and why:", "", *missed, ""]
    return "\n".join([*lines, *METHOD, *environment(results), *scale(results), *fleet(results)])


METHOD = """\
## How it is measured

- `make bench` measures, and writes this page and its picture: each figure in it is computed.
  Compare the figures with each other, not with those of your machine.
- **As generated**: conda packages, wheels, the project itself, and its smoke commands. **Plain**:
  the conda packages alone; the smoke command is a start of Python. condaw compares each file with
  its hash before anything of the environment runs, and installs byte-code.
- **micromamba, the same job**: `micromamba create` with byte-code, pip for the wheels, then the
  same smoke commands, at once as condaw runs them. It compares nothing, and the project is not
  installed but found by PYTHONPATH. **Bare**: `micromamba create --no-pyc`, nothing else.
- The tools take turns, so a slow minute slows all of them. A ratio is the median of the rounds'
  ratios. CPU time is that of the command and of all its children; memory is the peak of its
  largest process.
- Packages come from a channel and an index on loopback, over plain http, whose work is in nobody's
  CPU time. Packages that wheels do not give are stand-ins: random text, so that an environment has
  the shipped lock's number of packages, files and bytes.
- Nothing is deleted in between: for minutes, ext4 searches past the inodes of deleted files.
""".splitlines()


def environment(results: Results) -> Lines:
    """Return the section on environments."""
    lines = ["", "## The environment", "", *results.about("environment")]
    for task, title in TASKS.items():
        rows = results.of(task)
        keys = ("seconds", "cpu_seconds", "memory_mb")
        body = [[row["contender"], *(short(figure(row, key)) for key in keys)] for row in rows]
        lines += table([title, "seconds", "CPU seconds", "memory, MB"], body)
    lines += ["Where a create's time goes, seconds as generated and plain:", ""]
    names = list(dict.fromkeys(row["stage"] for row in results.of("stages")))
    kinds = [(task, tool) for task in ("stages, cold", "stages") for tool in (WHOLE, PLAIN)]
    body = [
        [name, *(short(figure(results.row(task, tool, stage=name))) for task, tool in kinds)]
        for name in names
    ]
    lines += table(["", "cold, as generated", "cold, plain", "warm, as generated", "plain"], body)
    for tool in (WHOLE, PLAIN):
        whole = results.row("stages", tool, stage="in all")
        compared = ratio(results.row("stages", tool, stage=COMPARED), whole)
        lines.append(
            f"- To compare each file before anything runs is {100 * compared:.0f} % of "
            f"the warm create {tool.partition(', ')[2]}."
        )
    lines += [
        "",
        "The engine's own start: milliseconds of imports, by `-X importtime`, which itself "
        "makes them slower:",
        "",
    ]
    names = list(dict.fromkeys(row["stage"] for row in results.of("start") if "stage" in row))
    body = [
        [
            name,
            *(
                short(1000 * figure(results.row("start", command, stage=name)))
                for command in ("status", "create")
            ),
        ]
        for name in names
    ]
    return lines + table(["", "`status`", "`create`"], body)


def scale(results: Results) -> Lines:
    """Return the section on growth."""
    lines = [
        "## Scale",
        "",
        "Made-up packages beside a real Python: 10 files of 2 kB each where packages "
        "are counted, 50 packages where files are. Disk is that of the cache and all "
        "environments; a hard-linked file counts once.",
        "",
        *results.about("scale"),
    ]
    for unit in ("packages", "files"):
        body = []
        for task in ("cold", "warm", "again", "verify"):
            rows = results.of(f"{unit}, {task}")
            for name in dict.fromkeys(row["contender"] for row in rows):
                found = [row for row in rows if row["contender"] == name]
                for key, kind in (("seconds", "s"), ("memory_mb", "MB")):
                    body.append(
                        [f"{name}, {task}, {kind}", *(short(figure(r, key)) for r in found)]
                    )
        sizes = sorted({row["size"] for row in results.of(f"{unit}, cold")})
        lines += table([unit, *(f"{size:,}" for size in sizes)], body)
    rows = results.of("environments")
    sizes = sorted({row["size"] for row in rows})
    body = []
    for name in dict.fromkeys(row["contender"] for row in rows):
        disk = [row["disk_mb"] for row in rows if row["contender"] == name]
        more = (disk[-1] - disk[0]) / max(sizes[-1] - sizes[0], 1)
        body.append([name, *map(short, disk), short(more)])
    return lines + table(["environments: MB", *map(str, sizes), "MB for one more"], body)


def fleet(results: Results) -> Lines:
    """Return the section on fleets of hosts."""
    lines = ["## The fleet", "", *FARM, "", *results.about("fleet")]
    for task, title in FLEET.items():
        rows = results.of(task)
        sizes = sorted({row["size"] for row in rows})
        body = []
        for name in dict.fromkeys(row["contender"] for row in rows):
            for what, key in (
                ("hosts/s", "seconds"),
                ("CPU ms a host", "cpu_seconds"),
                ("MB", "memory_mb"),
            ):
                cells = []
                for size in sizes:
                    value = figure(results.row(task, name, size=size), key)
                    per = {"seconds": size / value, "cpu_seconds": 1000 * value / size}
                    cells.append(short(per.get(key, value)))
                body.append([f"{name}, {what}", *cells])
        lines += table([title, *(f"{size:,}" for size in sizes)], body)
    body = [
        [row["contender"], *(short(figure(row, key)) for key in ("seconds", "cpu_seconds"))]
        for row in results.of("encrypted")
    ]
    return lines + table(["300 Unix hosts", "seconds", "CPU seconds"], body)


FARM = """\
SSH servers on 127.1.0.0/16, in one process on the same cores. Each contender logs in with the same
key, 32 sessions at a time, and checks host keys strictly, but for parallel-ssh, which cannot.
Figures hold the start of the program.

- **Unix:** `uptime` on SSH's exec channel: `ssh-uptime`, asyncssh, parallel-ssh and Ansible's
  `raw`, which keeps no connection open, since nobody else does.
- **Devices:** `show version`, typed at the prompt of a shell: `ssh-uptime`, and nornir with
  netmiko, which gets a known_hosts file for each host, its best case, and closes each session
  (`close_connections`).
""".splitlines()


# --- the picture


def draw(results: Results) -> None:
    """Draw bars: seconds to create, for each tool; the same bytes for the same figures."""
    import matplotlib

    matplotlib.use("svg")
    ink, green, grey = "#010203", "#2fa45f", "#8a93a3"  # ink stands for the page's colour of text
    inks = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    settings = {"svg.hashsalt": "condaw", "svg.fonttype": "none", "font.size": 9}
    matplotlib.rcParams.update(settings | dict.fromkeys(inks, ink))
    import matplotlib.pyplot as plot

    drawing, fields = plot.subplots(1, 2, figsize=(9, 1.9), sharey=True)
    told = []
    for field, task in zip(fields, ("warm", "cold"), strict=True):
        rows = [
            row for name in (WHOLE, SAME, PLAIN, BARE) for row in results.of(task, contender=name)
        ]
        values = [figure(row) for row in rows]
        names = [row["contender"] for row in rows]
        colors = [green if name.startswith("condaw") else grey for name in names]
        listed = (f"{n}: {value:.2f}" for n, value in zip(names, values, strict=True))
        told.append(f"{TASKS[task]}: {'; '.join(listed)}")
        bars = field.barh(names, values, color=colors)
        field.bar_label(bars, [f"{value:.2f}" for value in values], padding=4)
        field.set(title=f"{TASKS[task]}, seconds", xlim=(0, 1.15 * max(values)))
        field.spines[["top", "right"]].set_visible(False)
    fields[0].invert_yaxis()
    drawing.tight_layout()
    drawing.savefig(PICTURE, metadata={"Date": None}, bbox_inches="tight", transparent=True)
    style = "svg { color: #1f2430; } text { fill: currentColor; }\n"
    style += "@media (prefers-color-scheme: dark) { svg { color: #e4e8f0; } }\n"
    text = PICTURE.read_text(encoding="utf-8").replace(ink, "currentColor")
    text = text.replace("</style>", f"\n{style}</style>", 1)
    spoken = f"<title>Seconds to create an environment</title><desc>{'. '.join(told)}.</desc>"
    text = re.sub("<metadata>.*?</metadata>", spoken, text, flags=re.DOTALL)
    PICTURE.write_text("\n".join(map(str.rstrip, text.splitlines())) + "\n", encoding="utf-8")


if __name__ == "__main__":
    found = Results()
    PAGE.write_text(page(found), encoding="utf-8", newline="\n")
    draw(found)
