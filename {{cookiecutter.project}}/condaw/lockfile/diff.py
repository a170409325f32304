"""What differs between two locks, as text."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from conda_lock.lockfile.v2prelim.models import LockedDependency

KINDS = {"+": "added", "~": "changed", "-": "removed"}


def text(old: Sequence[LockedDependency], new: Sequence[LockedDependency]) -> str:
    """Return a line for each package that differs, with its platforms if not all, and a count."""
    before = {(entry.name, entry.platform): entry for entry in old}
    after = {(entry.name, entry.platform): entry for entry in new}
    everywhere = {platform for _, platform in {*before, *after}}
    steps: dict[str, list[str]] = defaultdict(list)
    for name, platform in sorted({*before, *after}):
        was, becomes = before.get((name, platform)), after.get((name, platform))
        if not was or not becomes:
            step = f"- {name} {was.version}" if was else f"+ {name} {becomes and becomes.version}"
        elif was.version != becomes.version:
            step = f"~ {name} {was.version} -> {becomes.version}"
        elif was.hash != becomes.hash:
            step = f"~ {name} {was.version} -> another build"
        else:
            continue
        steps[step].append(platform)
    counted = Counter(KINDS[step[0]] for step in steps)
    count = ", ".join(f"{counted[kind]} {kind}" for kind in sorted(counted)) or "nothing changed"
    lines = [
        step if len(platforms) == len(everywhere) else f"{step}  ({', '.join(platforms)})"
        for step, platforms in steps.items()
    ]
    return "\n".join([*lines, count])
