"""Launch condaw: the generated project brings the tool that makes its environment."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = {{cookiecutter.environment | tojson}}
UPDATE_TOOL = not {{(cookiecutter.get("_repo_dir") or "") | tojson}}  # cruft leaves it out
LOCK = Path("conda-lock.yml")
HERE = Path.cwd()


def rendered_for_comparison():
    """Whether an update tool renders the template again, in a `tmp...` folder of its own."""
    folder = HERE.resolve().parent
    own = folder.name.startswith(tempfile.gettempprefix())
    return UPDATE_TOOL and own and folder.parent == Path(tempfile.gettempdir()).resolve()


def make_environment():
    """The exit code of condaw: lock first where no lock came along, then create."""
    condaw = [sys.executable, "-m", "condaw"]
    code = 0 if LOCK.exists() else subprocess.call([*condaw, "lock", "--pin"])
    return code or subprocess.call([*condaw, "create"])


def say(sentence, *commands):
    """Print the sentence, and the commands as they are typed where the project's folder is."""
    print(sentence.format(HERE))
    if commands:
        print("  " + " && ".join([f"cd {HERE.name}", *commands]))


def main():
    for folder in (".github/workflows", ".github"):
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
    if rendered_for_comparison():
        say("Rendered in a temporary folder, for comparison: no environment is made.")
        return 0
    code = 0 if ENVIRONMENT == "no" else make_environment()
    rest = [*([] if LOCK.exists() else ["python -m condaw lock --pin"]), "python -m condaw create"]
    if ENVIRONMENT == "no":
        say("The project is in {}, without an environment. To make it:", *rest)
    elif code == 0:
        say("Ready: {}", "python -m condaw run -- ssh-uptime HOST")
    else:
        say("The environment is not ready (the lines above say why). To go on from there:", *rest)
        if ENVIRONMENT == "required":
            say("The answer environment=required makes this a failure: the project is removed.")
            return code
        say("The project is complete and stays in {}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
