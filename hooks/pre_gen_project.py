"""Check every answer; on a bad one say why, and how to run it again with the other answers."""

import json
import keyword
import re
import shlex
import sys

ANSWERS = json.loads({{cookiecutter | tojson | tojson}})
NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"
RESERVED = r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?"  # by Windows
TAKEN = {*sys.stdlib_module_names, *keyword.kwlist, *keyword.softkwlist}
TAKEN |= {"condaw", "netmiko", "paramiko", "pytest", "rich", "tests", "yaml"}


def is_plain(text):
    """Whether `text` fits between quotes, on one line of a TOML, YAML or Python file."""
    return text.strip() and text.isprintable() and not set(text) & set("\"'\\`$")


def problems():
    """A question and a sentence for each answer that will not do."""
    project, package, channel = (ANSWERS[name] for name in ("project", "package", "channel"))
    if not re.fullmatch(NAME, project):
        yield "project", "use letters, digits, '-', '_', '.'; at most 64; first and last no sign"
    elif re.fullmatch(RESERVED, project):
        yield "project", f"Windows has reserved the name {project}"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", package):
        yield "package", "use lower-case letters, digits and '_', beginning with a letter"
    elif package in TAKEN:
        yield "package", f"Python, or a library that the project uses, has the name {package}"
    for name in ("description", "author"):
        if not is_plain(ANSWERS[name]):
            yield name, "write one line without quotes, backslashes, backticks or dollar signs"
    scheme, colon, rest = channel.strip().partition(":")
    host, _, path = rest.removeprefix("//").partition("/")
    if "@" in host or path.startswith("t/") or "?" in rest:
        yield "channel", "leave out user, password and token: they belong into netrc"
    elif colon and scheme.lower() not in ("https", "http", "file"):
        yield "channel", f"it is not fetched by {scheme}: use https, http or file"
    elif not is_plain(channel) or " " in channel.strip() or channel.strip() == "defaults":
        yield "channel", "name conda-forge, or give the URL or the absolute path of your own"


def main():
    found = dict(problems())
    if found:
        print("\nThe project was not made:")
        print(*(f"  {name}: {problem}" for name, problem in found.items()), sep="\n")
        good = {name: text for name, text in ANSWERS.items() if name[0] != "_"}
        words = [f"{name}={text}" for name, text in good.items() if name not in found]
        command = ["cookiecutter", "--no-input", ANSWERS.get("_template") or "TEMPLATE", *words]
        print("To run it again with your answers:")
        print(f"  {shlex.join(command)} {' '.join(f'{name}=...' for name in found)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
