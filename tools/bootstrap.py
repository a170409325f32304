"""Make `.venv` from requirements.txt: pip installs uv, uv installs the rest, checked by sha256.

Runs on the standard library alone, in a syntax that an old Python reads up to the message that it
is too old. uv takes a tenth of pip's time, and gets pip's settings.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)


def main() -> None:
    """Make `.venv`; exit with a message if that cannot be done."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        needed = "Python 3.11 to 3.14 is needed, this is {}. Name another: make PYTHON=..."
        sys.exit(needed.format(sys.version.split()[0]))
    sys.path.insert(0, str(ROOT / "{{cookiecutter.project}}"))
    from condaw.network import pip_config

    folder, requirements = ROOT / ".venv", ROOT / "requirements.txt"
    try:
        venv.create(folder, with_pip=True, clear=True)
    except (subprocess.CalledProcessError, OSError):
        sys.exit("This Python cannot make a venv. On Debian, run: apt install python3-venv")
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(scripts / "python")
    pin = re.search(r"^uv==.*(\n +--hash.*)*", requirements.read_text(encoding="utf-8"), re.M)
    assert pin, "requirements.txt has no uv"
    checked = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement"]
    with tempfile.TemporaryDirectory() as scratch:
        only_uv = Path(scratch, "uv.txt")
        only_uv.write_text(pin[0], encoding="utf-8")
        pip = [python, "-m", "pip", "install", "--quiet", "--no-compile"]
        install([*pip, *checked, str(only_uv)])
    uv = [str(scripts / "uv"), "pip", "install", "--python", python, "--no-progress", "--quiet"]
    pip_config.trust()
    install([*uv, *checked, str(requirements)], env=pip_config.uv_environment())
    (folder / "ready").touch()


def install(command: "list[str]", env: "dict[str, str] | None" = None) -> None:
    """Run an installer; end with a sentence if it fails."""
    if subprocess.run(command, env=env, check=False).returncode:
        sys.exit(
            "The tools of requirements.txt could not be installed: the lines above say why. "
            "Check the network, the proxy and pip's index settings."
        )


if __name__ == "__main__":
    main()
