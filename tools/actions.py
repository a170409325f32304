"""Pin the actions of generated workflows as this repository's own are pinned.

Dependabot keeps those of `.github` fresh. It cannot read the generated ones, which hold Jinja.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USES = re.compile(r"uses: ([\w./-]+)@([0-9a-f]{40} # v[\d.]+)")


def pins(folder: Path) -> dict[str, str]:
    """Return the commit and version of each action in the workflows of `folder`."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*"))]
    return dict(USES.findall("\n".join(texts)))


def copy(own: Path, generated: Path) -> None:
    """Write the pins of the workflows in `own` into those in `generated`."""
    fresh = pins(own)
    for path in generated.glob("*"):
        text = path.read_text(encoding="utf-8")
        text = USES.sub(lambda found: f"uses: {found[1]}@{fresh.get(found[1], found[2])}", text)
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    workflows = Path(".github", "workflows")
    copy(ROOT / workflows, ROOT / "{{cookiecutter.project}}" / workflows)
