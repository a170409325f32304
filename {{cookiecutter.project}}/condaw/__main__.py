"""`python -m condaw COMMAND`, in words that Python 3.6 reads, so that it can say what it needs."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - that is what is to be said
    sys.stderr.write(
        "condaw: cannot start: this is Python {}.{}, and condaw needs 3.10 or later\n"
        "condaw: next: run it with a newer one, such as: python3.13 -m condaw {}\n".format(
            sys.version_info[0], sys.version_info[1], " ".join(sys.argv[1:])
        )
    )
    sys.exit(3)

from condaw import commands
from condaw.base import process

if __name__ == "__main__":
    process.stop_when_told()
    process.finish(commands.main())
