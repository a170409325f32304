"""The commands, and one exit code for every outcome."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from condaw import console, process, stamp
from condaw.arguments import command_line, long_options
from condaw.outcome import CANNOT, DRIFTED, FINE, CannotError, Finding, redacted
from condaw.project import Project, cache_dir, this_project

if TYPE_CHECKING:
    from condaw.lock import Package


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = command_line(COMMANDS).parse_args(arguments)
    console.quiet = options.quiet
    try:
        code = int(options.command(this_project(), options))
        sys.stdout.flush()
        return code
    except CannotError as error:
        console.warn(f"cannot {options.verb}: {error.cause}", console.RED)
        console.warn(f"next: {error.next_step}")
        return CANNOT
    except BrokenPipeError:  # who reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CANNOT
    except KeyboardInterrupt:
        console.warn("stopped; nothing is half done")
        return CANNOT
    except Exception as error:
        if os.environ.get("CONDAW_DEBUG"):
            raise
        text = redacted(f"{type(error).__name__}: {error}")
        console.warn(f"cannot {options.verb}: {text}", console.RED)
        step = "run it again with CONDAW_DEBUG=1, which shows where, and report that"
        if isinstance(error, ImportError):  # something has removed a part of the engine
            step = f"remove the cache {cache_dir()}, and run the command again"
        console.warn(f"next: {step}")
        return CANNOT


def create(project: Project, options: argparse.Namespace) -> int:
    """Make the environment what the lock says; nothing to do costs nothing.

    examples:
      python -m condaw create                      make it, or see that it is made
      python -m condaw create --repair             make it again, from checked packages
      python -m condaw create --bundle FILE        without a network
    """
    reason = stamp.nothing_to_do(project.root)
    if reason and not options.repair:
        console.note(reason, console.GREEN)
        return FINE
    made_from = stamp.inputs(project.root)
    with _archives(project, options.bundle) as archives:
        packages = _locked(project)
        from condaw import install, specs

        if unmet := specs.unmet(project, packages):
            raise CannotError("; ".join(unmet[:3]), "run: python -m condaw lock")
        install.create(project, packages, made_from, repair=options.repair, archives=archives)
    from condaw.verify import python_version, smoke

    findings = [*python_version(project.prefix, packages), *smoke(project)]
    return _report(findings, f"created and verified {project.prefix}", as_json=False)


def verify(project: Project, options: argparse.Namespace) -> int:
    """Compare the environment with the lock, file by file, and run the smoke commands.

    examples:
      python -m condaw verify                      after an accident, or before a release
    """
    while True:
        seen = stamp.identity(project.root)
        try:
            findings, good = _examined(project)
        except OSError:
            if stamp.identity(project.root) == seen:
                raise
            continue
        if not findings or stamp.identity(project.root) == seen:
            return _report(findings, good, as_json=options.json)
        # Another condaw has replaced it meanwhile: look at the one that came.


def status(project: Project, options: argparse.Namespace) -> int:
    """Say in milliseconds whether the environment is there and made from today's lock.

    examples:
      python -m condaw status                      is it up to date?
      python -m condaw status -q                   in a git hook: speaks if something is due
    """
    state, reason = stamp.state(project.root)
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

    channels = lock.channel_urls(project)
    platforms = options.platform or [lock.this_platform()]
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
        command_line(COMMANDS).error("run: name the command to run, as in: run -- pytest")
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

    print(script(options.shell, long_options(command_line(COMMANDS))))
    return FINE


def _locked(project: Project) -> list[Package]:
    """What the lock holds for this machine. Loads the engine: import what needs it afterwards."""
    from condaw import engine

    engine.load(engine.ENGINE)
    from condaw import lock

    return lock.read(project.lock_file, lock.this_platform(), lock.channel_urls(project))


def _examined(project: Project) -> tuple[list[Finding], str]:
    """All findings about the environment, and what to say if there are none."""
    state, reason = stamp.state(project.root)
    if state in ("missing", "foreign"):
        raise CannotError(reason, "run: python -m condaw create")
    packages = _locked(project)
    from condaw import specs
    from condaw.verify import python_version, smoke, verify

    findings = [Finding("environment-stale", reason)] if state == "stale" else []
    findings += [Finding("lock-stale", text) for text in specs.unmet(project, packages)]
    findings += verify(project, project.prefix, packages)
    findings += python_version(project.prefix, packages)
    findings += smoke(project)
    return findings, f"{project.prefix} is what conda-lock.yml says: {len(packages)} packages"


def _archives(project: Project, file: Path | None) -> AbstractContextManager[Path | None]:
    """The folder that has the conda packages of the bundle `file`; None where none is given."""
    if file is None:
        return nullcontext()
    from condaw import bundle

    return bundle.opened(project, file)


def _prefix(project: Project) -> Path:
    """The prefix, ready to be used; a stale one is used with a warning."""
    state, reason = stamp.state(project.root)
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


COMMANDS = (create, verify, status, lock, bundle, run, shell, doctor, completion)
