"""What differs between two locks, as data and as text."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from conda_lock.lockfile.v2prelim.models import LockedDependency


@dataclass(frozen=True)
class Change:
    """One package that differs between two locks, on `platforms`."""

    name: str
    old: str | None  # the version; None if the package was not there
    new: str | None
    platforms: tuple[str, ...]
    everywhere: bool  # whether these are all the platforms of the locks

    @property
    def kind(self) -> str:
        """Return `added`, `removed` or `changed`."""
        return "added" if not self.old else "removed" if not self.new else "changed"


def compare(old: Sequence[LockedDependency], new: Sequence[LockedDependency]) -> list[Change]:
    """Return what differs between the entries of two locks, the same step on platforms as one."""
    before = {(entry.name, entry.platform): entry for entry in old}
    after = {(entry.name, entry.platform): entry for entry in new}
    everywhere = {platform for _, platform in {*before, *after}}
    steps: dict[tuple[str, str | None, str | None], list[str]] = defaultdict(list)
    for name, platform in sorted({*before, *after}):
        was, becomes = before.get((name, platform)), after.get((name, platform))
        step = (was.version if was else None, becomes.version if becomes else None)
        if was and becomes and step[0] == step[1]:
            if was.hash == becomes.hash:
                continue
            step = (was.version, "another build")
        steps[(name, *step)].append(platform)
    return [
        Change(*step, tuple(platforms), len(platforms) == len(everywhere))
        for step, platforms in steps.items()
    ]


def as_text(changes: Sequence[Change]) -> str:
    """Return a line for each change, and a count."""
    signs = {"added": "+", "removed": "-", "changed": "~"}
    lines, kinds = [], Counter(change.kind for change in changes)
    for change in changes:
        step = " -> ".join(filter(None, [change.old, change.new]))
        where = "" if change.everywhere else f"  ({', '.join(change.platforms)})"
        lines.append(f"{signs[change.kind]} {change.name} {step}{where}")
    kinds = Counter(change.kind for change in changes)
    count = ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds)) or "nothing changed"
    return "\n".join([*lines, count])
