"""Whether the environment is ready, from copies of all inputs that decide what it holds.

Compared each time `status` or `create` starts, so without pathlib, json or hashlib, which take
longer to load than the comparison takes.
"""

import os

from condaw.base import layout
from condaw.base.layout import META, PREFIX, ROOT

FORMAT = "condaw 3"
MARK = f"{META}/condaw"
"""Says that condaw made the prefix, and for which path. Not a `.json`, which conda would read."""
INPUTS = (layout.LOCK, layout.ENVIRONMENT, layout.PYPROJECT)

Folder = str | os.PathLike[str]


def inputs(root: Folder) -> dict[str, bytes]:
    """Return the content of each input at `root`, by name. To be called before any of them is read
    for another purpose."""
    contents = {name: _content(root, name) for name in INPUTS}
    return {name: content for name, content in contents.items() if content is not None}


def write(folder: Folder, prefix: Folder, made_from: dict[str, bytes]) -> None:
    """Record in `folder`, which will become `prefix`, the inputs that it was made from."""
    mark = b"%s\n%s\n" % (FORMAT.encode(), os.fsencode(prefix))
    for name, content in {**made_from, "condaw": mark}.items():
        with open(os.path.join(folder, META, name), "wb") as out:
            out.write(content)


def state(root: Folder = ROOT) -> tuple[str, str]:
    """Return `ready`, `missing`, `foreign`, `broken` or `stale`, and a sentence that says why."""
    prefix = os.path.join(root, PREFIX)
    if not os.path.lexists(prefix):
        return "missing", "there is no environment yet"
    if not os.path.lexists(os.path.join(prefix, MARK)):
        return "foreign", f"{prefix} was not made by condaw"
    mark = os.fsdecode(_content(prefix, MARK) or b"").split("\n")
    if not mark[0].startswith("condaw ") or len(mark) != 3:
        return "broken", "the environment's record of what it was made from cannot be read"
    if not os.path.exists(os.path.join(prefix, layout.PYTHON)):
        return "broken", "the environment has no Python"
    if mark[1] != prefix:
        return "stale", f"it was made for {mark[1]}, and the project has moved"
    changed = [] if mark[0] == FORMAT else ["condaw"]
    changed += [n for n in INPUTS if _content(root, n) != _content(os.path.join(prefix, META), n)]
    if changed:
        return "stale", f"{changed[0]} has changed since it was made"
    return "ready", "the environment is what conda-lock.yml says"


def nothing_to_do(root: Folder = ROOT) -> str:
    """Return why `create` has nothing to do; empty if it has, or if a killed run left something."""
    if any(os.path.lexists(os.path.join(root, name)) for name in (layout.STAGING, layout.RETIRED)):
        return ""
    word, reason = state(root)
    return f"nothing to do: {reason}" if word == "ready" else ""


def identity(root: Folder = ROOT) -> int | None:
    """Return what tells an environment from the one that replaces it: its folder's inode."""
    prefix = os.path.join(root, PREFIX)
    return os.stat(prefix).st_ino if os.path.exists(prefix) else None


def _content(folder: Folder, name: str) -> bytes | None:
    """Return all of a file; None if there is none that can be read."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except OSError:
        return None
