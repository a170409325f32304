"""What a person at a terminal sees."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from machine import ROOT

WAIT = """
import sys
from condaw.base import console
with console.waiting("fetching"):
    sys.stdin.readline()
print("done", file=sys.stderr)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")
def test_what_takes_longer_than_two_seconds_says_so_on_a_terminal_and_clears_its_line() -> None:
    terminal, screen = os.openpty()
    command = [sys.executable, "-c", WAIT]
    folder, env = ROOT / "{{cookiecutter.project}}", {**os.environ, "TERM": "xterm"}
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.PIPE, stderr=screen
    ) as child:
        os.close(screen)
        shown = b""
        while b" s\x1b" not in shown:
            shown += os.read(terminal, 1000)
        assert shown.startswith(b"\rcondaw: fetching: ")
        assert time.monotonic() - began >= 2
        child.communicate(b"\n")
    while b"done" not in shown:
        shown += os.read(terminal, 1000)
    os.close(terminal)
    assert shown.endswith(b"\r\x1b[Kdone\r\n")


def test_where_nobody_watches_only_the_result_is_printed() -> None:
    command, folder = [sys.executable, "-c", WAIT], ROOT / "{{cookiecutter.project}}"
    done = subprocess.run(
        command, cwd=folder, input="\n", capture_output=True, text=True, check=True
    )
    assert done.stderr == "done\n"
