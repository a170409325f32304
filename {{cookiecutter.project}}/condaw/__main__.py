"""`python -m condaw COMMAND`: parses the command line and maps every outcome to one exit code."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from condaw import __version__, console, process, stamp
from condaw.outcome import CANNOT, DRIFTED, FINE, CannotError, Finding, redacted
from condaw.project import Project, this_project

if TYPE_CHECKING:
    from condaw.lock import Package

EXIT_CODES = """\
exit codes:
  0  fine
  1  drifted: the environment, or the lock, is not what it should be
  2  usage: the command line is wrong
  3  cannot: the work could not be done; the last lines say why and what to do
  `run` and `shell` end with the exit code of what they ran.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    console.quiet = options.quiet
    try:
        return int(options.command(this_project(), options))
    except CannotError as error:
        console.warn(f"cannot {options.verb}: {error.cause}", console.RED)
        console.warn(f"next: {error.next_step}")
        return CANNOT
    except KeyboardInterrupt:
        console.warn("stopped; nothing is half done")
        return CANNOT
    except Exception as error:
        if os.environ.get("CONDAW_DEBUG"):
            raise
        text = redacted(f"{type(error).__name__}: {error}")
        console.warn(f"cannot {options.verb}: {text}", console.RED)
        console.warn("next: run it again with CONDAW_DEBUG=1, which shows where, and report that")
        return CANNOT


def create(project: Project, options: argparse.Namespace) -> int:
    """Make the environment what the lock says; nothing to do costs nothing.

    examples:
      python -m condaw create                      make it, or see that it is made
      python -m condaw create --repair             make it again, from checked packages
      python -m condaw create --bundle FILE        without a network
    """
    state, reason = stamp.state(project)
    if state == "ready" and not options.repair and not project.has_leftovers():
        console.note(f"nothing to do: {reason}", console.GREEN)
        return FINE
    with _archives(project, options.bundle) as archives:
        packages = _locked(project)
        from condaw import install, specs

        if unmet := specs.unmet(project, packages):
            raise CannotError("; ".join(unmet[:3]), "run: python -m condaw lock")
        install.create(project, packages, repair=options.repair, archives=archives)
    from condaw.verify import python_version, smoke

    findings = [*python_version(project.prefix, packages), *smoke(project)]
    return _report(findings, f"created and verified {project.prefix}", as_json=False)


def verify(project: Project, options: argparse.Namespace) -> int:
    """Compare the environment with the lock, file by file, and run the smoke commands.

    examples:
      python -m condaw verify                      after an accident, or before a release
    """
    state, reason = stamp.state(project)
    if state in ("missing", "foreign"):
        raise CannotError(reason, "run: python -m condaw create")
    packages = _locked(project)
    from condaw import specs
    from condaw import verify as proof

    findings = [Finding("lock-stale", text) for text in specs.unmet(project, packages)]
    findings += proof.prove(project, packages)
    good = f"{project.prefix} is what conda-lock.yml says: {len(packages)} packages"
    return _report(findings, good, as_json=options.json)


def status(project: Project, options: argparse.Namespace) -> int:
    """Say in milliseconds whether the environment is there and made from today's lock.

    examples:
      python -m condaw status                      is it up to date?
      python -m condaw status -q                   in a git hook: speaks if something is due
    """
    state, reason = stamp.state(project)
    if options.json:
        print(json.dumps({"state": state, "reason": reason, "prefix": str(project.prefix)}))
    elif state != "ready":
        _print(state, f": {reason}; run: python -m condaw create", good=False)
    elif not options.quiet:
        _print(state, f": {reason}", good=True)
    return FINE if state == "ready" else DRIFTED


def lock(project: Project, options: argparse.Namespace) -> int:
    """Solve environment.yml into conda-lock.yml, or check that the lock is fresh.

    examples:
      python -m condaw lock                        after a change of environment.yml
      python -m condaw lock --update openssl       a security fix, and no more
      python -m condaw lock --check                in CI: was the lock forgotten?
    """
    from condaw import engine

    engine.load(engine.ENGINE, engine.RELOCK)
    from condaw import relock
    from condaw.changes import as_markdown, as_text

    if options.check:
        stale = relock.stale_platforms(project)
        text = "conda-lock.yml was made from another environment.yml; run: python -m condaw lock"
        findings = [Finding("lock-stale", f"{platform}: {text}") for platform in stale]
        good = "conda-lock.yml is fresh: it was made from this environment.yml"
        return _report(findings, good, as_json=options.json)
    if options.pin:
        changes = relock.pin(project)
    else:
        changes = relock.relock(project, options.update or (), options.platform or ())
    if options.json:
        print(json.dumps([change.as_dict() for change in changes], indent=1))
    else:
        print(as_markdown(changes) if options.markdown else as_text(changes))
    return FINE


def bundle(project: Project, options: argparse.Namespace) -> int:
    """Put everything that the lock names into one file, for a machine without a network.

    examples:
      python -m condaw bundle FILE                 for machines like this one
      python -m condaw bundle FILE --platform linux-64 osx-arm64
    """
    from condaw import engine

    engine.load(engine.ENGINE)
    from condaw import bundle, lock
    from condaw.install import this_platform

    channels = lock.channel_urls(project)
    platforms = options.platform or [this_platform()]
    packages = [p for name in platforms for p in lock.read(project.lock_file, name, channels)]
    bundle.write(project, options.file, packages)
    console.note(f"wrote {options.file}, {options.file.stat().st_size / 1e6:.0f} MB")
    return FINE


def run(project: Project, options: argparse.Namespace) -> int:
    """Become the given command, in the activated environment.

    examples:
      python -m condaw run -- pytest -x            the tests
      python -m condaw run -- python               a Python prompt
    """
    from condaw import activation

    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        _parser().error("run: name the command to run, as in: run -- pytest")
    env = activation.variables(_prefix(project))
    try:
        process.become(words, env)
    except OSError as error:
        raise CannotError(f"{words[0]}: {error.strerror}", "see that it is installed") from None


def shell(project: Project, options: argparse.Namespace) -> int:
    """Start the user's shell in the activated environment.

    examples:
      python -m condaw shell                       leave it with: exit
    """
    import tempfile

    from condaw import activation

    prefix = _prefix(project)
    env = activation.variables(prefix)
    with tempfile.TemporaryDirectory() as folder:
        command = activation.shell_command(prefix, env, Path(folder))
        console.note(f"a shell with {prefix} activated; leave it with: exit")
        return process.attached(command, env)


def doctor(project: Project, options: argparse.Namespace) -> int:
    """Look at machine, cache, network, lock and environment, and say what to do.

    examples:
      python -m condaw doctor                      read it, or paste it into a ticket
    """
    from condaw.doctor import examine

    checks = examine(project)
    if options.json:
        print(json.dumps([check.as_dict() for check in checks], indent=1))
    else:
        for check in checks:
            _print("ok  " if check.ok else "FAIL", f" {check}", good=check.ok)
    return FINE if all(check.ok for check in checks) else DRIFTED


def completion(project: Project, options: argparse.Namespace) -> int:
    """Print what makes `condaw` a command of your shell, with completion.

    examples:
      python -m condaw completion bash >> ~/.bashrc
      python -m condaw completion zsh >> ~/.zshrc
      python -m condaw completion fish > ~/.config/fish/conf.d/condaw.fish
    """
    from condaw.completion import script

    [verbs] = (a.choices for a in _parser()._actions if isinstance(a.choices, dict))
    long = {
        verb: [word for word in command._option_string_actions if word.startswith("--")]
        for verb, command in verbs.items()
    }
    print(script(options.shell, long))
    return FINE


def _locked(project: Project) -> list[Package]:
    """What the lock holds for this machine. Loads the engine: import what needs it afterwards."""
    from condaw import engine

    engine.load(engine.ENGINE)
    from condaw import lock
    from condaw.install import this_platform

    return lock.read(project.lock_file, this_platform(), lock.channel_urls(project))


def _archives(project: Project, file: Path | None) -> AbstractContextManager[Path | None]:
    """The folder that has the conda packages of the bundle `file`; None where none is given."""
    if file is None:
        return nullcontext()
    from condaw import bundle

    return bundle.opened(project, file)


def _prefix(project: Project) -> Path:
    """The prefix, ready to be used; a stale one is used with a warning."""
    state, reason = stamp.state(project)
    if state in ("missing", "foreign", "broken"):
        raise CannotError(reason, "run: python -m condaw create")
    if state == "stale":
        console.note(f"the environment is stale ({reason}); to renew it: python -m condaw create")
    return project.prefix


def _print(word: str, rest: str, *, good: bool) -> None:
    """A line of a result, which begins with a word that says how good it is."""
    colour = console.GREEN if good else console.RED
    print(console.painted(word, colour, sys.stdout) + console.plain(rest))


def _report(findings: Sequence[Finding], good_news: str, *, as_json: bool) -> int:
    """Show findings, on stdout as JSON or on stderr as lines; returns the exit code."""
    if as_json:
        report = {"ok": not findings, "findings": [finding.as_dict() for finding in findings]}
        print(json.dumps(report, indent=1))
    for finding in [] if as_json else findings:
        console.warn(f"{finding.kind}: {finding.text}", console.RED)
    if findings and not as_json:
        count = f"{len(findings)} finding" + ("s" if len(findings) > 1 else "")
        repair = any(
            f.kind.startswith(("package-", "file-", "record-", "project-")) for f in findings
        )
        console.warn(count + ("; to mend: python -m condaw create --repair" if repair else ""))
    elif not findings and not as_json:
        console.note(good_news, console.GREEN)
    return DRIFTED if findings else FINE


def _parser() -> argparse.ArgumentParser:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m condaw",
        description="This project's conda environment: made from conda-lock.yml, and proved.",
        epilog=EXIT_CODES,
        formatter_class=as_written,
    )
    parser.add_argument("--version", action="version", version=f"condaw {__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for function in (create, verify, status, lock, bundle, run, shell, doctor, completion):
        summary, _, examples = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
        command = commands.add_parser(
            function.__name__,
            help=summary,
            description=summary,
            epilog=examples,
            formatter_class=as_written,
        )
        command.set_defaults(command=function)
        command.add_argument("-q", "--quiet", action="store_true", help="only failures speak")
        if function in (verify, status, lock, doctor):
            command.add_argument("--json", action="store_true", help="print the result as JSON")
        if function is create:
            command.add_argument(
                "--repair", action="store_true", help="make it again even if it looks right"
            )
            command.add_argument(
                "--bundle", type=Path, metavar="FILE", help="take everything from this bundle"
            )
        if function is bundle:
            command.add_argument("file", type=Path, metavar="FILE", help="the bundle to write")
            command.add_argument(
                "--platform", nargs="+", metavar="SUBDIR", help="for these, not for this machine"
            )
        if function is lock:
            mode = command.add_mutually_exclusive_group()
            mode.add_argument("--check", action="store_true", help="only say whether it is fresh")
            mode.add_argument(
                "--pin", action="store_true", help="and write exact versions to environment.yml"
            )
            mode.add_argument(
                "--update", nargs="+", metavar="NAME", help="move only these and what they drag"
            )
            command.add_argument(
                "--platform", nargs="+", metavar="SUBDIR", help="solve only for these"
            )
            command.add_argument(
                "--markdown", action="store_true", help="print the changes for a pull request"
            )
        if function is completion:
            command.add_argument("shell", choices=("bash", "zsh", "fish"))
        if function is run:
            command.add_argument("words", nargs=argparse.REMAINDER, metavar="-- CMD")
    return parser


if __name__ == "__main__":
    process.finish(main())
