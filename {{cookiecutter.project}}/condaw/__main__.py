"""`python -m condaw COMMAND` in the project, or `python path/to/condaw COMMAND` from anywhere.

In words that Python 3.6 reads, so that it can say what it needs.
"""

import os
import sys

if sys.version_info < (3, 10):  # noqa: UP036 - that is what is to be said
    sys.stderr.write(
        "condaw: cannot start: this is Python {}.{}, and condaw needs 3.10 or later\n"
        "condaw: next: run it with a newer one, such as: python3.13 -m condaw {}\n".format(
            sys.version_info[0], sys.version_info[1], " ".join(sys.argv[1:])
        )
    )
    sys.exit(3)

if not __package__:  # started by its path: what is on Python's path is this folder, not the project
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from condaw import commands
from condaw.base import console, process

if __name__ == "__main__":
    console.start = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    process.stop_when_told()
    process.finish(commands.main())
