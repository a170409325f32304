"""Leave out what was not asked for, then launch condaw, which creates the environment."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = {{cookiecutter.environment | tojson}}
SAMPLE = {{cookiecutter.sample | tojson}}
UPDATE_TOOL = not {{(cookiecutter.get("_repo_dir") or "") | tojson}}  # cruft does not set it
NAMES = ("py", "python") if os.name == "nt" else ("python", "python3")
CONDAW = f"{next(filter(shutil.which, NAMES), 'python3')} -m condaw"  # as the user types it
HERE = Path.cwd()


def leave_out():
    """Put the blank package in the sample's place if there is to be none; remove empty folders."""
    if SAMPLE == "none":
        for folder in ("examples", "src", "tests"):
            shutil.rmtree(folder)
        os.remove("inventory.yml")
        shutil.copytree("blank", ".", dirs_exist_ok=True)
    shutil.rmtree("blank")
    for folder in (".github/workflows", ".github", ".devcontainer", ".githooks", ".vscode"):
        with contextlib.suppress(OSError):  # missing, or not empty
            os.rmdir(folder)


def main():
    sys.stdout.reconfigure(errors="backslashreplace")  # the path may not fit the stream's encoding
    leave_out()
    # An update tool renders the template again, in a `tmp...` folder of its own.
    temporary = Path(tempfile.gettempdir()).resolve().glob(f"{tempfile.gettempprefix()}*")
    if UPDATE_TOOL and HERE.resolve().parent in temporary:
        print("Rendered in a temporary folder, for comparison: no environment is created.")
        return
    # The template has no lock for a channel of one's own.
    steps = ["create"] if Path("conda-lock.yml").exists() else ["lock --pin", "create"]
    while steps and ENVIRONMENT != "no":
        if code := subprocess.call([sys.executable, "-m", "condaw", *steps[0].split()]):
            break
        del steps[0]
    if not steps:
        text = f"Ready: {HERE}"
        steps = [f"run -- {'pytest' if SAMPLE == 'none' else 'ssh-uptime HOST'}"]
    elif ENVIRONMENT == "required":
        print("There is no environment (see above), and environment=required makes that an error.")
        sys.exit(code)
    else:
        text = f"The project is in {HERE}, without an environment. To create it:"
    # On lines of their own: `&&` is no PowerShell 5.1.
    print(text, f"  cd {HERE.name}", *(f"  {CONDAW} {step}" for step in steps), sep="\n")


if __name__ == "__main__":
    main()
