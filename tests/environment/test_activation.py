"""Activation gives what `conda activate` gives: PATH, variables, the packages' own scripts."""

from __future__ import annotations

import json
import os
from pathlib import Path

from machine import Machine


def activated(project: Path, machine: Machine, **extra: str) -> dict[str, str]:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    done = machine.condaw(project, "run", "--", "python", "-c", code, **extra)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_environment_comes_first_on_path_and_only_once(shown: Path, machine: Machine) -> None:
    prefix = shown / ".conda"
    env = activated(shown, machine, PATH=f"/usr/bin:{prefix / 'bin'}:/bin")
    assert env["PATH"].split(os.pathsep) == [str(prefix / "bin"), "/usr/bin", "/bin"]
    assert env["CONDA_PREFIX"] == str(prefix)


def test_a_foreign_pythonhome_does_not_break_it(shown: Path, machine: Machine) -> None:
    done = machine.condaw(shown, "status")
    assert done.returncode == 0
    assert "PYTHONHOME" not in activated(shown, machine)


def test_variables_and_scripts_of_packages_take_effect_and_a_broken_script_is_a_sentence(
    small_made: Path, machine: Machine
) -> None:
    prefix = small_made / ".conda"
    (prefix / "etc" / "conda" / "env_vars.d").mkdir(parents=True)
    (prefix / "etc" / "conda" / "env_vars.d" / "a.json").write_text('{"FROM_PACKAGE": "one"}')
    (prefix / "conda-meta" / "state").write_text('{"env_vars": {"FROM_STATE": "two"}}')
    scripts = prefix / "etc" / "conda" / "activate.d"
    scripts.mkdir()
    (scripts / "10-first.sh").write_text('export ORDER="first $FROM_STATE"\necho noise\n')
    (scripts / "20-second.sh").write_text('export ORDER="$ORDER second"\nexport LINES_="a\nb"\n')
    env = activated(small_made, machine)
    assert env["FROM_PACKAGE"] == "one"
    assert env["ORDER"] == "first two second"
    assert env["LINES_"] == "a\nb"
    (scripts / "broken.sh").write_text("exit 9\n")
    done = machine.condaw(small_made, "run", "--", "true")
    assert done.returncode == 3
    assert "the activation scripts in .conda/etc/conda/activate.d failed" in done.stderr
    assert "Traceback" not in done.stderr
