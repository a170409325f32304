"""Launch condaw: the generated project carries the tool that creates its environment."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = {{cookiecutter.environment | tojson}}
UPDATE_TOOL = not {{(cookiecutter.get("_repo_dir") or "") | tojson}}  # cruft does not set it
OPTIONAL_FOLDERS = (".github/workflows", ".github", ".devcontainer", ".githooks", ".vscode")
LOCK = Path("conda-lock.yml")
HERE = Path.cwd()


def rendered_for_comparison():
    """Return whether an update tool renders the template again, in its own `tmp...` folder."""
    folder = HERE.resolve().parent
    own = folder.name.startswith(tempfile.gettempprefix())
    return UPDATE_TOOL and own and folder.parent == Path(tempfile.gettempdir()).resolve()


def create_environment():
    """Run condaw, `lock` first if the template has no lock for the channel; return the exit code."""
    condaw = [sys.executable, "-m", "condaw"]
    code = 0 if LOCK.exists() else subprocess.call([*condaw, "lock", "--pin"])
    return code or subprocess.call([*condaw, "create"])


def say(sentence, *commands):
    """Print the sentence, and the commands on lines of their own: `&&` is no PowerShell 5.1."""
    print(sentence.format(HERE), *(f"  {command}" for command in commands), sep="\n", flush=True)


def main():
    sys.stdout.reconfigure(errors="backslashreplace")  # the path may not fit the stream's encoding
    for folder in OPTIONAL_FOLDERS:
        with contextlib.suppress(OSError):  # missing, or not empty
            os.rmdir(folder)
    if rendered_for_comparison():
        say("Rendered in a temporary folder, for comparison: no environment is created.")
        return 0
    code = 0 if ENVIRONMENT == "no" else create_environment()
    lock = [] if LOCK.exists() else ["python -m condaw lock --pin"]
    steps = [f"cd {HERE.name}", *lock, "python -m condaw create"]
    if ENVIRONMENT == "no":
        say("The project is in {}, without an environment. To create it:", *steps)
    elif code == 0:
        say("Ready: {}", f"cd {HERE.name}", "python -m condaw run -- ssh-uptime HOST")
    elif ENVIRONMENT == "required":
        say("There is no environment (see above), and environment=required makes that an error.")
    else:
        say("The project is in {}, without an environment (see above). To try again:", *steps)
    return code if ENVIRONMENT == "required" else 0


if __name__ == "__main__":
    sys.exit(main())
