"""The command line: commands, their options, their help."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from condaw import __version__

EXIT_CODES = """\
exit codes:
  0  fine
  1  drifted: the environment, or the lock, is not what it should be
  2  usage: the command line is wrong
  3  cannot: the work could not be done; the last lines say why and what to do
  `run` and `shell` end with the exit code of what they ran.
"""


def command_line(commands: Sequence[Callable[..., int]]) -> argparse.ArgumentParser:
    """The parser for `commands`, whose docstrings are a summary and examples."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m condaw",
        description="This project's conda environment: made from conda-lock.yml, and proved.",
        epilog=EXIT_CODES,
        formatter_class=as_written,
    )
    parser.add_argument("--version", action="version", version=f"condaw {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for function in commands:
        summary, _, examples = (function.__doc__ or "").partition("\n\n")
        command = subparsers.add_parser(
            function.__name__,
            help=summary,
            description=summary,
            epilog=textwrap.dedent(examples),
            formatter_class=as_written,
        )
        command.set_defaults(command=function)
        _add_options(command, function.__name__)
    return parser


def _add_options(command: argparse.ArgumentParser, verb: str) -> None:
    add = command.add_argument
    add("-q", "--quiet", action="store_true", help="only failures speak")
    if verb in ("verify", "status", "lock", "doctor"):
        add("--json", action="store_true", help="print the result as JSON")
    if verb == "create":
        add("--repair", action="store_true", help="make it again even if it looks right")
        add("--bundle", type=Path, metavar="FILE", help="take everything from this bundle")
    if verb == "bundle":
        add("file", type=Path, metavar="FILE", help="the bundle to write")
        add("--platform", nargs="+", metavar="SUBDIR", help="for these, not for this machine")
    if verb == "lock":
        one = command.add_mutually_exclusive_group().add_argument
        one("--check", action="store_true", help="only say whether it is fresh")
        one("--pin", action="store_true", help="and write exact versions to environment.yml")
        one("--update", nargs="+", metavar="NAME", help="move only these and what they drag")
        add("--platform", nargs="+", metavar="SUBDIR", help="solve only for these")
        add("--markdown", action="store_true", help="print the changes for a pull request")
    if verb == "completion":
        add("shell", choices=("bash", "zsh", "fish"))
    if verb == "run":
        add("words", nargs=argparse.REMAINDER, metavar="-- CMD")


def long_options(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """The long options of each command."""
    [verbs] = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    return {
        verb: [word for word in command._option_string_actions if word.startswith("--")]
        for verb, command in verbs.items()
    }
