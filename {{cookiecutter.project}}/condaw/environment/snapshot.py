"""What no package records: modes, links, byte-code, hashes of what has none.

Taken when the environment is made; `verify` compares with it later.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from condaw.base.layout import META
from condaw.environment.look import Now
from condaw.environment.prefix import files_of

NAME = f"{META}/condaw.manifest"  # not a `.json`: conda reads each of those as a record


@dataclass(frozen=True)
class Snapshot:
    """Paths are relative to the prefix, with forward slashes."""

    mode: int  # the mode of most files
    folder: int  # the mode of the prefix, and of most folders in it
    modes: dict[str, int]  # the mode of every other file and folder
    contents: dict[str, str]  # of what packages do not record; see `look`
    records: dict[str, str]  # see `look`


def take(now: Now) -> Snapshot:
    """Record what a new prefix is like."""
    seen, folder = now.seen, now.seen["./"].mode
    mode = Counter(seen[path].mode for path in now.files if path in seen).most_common(1)[0][0]
    usual = {True: folder, False: mode}
    modes = {path: it.mode for path, it in seen.items() if it.mode != usual[path[-1] == "/"]}
    known = {path for path, file in files_of(now.installed).items() if file.sha256}
    known |= now.records.keys()
    bare = seen.keys() - known
    contents = {path: seen[path].content for path in now.files if path in bare}
    taken = Snapshot(mode, folder, modes, contents, now.records)
    (now.prefix / NAME).write_text(json.dumps(asdict(taken)), encoding="utf-8")
    return taken


def read(prefix: Path) -> Snapshot | None:
    """Return the snapshot of `prefix`; None if it is missing or damaged."""
    try:
        found = Snapshot(**json.loads((prefix / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    mappings = (found.modes, found.contents, found.records)
    return found if all(isinstance(each, dict) for each in mappings) else None
