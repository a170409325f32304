"""How programs are found, started and waited for."""

from __future__ import annotations

import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
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
GUEST = """
import socket, sys
print(socket.create_connection(("127.0.0.1", int(sys.argv[1]))).recv(2).decode(), end="")
sys.exit(int(sys.argv[2]))
"""
CHILD = "import os, signal; os.kill(os.getppid(), signal.SIGINT); raise SystemExit(7)"


def test_a_program_is_looked_up_on_the_path_of_the_environment_that_it_gets(
    tmp_path: Path,
) -> None:
    """Windows looks on that of the process that starts it."""
    tool = tmp_path / ("tool.bat" if os.name == "nt" else "tool")
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    env = {"PATH": str(tmp_path)}
    found, *words = process.resolved(["tool", "word"], env)
    assert (Path(found), words) == (tool, ["word"])
    assert process.resolved(["missing", "word"], env) == ["missing", "word"]


def test_commands_that_run_together_can_wait_for_each_other(tmp_path: Path) -> None:
    def meet(server: socket.socket) -> None:
        peers = [server.accept()[0] for _ in range(2)]
        for peer in peers:
            peer.sendall(b"go")
            peer.close()

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        met = pool.submit(meet, server)
        guest = [sys.executable, "-c", GUEST, str(server.getsockname()[1])]
        commands, env = [[*guest, "0"], [*guest, "7"]], dict(os.environ)
        ended = process.run_together(commands, env=env, cwd=tmp_path)
        met.result()
    assert ended == [("go", 0), ("go", 7)]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows has no signal to send")
def test_ctrl_c_is_for_the_program_alone(machine: Machine) -> None:
    folder = ROOT / "{{cookiecutter.project}}"
    done = machine.run(sys.executable, "-c", PARENT, CHILD, cwd=folder)
    assert done.stdout == "the child ended with 7\n", done.stderr
