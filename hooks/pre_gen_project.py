"""Check every answer; on a bad one say why, and how to run it again with the other answers."""

import json
import keyword
import re
import shlex
import sys
from urllib.parse import urlsplit

ANSWERS = json.loads({{cookiecutter | tojson | tojson}})
QUESTIONS = [name for name in ANSWERS if not name.startswith("_")]
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)


def is_plain(text):
    """Whether `text` fits on one line of a TOML, YAML or Python file, quoted."""
    return text.isprintable() and not set(text) & set("\"'\\`$")


def problems():
    """A sentence for each answer that will not do."""
    project, package, channel = (ANSWERS[key].strip() for key in ("project", "package", "channel"))
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", project):
        yield "project: use letters, digits, '-', '_' and '.', beginning and ending with a letter or digit (64 at most)"
    elif RESERVED.fullmatch(project):
        yield f"project: Windows has reserved the name {project}"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", package):
        yield "package: use lower-case letters, digits and '_', beginning with a letter"
    elif keyword.iskeyword(package) or keyword.issoftkeyword(package):
        yield f"package: {package} is a keyword of Python"
    elif package in sys.stdlib_module_names or package in (
        "condaw",
        "tests",
        "netmiko",
        "paramiko",
    ):
        yield f"package: {package} is already the name of another module"
    for key in ("description", "author"):
        if not ANSWERS[key].strip() or not is_plain(ANSWERS[key]):
            yield f"{key}: write one line, without quotes, backslashes, backticks or dollar signs"
    parts = urlsplit(channel)
    if "@" in parts.netloc or parts.path.startswith("/t/") or parts.query:
        yield "channel: leave out user, password and token; keep them in netrc or rattler's store"
    elif channel == "defaults" or not channel or not is_plain(channel) or " " in channel:
        yield "channel: name conda-forge, or give the URL or the absolute path of your own"


def main():
    found = list(problems())
    if not found:
        return 0
    good = [
        f"{key}={ANSWERS[key]}"
        for key in QUESTIONS
        if not any(p.startswith(f"{key}:") for p in found)
    ]
    bad = [f"{problem.split(':')[0]}=..." for problem in found]
    again = shlex.join(
        ["cookiecutter", "--no-input", ANSWERS.get("_template") or "TEMPLATE", *good]
    )
    print("\nThe project was not made:", *found, "To run it again with your answers:", sep="\n  ")
    print(f"  {again} {' '.join(bad)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
