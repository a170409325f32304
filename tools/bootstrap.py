"""Make `.venv` from requirements.txt: pip installs uv, uv installs the rest, checked by sha256.

Runs on the standard library alone. uv takes a tenth of pip's time, and gets pip's settings.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "{{cookiecutter.project}}"))

from condaw.network import pip_config  # noqa: E402 - found through the line above

SUPPORTED = (3, 11), (3, 14)


def main() -> None:
    """Make `.venv`; exit with a message if this Python cannot."""
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        sys.exit(
            f"Python 3.11 to 3.14 is needed, this is {sys.version.split()[0]}. "
            "Name another: make PYTHON=..."
        )
    folder, requirements = ROOT / ".venv", ROOT / "requirements.txt"
    try:
        venv.create(folder, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        sys.exit("This Python cannot make a venv. On Debian, run: apt install python3-venv")
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(scripts / "python")
    pin = re.search(r"^uv==.*(\n +--hash.*)*", requirements.read_text(encoding="utf-8"), re.M)
    assert pin, "requirements.txt has no uv"
    with tempfile.TemporaryDirectory() as scratch:
        only_uv = Path(scratch, "uv.txt")
        only_uv.write_text(pin[0], encoding="utf-8")
        pip = [python, "-m", "pip", "install", "--quiet", "--no-compile"]
        checked = ["--require-hashes", "--only-binary", ":all:", "--requirement"]
        subprocess.run([*pip, "--no-deps", *checked, str(only_uv)], check=True)
    uv = [str(scripts / "uv"), "pip", "install", "--python", python, "--no-progress", "--quiet"]
    command = [*uv, "--no-deps", *checked, str(requirements)]
    subprocess.run(command, check=True, env=pip_config.uv_environment())
    (folder / "ready").touch()


if __name__ == "__main__":
    main()
