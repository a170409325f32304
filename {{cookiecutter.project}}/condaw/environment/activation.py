"""The variables of an activated environment: for `run`, for `shell`, for smoke commands.

Source: conda's `conda/activate.py`: PATH entries, CONDA_* variables, variables of the
environment, then the scripts in etc/conda/activate.d in the order of their names.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

from condaw.base import process
from condaw.base.errors import CannotError
from condaw.base.layout import META, PYTHON

PRINT_ENVIRONMENT = "import json, os; print(); print(json.dumps(dict(os.environ)))"
SOURCE_SCRIPTS = 'python=$1; code=$2; shift 2; for s; do . "$s"; done; exec "$python" -c "$code"'
BATCH = f"""\
@for /f "tokens=2 delims=:." %%p in ('chcp') do @set "_CONDA_OLD_CHCP=%%p"
@chcp 65001 >nul
{{calls}}
@chcp %_CONDA_OLD_CHCP% >nul
@set "_CONDA_OLD_CHCP="
@set "_CONDAW_FROM="
@"%CONDA_PREFIX%\\python.exe" -X utf8 -c "{PRINT_ENVIRONMENT}"
"""
"""cmd reads scripts in the console's code page, and packages write theirs in UTF-8."""
PROMPT = """\
$env:PATH = $env:CONDAW_PATH + ';' + $env:PATH; $condaw = $function:prompt
function prompt { $env:CONDA_PROMPT_MODIFIER + (& $condaw) }
"""


def variables(prefix: Path) -> dict[str, str]:
    """Return the process environment with `prefix` activated in it. Raises CannotError if the
    environment's variables or activation scripts are broken."""
    env = dict(os.environ)
    entries = path_entries(prefix)
    others = env.get("PATH", os.defpath).split(os.pathsep)
    kept = [entry for entry in others if entry not in entries]
    env["PATH"] = os.pathsep.join([*entries, *kept])
    env["CONDA_PREFIX"] = env["CONDA_DEFAULT_ENV"] = str(prefix)
    env["CONDA_PROMPT_MODIFIER"] = f"({prefix.parent.name}) "
    env["CONDA_SHLVL"] = "1"
    # A PYTHONHOME of another Python breaks this one.
    env.pop("PYTHONHOME", None)
    # conda unsets a variable by this value. Source: its `conda/base/constants.py`.
    env = {n: v for n, v in {**env, **_own_variables(prefix)}.items() if v != "***unset***"}
    pattern = "*.bat" if os.name == "nt" else "*.sh"
    scripts = sorted((prefix / "etc" / "conda" / "activate.d").glob(pattern))
    return _after(scripts, prefix, env) if scripts else env


def path_entries(prefix: Path) -> list[str]:
    """Return the folders that an activated environment puts in front of PATH."""
    folders = ["bin"]
    if os.name == "nt":
        library = ["Library/mingw-w64/bin", "Library/usr/bin", "Library/bin"]
        folders = ["", *library, "Scripts", "bin"]
    return [str(prefix / folder) for folder in folders]


def shell_command(prefix: Path, env: dict[str, str], folder: Path) -> list[str]:
    """Return the command that starts the user's own shell, and complete `env` for it. What this
    writes into `folder` puts the environment in front of PATH again, after start-up files."""
    shell, entries = env.get("SHELL") or "/bin/sh", "$CONDAW_PATH"
    env["CONDAW_PATH"] = os.pathsep.join(path_entries(prefix))
    if os.name == "nt" and "MSYSTEM" not in env:
        return ["powershell", "-NoExit", "-Command", PROMPT]
    if os.name == "nt":  # Git for Windows, MSYS2
        shell, entries = "bash", '$(cygpath -up "$CONDAW_PATH")'
    again = f'export PATH="{entries}:$PATH"\nPS1="$CONDA_PROMPT_MODIFIER$PS1"\n'
    if Path(shell).name == "bash":
        start = folder / "bashrc"
        start.write_text(f"[ -f ~/.bashrc ] && . ~/.bashrc\n{again}", encoding="utf-8")
        return [shell, "--rcfile", start.as_posix(), "-i"]
    if Path(shell).name == "zsh":
        home = env.get("ZDOTDIR", "$HOME")
        start = folder / ".zshrc"
        start.write_text(f'[ -f "{home}/.zshrc" ] && . "{home}/.zshrc"\n{again}', encoding="utf-8")
        env["ZDOTDIR"] = str(folder)
    return [shell, "-i"]


def _own_variables(prefix: Path) -> dict[str, str]:
    """Return the variables that packages or `conda env config vars set` put into the prefix."""
    found: dict[str, str] = {}
    state = prefix / META / "state"
    files = sorted((prefix / "etc" / "conda" / "env_vars.d").glob("*.json"))
    for file in [*files, *([state] if state.exists() else [])]:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            pairs = (content.get("env_vars", {}) if file == state else content).items()
            if any("=" in name or b"\0" in os.fsencode(f"{name}{value}") for name, value in pairs):
                raise ValueError("no operating system takes such a variable")
        except (OSError, ValueError, AttributeError, RecursionError):
            cause = f"{file} does not hold environment variables as JSON"
            step = "correct it, or make the environment again: python -m condaw create --repair"
            raise CannotError(cause, step) from None
        found |= {name: str(value) for name, value in pairs}
    return found


def _after(scripts: list[Path], prefix: Path, env: dict[str, str]) -> dict[str, str]:
    """Return `env` as the packages' activation scripts leave it."""
    python = str(prefix / PYTHON)
    with tempfile.TemporaryDirectory() as folder:
        if os.name == "nt":
            batch = Path(folder, "activate.bat")
            # The folder's name comes by a variable, whatever the code page. `call` reads its line
            # twice: of two % in the variable, one is left.
            env = {**env, "_CONDAW_FROM": str(scripts[0].parent).replace("%", "%%")}
            calls = [f'@call "%_CONDAW_FROM%\\{script.name}"' for script in scripts]
            batch.write_text(BATCH.format(calls="\n".join(calls)), encoding="utf-8")
            command = ["cmd", "/d", "/c", str(batch)]
        else:
            shell = shutil.which("bash") or "sh"
            command = [shell, "-c", SOURCE_SCRIPTS, shell, python, PRINT_ENVIRONMENT]
            command += map(str, scripts)
        result = process.run(command, env=env)
    try:
        return {**json.loads(result.stdout.splitlines()[-1])}
    except (ValueError, IndexError, TypeError):
        cause = "the activation scripts in .conda/etc/conda/activate.d failed"
        raise CannotError(cause, "see what they print: conda activate ./.conda") from None
