"""`python -m condaw COMMAND`."""

from condaw import commands
from condaw.base import process

if __name__ == "__main__":
    process.finish(commands.main())
