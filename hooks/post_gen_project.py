"""Launch condaw: the generated project brings the tool that makes its environment."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = {{cookiecutter.environment | tojson}}
UPDATE_TOOL = not {{cookiecutter.get("_repo_dir") | tojson}}
CONDAW = [sys.executable, "-m", "condaw"]


def rendered_for_comparison():
    """Whether an update tool renders the template again in a temporary folder."""
    temporary = Path(tempfile.gettempdir()).resolve()
    return UPDATE_TOOL and temporary in Path.cwd().resolve().parents


def make_environment():
    """The exit code of condaw: lock first where no lock came along, then create."""
    if not Path("conda-lock.yml").exists():
        code = subprocess.call([*CONDAW, "lock", "--pin"])
        if code:
            return code
    return subprocess.call([*CONDAW, "create"])


def main():
    for folder in (".github/workflows", ".github"):
        if Path(folder).is_dir() and not os.listdir(folder):
            os.rmdir(folder)
    if rendered_for_comparison():
        return 0
    steps = [] if Path("conda-lock.yml").exists() else ["python -m condaw lock --pin"]
    code = 0 if ENVIRONMENT == "no" else make_environment()
    if Path("conda-lock.yml").exists():
        steps = []
    steps = " && ".join([f"cd {Path.cwd().name}", *steps, "python -m condaw create"])
    sys.stdout.flush()
    if ENVIRONMENT == "no":
        print(f"The project is in {Path.cwd()}, without an environment. To make it:\n  {steps}")
    elif code:
        print("The environment is not ready (the lines above say why). To go on from there:")
        print(f"  {steps}")
        if ENVIRONMENT == "required":
            print("The answer environment=required makes this a failure: the project is removed.")
            return code
        print(f"The project is complete and stays in {Path.cwd()}.")
    else:
        print(
            f"Ready: {Path.cwd()}\n  cd {Path.cwd().name} && python -m condaw run -- ssh-uptime HOST"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
