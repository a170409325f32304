"""Whether the environment is ready, from copies of all inputs that decide what it holds.

Compared each time `status` or `create` starts, so without pathlib, json or hashlib, which take
longer to load than the comparison takes.
"""

import os

from condaw.base import layout
from condaw.base.layout import META, PREFIX, ROOT

FORMAT = "condaw 5"
MARK = f"{META}/condaw"  # says for which path condaw made the prefix
PASSED = f"{META}/condaw.passed"  # says that the smoke commands have passed
WATCHED = (f"{META}/history", f"{META}/state")
"""What conda writes when it changes a prefix; pip changes the folder of the packages."""
WITHOUT = "condaw-without"  # the dependency groups that were left out
INPUTS = (layout.LOCK, layout.ENVIRONMENT, layout.PYPROJECT)

Folder = str | os.PathLike[str]


def inputs(root: Folder) -> dict[str, bytes]:
    """Return the content of each input at `root`, by name; ask before any is read otherwise."""
    return {name: had for name in INPUTS if (had := _content(root, name)) is not None}


def write(folder: Folder, prefix: Folder, made_from: dict[str, bytes], site: str) -> None:
    """Record in `folder`, which will become `prefix`, the inputs that it was made from, and the
    times by which a later change is seen. `site` is the folder of the packages, in `folder`."""
    times = [f"{_time(folder, path)} {path}" for path in (*WATCHED, site)]
    mark = "\n".join([FORMAT, os.fspath(prefix), *times, ""])
    for name, content in {**made_from, "condaw": os.fsencode(mark)}.items():
        with open(os.path.join(folder, META, name), "wb") as out:
            out.write(content)


def state(root: Folder = ROOT) -> tuple[str, str]:
    """Return `ready`, `missing`, `foreign`, `broken`, `stale`, `changed` (by another program) or
    `failed` (a smoke command), and a sentence that says why."""
    prefix = os.path.join(root, PREFIX)
    if not os.path.lexists(prefix):
        return "missing", "there is no environment yet"
    if not os.path.lexists(os.path.join(prefix, MARK)):
        return "foreign", f"{prefix} was not made by condaw"
    mark = os.fsdecode(_content(prefix, MARK) or b"").split("\n")
    if not mark[0].startswith("condaw ") or len(mark) != 6:
        return "broken", "the environment's record of what it was made from cannot be read"
    if not os.path.exists(os.path.join(prefix, layout.PYTHON)):
        return "broken", "the environment has no Python"
    if mark[1] != prefix:
        return "stale", f"it was made for {mark[1]}, and the project has moved"
    changed = [] if mark[0] == FORMAT else ["condaw"]
    changed += [n for n in INPUTS if _content(root, n) != _content(os.path.join(prefix, META), n)]
    if changed:
        return "stale", f"{changed[0]} has changed since it was made"
    for time, _, path in (line.partition(" ") for line in mark[2:-1]):
        # Layers of container images keep whole seconds.
        if _time(prefix, path) not in (time, f"{time[:-9]}000000000"):
            return "changed", f"another program has changed {path}"
    if not os.path.exists(os.path.join(prefix, PASSED)):
        return "failed", "smoke in [tool.condaw] of pyproject.toml has not passed"
    less = "".join(f", without {group}" for group in left_out(root))
    return "ready", f"the environment was made from this conda-lock.yml{less}"


def left_out(root: Folder = ROOT) -> list[str]:
    """Return the dependency groups that the environment was made without."""
    return os.fsdecode(_content(os.path.join(root, PREFIX, META), WITHOUT) or b"").split()


def next_step(word: str) -> str:
    """Return what to do in a state; nothing if it is `ready`."""
    away = "move it away, and " if word == "foreign" else ""
    return "" if word == "ready" else f"{away}run: python -m condaw create"


def nothing_to_do(without: list[str], root: Folder = ROOT) -> str:
    """Return why `create` has nothing to do; empty if it has, or if a killed run left something."""
    if any(os.path.lexists(os.path.join(root, name)) for name in (layout.STAGING, layout.RETIRED)):
        return ""
    word, reason = state(root)
    return f"nothing to do: {reason}" if word == "ready" and left_out(root) == without else ""


def _time(prefix: Folder, path: str) -> str:
    """Return when a file or folder was last changed, in nanoseconds; `-` if it is not there."""
    try:
        return str(os.stat(os.path.join(prefix, path)).st_mtime_ns)
    except OSError:
        return "-"


def _content(folder: Folder, name: str) -> bytes | None:
    """Return all of a file; None if there is none that can be read."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except OSError:
        return None
