"""Check the versions and the answers; say what is wrong, and which command runs it again."""

import json
import keyword
import os
import re
import shlex
import sys

ANSWERS = json.loads({{cookiecutter | tojson | tojson}})
PROJECT = r"(?ai)(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?"
NAMES = """bcrypt cffi colorama compression condaw cryptography exceptiongroup iniconfig invoke
markdown_it matplotlib mdurl nacl netmiko ntc_templates numpy packaging pandas paramiko pip pluggy
py pycparser pygments pytest rich ruff scipy scp serial setuptools six test tests textfsm tomli
typing_extensions wheel yaml"""


def cookiecutter_is_old():
    from importlib.metadata import distributions

    found = next(iter(distributions(name="cookiecutter")), None)  # none: its version is unknown
    return bool(found and re.match(r"[01]\.|2\.[0-5]\b", str(found.version)))


def problems():
    """Yield a question and a sentence for each bad answer; of two, the last one counts."""
    package, channel = ANSWERS["package"], ANSWERS["channel"].strip()
    taken = {*keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names, *NAMES.split()}
    windows = re.match(r"[A-Za-z]:[/\\]|\\\\", channel)  # a folder there
    here = ANSWERS.get("_output_dir", os.devnull)  # cruft does not set it
    missing = channel[:1] == "." and not os.path.isdir(os.path.join(here, channel))
    if not re.fullmatch(PROJECT, ANSWERS["project"]):
        yield "project", "use up to 64 letters, digits, inner '-', '_', '.'; not CON, NUL and so on"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", package) or package in taken:
        yield "package", "use a-z, then also 0-9 and '_'; no name that Python or a dependency has"
    if ANSWERS["sample"] == "none" and os.listdir():  # the hook that leaves it out deletes files
        yield "project", "choose a name that no folder has yet"
    for name in ("description", "author", "channel"):
        text = ANSWERS[name]
        bad = set('"`$' if name == "channel" and windows else "\"'\\`$")
        if not text.strip() or not text.isprintable() or set(text) & bad:
            yield name, "write one line without quotes, backslashes, backticks or dollar signs"
    if re.search(r"^\w+:(//)?[^/]*(@|/t/)|\?", channel):
        yield "channel", "leave out user, password and token: they belong in .netrc"
    elif missing or re.match(r"~|.* |defaults$|(?!(?i:(https?|file):|[a-z]:[/\\]))[^/]*:", channel):
        yield "channel", "give conda-forge, an https, http or file URL, or an absolute path"


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
