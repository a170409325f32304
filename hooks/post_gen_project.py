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
OPTIONAL_FOLDERS = (".github/workflows", ".github", ".devcontainer", ".githooks", ".vscode")
NAMES = ("py", "python") if os.name == "nt" else ("python", "python3")
CONDAW = f"{next(filter(shutil.which, NAMES), 'python3')} -m condaw"  # as the user types it
LOCK, HERE = Path("conda-lock.yml"), Path.cwd()


def leave_out():
    """Put the blank package in the sample's place if there is to be none; remove empty folders."""
    if SAMPLE == "none":
        for folder in ("examples", "src", "tests"):
            shutil.rmtree(folder)
        os.remove("inventory.yml")
        shutil.copytree("blank", ".", dirs_exist_ok=True)
    shutil.rmtree("blank")
    for folder in OPTIONAL_FOLDERS:
        with contextlib.suppress(OSError):  # missing, or not empty
            os.rmdir(folder)


def rendered_for_comparison():
    """Return whether an update tool renders the template again, in its own `tmp...` folder."""
    folder = HERE.resolve().parent
    own = folder.name.startswith(tempfile.gettempprefix())
    return UPDATE_TOOL and own and folder.parent == Path(tempfile.gettempdir()).resolve()


def condaw(*words):
    """Run condaw with this Python; return its exit code."""
    return subprocess.call([sys.executable, "-m", "condaw", *words])


def main():
    sys.stdout.reconfigure(errors="backslashreplace")  # the path may not fit the stream's encoding
    leave_out()
    if rendered_for_comparison():
        print("Rendered in a temporary folder, for comparison: no environment is created.")
        return 0
    code = 0
    if ENVIRONMENT != "no":  # the template has no lock for a channel of one's own
        code = (0 if LOCK.exists() else condaw("lock", "--pin")) or condaw("create")
    steps = [*([] if LOCK.exists() else [f"{CONDAW} lock --pin"]), f"{CONDAW} create"]
    if ENVIRONMENT == "no":
        text = f"The project is in {HERE}, without an environment. To create it:"
    elif code == 0:
        text = f"Ready: {HERE}"
        steps = [f"{CONDAW} run -- {'pytest' if SAMPLE == 'none' else 'ssh-uptime HOST'}"]
    elif ENVIRONMENT == "required":
        print("There is no environment (see above), and environment=required makes that an error.")
        return code
    else:
        text = f"The project is in {HERE}, without an environment (see above). To try again:"
    # On lines of their own: `&&` is no PowerShell 5.1.
    print(text, *(f"  {step}" for step in [f"cd {HERE.name}", *steps]), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
