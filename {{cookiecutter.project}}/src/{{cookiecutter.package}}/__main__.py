"""`python -m` this package does what the `ssh-uptime` command does."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
