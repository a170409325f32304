"""Programs of the environment, run to see that they start: Python, and the smoke commands."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from condaw.base import process
from condaw.base.project import Project, python_in, smoke_commands
from condaw.environment import activation
from condaw.environment.findings import Finding, Kind
from condaw.lockfile.package import Package

IDENTITY = "import sys; print(sys.version.split()[0], sys.prefix)"


def smoke(project: Project, packages: Sequence[Package]) -> list[Finding]:
    """Run the environment's Python, then the smoke commands, all at once; return a finding for each
    failure. Raises CannotError if pyproject.toml or the activation scripts are broken."""
    findings = _python(project.prefix, packages)
    env = activation.variables(project.prefix)
    commands = smoke_commands(project)
    try:
        ended = process.run_together(commands, env=env, cwd=project.root)
    except OSError as error:
        text = f"smoke in [tool.condaw] cannot be started: {error}"
        return [*findings, Finding(Kind.SMOKE_FAILED, text)]
    for command, (output, code) in zip(commands, ended, strict=True):
        if code != 0:
            line, said = shlex.join(command), process.last_line(output)
            text = f"`{line}` in smoke of [tool.condaw] failed with exit code {code}: {said}"
            text += f"; to see more: python -m condaw run -- {line}"
            findings.append(Finding(Kind.SMOKE_FAILED, text))
    return findings


def _python(prefix: Path, packages: Sequence[Package]) -> list[Finding]:
    """Return a finding if the environment's Python does not start, or is of another version."""
    wanted = next(p.version for p in packages if p.name == "python")
    try:
        start = [str(python_in(prefix)), "-I", "-X", "utf8"]
        answer = process.run([*start, "-c", IDENTITY]).stdout.strip()
    except OSError as error:
        answer = error.strerror or "no answer"
    for line in answer.splitlines():  # a loader or a sanitizer may have a word of its own
        version, _, home = line.partition(" ")
        if version == wanted and Path(home) == prefix:
            return []
    said = process.last_line(answer)
    text = f"python {wanted} is locked, but the environment's Python answers: {said}"
    return [Finding(Kind.PYTHON_VERSION, text, "python")]
