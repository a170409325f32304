"""`python -m condaw COMMAND`.

Most often `create` has nothing to do. That is answered before anything else is loaded.
"""

import sys

from condaw import console, layout, process, stamp

if __name__ == "__main__":
    words = sys.argv[1:]
    if words in (["create"], ["create", "-q"]) and (reason := stamp.nothing_to_do(layout.ROOT)):
        console.quiet = "-q" in words
        console.note(reason, console.GREEN)
        process.finish(0)

    from condaw import commands

    process.finish(commands.main())
