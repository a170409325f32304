"""Which tests need Unix, or Linux, and why: on other platforms they are left out.

A key is a file of tests, or a folder with a slash at its end.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

NO_WINDOWS = {
    "base/test_project.py": "compares paths of POSIX",
    "environment/test_activation.py": "runs activation scripts with sh",
    "environment/test_bytecode.py": "makes symlinks, and looks for Python in bin",
    "environment/test_conda_meta.py": "looks for Python in bin",
    "environment/test_conda_packages.py": "limits the size of files with setrlimit",
    "environment/test_create.py": "stops condaw with signals",
    "environment/test_verify.py": "changes modes and symlinks",
    "lockfile/test_solve.py": "looks for programs in bin",
    "network/": "makes certificates with openssl, and looks for programs in bin",
    "sample/": "starts OpenSSH's server",
    "test_bundle.py": "takes the network away with unshare, and looks for Python in bin",
    "test_channel.py": "pretends to be Pythons of POSIX",
    "test_commands.py": "types into a terminal of POSIX",
    "test_concurrency.py": "stops condaw with signals",
    "test_containers.py": "runs a Dockerfile's commands with sh",
    "test_cruft.py": "runs git's hooks with sh",
    "test_docs.py": "types the commands of the pages into bash",
    "test_doctor.py": "looks for Python in bin",
    "test_editors.py": "runs direnv and git's hooks with sh",
    "test_engine.py": "looks for Python in bin",
    "test_faults.py": "takes rights and room away with POSIX's means",
    "test_generated_ci.py": "runs CI's commands with bash",
    "test_hostile_input.py": "makes symlinks",
    "test_other_platforms.py": "takes Windows and macOS for other platforms",
    "test_try.py": "looks for caches where Linux has them",
}
NO_MACOS = {
    "sample/": "has its hosts at addresses of 127.0.0.0/8, of which macOS has one",
    "test_containers.py": "runs the commands of a Linux image",
    "test_docs.py": "compares with the output of Linux's programs",
    "test_try.py": "looks for caches where Linux has them",
}


LEFT_OUT = NO_WINDOWS if os.name == "nt" else NO_MACOS if sys.platform == "darwin" else {}


def is_left_out(path: Path) -> bool:
    """Return whether this platform cannot run the tests of a file or folder."""
    name = path.relative_to(Path(__file__).parent).as_posix()
    return name in LEFT_OUT or f"{name}/" in LEFT_OUT
