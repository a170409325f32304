"""Programs of the environment, run to see that they start: Python, and the smoke commands."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from condaw.base import process
from condaw.base.file_lock import HELD
from condaw.base.layout import PYTHON
from condaw.base.project import Project, smoke_commands
from condaw.environment import activation
from condaw.environment.findings import Finding, Kind
from condaw.lockfile.package import Package

IDENTITY = "import sys; print(sys.version.split()[0], sys.prefix)"


def smoke(project: Project, packages: Sequence[Package]) -> list[Finding]:
    """Run the environment's Python and the smoke commands, all at once; return a finding for each
    failure. Raises CannotError if pyproject.toml or the activation scripts are broken."""
    commands, env = smoke_commands(project), activation.variables(project.prefix)
    env[HELD] = str(project.file_lock)
    python = [str(project.prefix / PYTHON), "-I", "-X", "utf8", "-c", IDENTITY]
    try:
        ended = process.run_together([python, *commands], env=env, cwd=project.root)
    except OSError as error:
        kind = Kind.PYTHON_VERSION if error.filename == python[0] else Kind.SMOKE_FAILED
        return [Finding(kind, f"{error.filename} cannot be started: {error.strerror}")]
    findings = list(_python(project.prefix, packages, ended[0][0]))
    for command, (output, code) in zip(commands, ended[1:], strict=True):
        if code != 0:
            line, said = shlex.join(command), process.last_line(output)
            text = f"`{line}` in smoke of [tool.condaw] failed with exit code {code}: {said}"
            text += f"; to see more: python -m condaw run -- {line}"
            findings.append(Finding(Kind.SMOKE_FAILED, text))
    return findings


def _python(prefix: Path, packages: Sequence[Package], answer: str) -> Iterator[Finding]:
    """Yield a finding if the environment's Python did not start, or is of another version."""
    wanted = next(p.version for p in packages if p.name == "python")
    # A loader or a sanitizer may have a word of its own.
    answers = [line.partition(" ") for line in answer.splitlines()]
    if not any(version == wanted and Path(home) == prefix for version, _, home in answers):
        said = process.last_line(answer)
        text = f"python {wanted} is locked, but the environment's Python answers: {said}"
        yield Finding(Kind.PYTHON_VERSION, text, "python")
