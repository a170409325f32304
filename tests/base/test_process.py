"""How programs are found, started and waited for."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from condaw.base import process
from machine import ROOT, Machine

PARENT = """
import os, sys
from condaw.base import process
code = process.attached([sys.executable, "-c", sys.argv[1]], dict(os.environ))
print("the child ended with", code)
"""
CHILD = "import os, signal; os.kill(os.getppid(), signal.SIGINT); raise SystemExit(7)"


def test_a_program_is_looked_up_on_the_path_of_the_environment_that_it_gets(
    tmp_path: Path,
) -> None:
    """Windows looks on that of the process that starts it."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    env = {"PATH": str(tmp_path)}
    assert process.resolved(["tool", "word"], env) == [str(tool), "word"]
    assert process.resolved(["missing", "word"], env) == ["missing", "word"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows has no signal to send")
def test_ctrl_c_is_for_the_program_alone(machine: Machine) -> None:
    folder = ROOT / "{{cookiecutter.project}}"
    done = machine.run(sys.executable, "-c", PARENT, CHILD, cwd=folder)
    assert done.stdout == "the child ended with 7\n", done.stderr
