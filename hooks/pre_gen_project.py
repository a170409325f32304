"""Check the versions and the answers; say what is wrong, and which command runs it again."""

import json
import keyword
import os
import re
import shlex
import sys

ANSWERS = json.loads({{cookiecutter | tojson | tojson}})
PROJECT = r"(?ai)(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?"
NAMES = """
bcrypt cffi colorama compression condaw cryptography exceptiongroup iniconfig invoke
markdown_it matplotlib mdurl nacl netmiko ntc_templates numpy packaging pandas paramiko
pip pluggy py pycparser pygments pytest rich ruff scipy scp serial setuptools six test
tests textfsm tomli typing_extensions wheel yaml
"""


def cookiecutter_is_old():
    try:
        from importlib.metadata import version

        return [int(part) for part in version("cookiecutter").split(".")[:2]] < [2, 6]
    except Exception:  # its version is unknown
        return False


def problems():
    """Yield a question and a sentence for each bad answer; of two, the last one counts."""
    package, channel = ANSWERS["package"], ANSWERS["channel"].strip()
    taken = {*keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names, *NAMES.split()}
    folder = re.match(r"[A-Za-z]:[/\\]|\\\\", channel)  # on Windows
    here = ANSWERS.get("_output_dir", os.devnull)  # cruft does not set it
    if not re.fullmatch(PROJECT, ANSWERS["project"]):
        yield "project", "use up to 64 letters, digits, inner '-', '_', '.'; not CON, NUL and so on"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", package):
        yield "package", "use lower-case letters, digits and '_'; begin with a letter"
    elif package in taken:
        yield "package", f"Python or the environment already has something named {package}"
    if ANSWERS["sample"] == "none" and os.listdir():  # the hook that leaves it out deletes files
        yield "project", "choose a name that no folder has yet"
    for name in ("description", "author", "channel"):
        text = ANSWERS[name]
        bad = set('"`$' if name == "channel" and folder else "\"'\\`$")
        if not text.strip() or not text.isprintable() or set(text) & bad:
            yield name, "write one line without quotes, backslashes, backticks or dollar signs"
    if re.search(r"^\w+:(//)?[^/]*(@|/t/)|\?", channel):
        yield "channel", "leave out user, password and token: they belong in .netrc"
    elif not folder and re.match(r"(?!(?i:https?|file):)[^/]*:", channel):
        yield "channel", "use an https, http or file URL, or an absolute path"
    elif channel[:1] == "." and not os.path.isdir(os.path.join(here, channel)):
        yield "channel", f"there is no {channel} where the project is put: give an absolute path"
    elif re.search(r"^~| |^defaults$", channel):
        yield "channel", "give conda-forge, or the URL or absolute path of another channel"


if __name__ == "__main__":
    if sys.version_info < (3, 10) or cookiecutter_is_old():
        sys.exit("This template needs Python 3.10 and cookiecutter 2.6, or later versions.")
    sys.stdout.reconfigure(errors="backslashreplace")  # an answer may not fit its encoding
    found = dict(problems())
    if found:
        print("\nNo project was made:", *map("  {}: {}".format, found, found.values()), sep="\n")
        command = ["cookiecutter", "--no-input", ANSWERS.get("_template") or "TEMPLATE"]
        command += [f"{n}={text}" for n, text in ANSWERS.items() if n[0] != "_" and n not in found]
        print("To try again:\n ", shlex.join(command), *map("{}=...".format, found))
        sys.exit(1)
