"""The commands: each with its options and its exit code.

Most often `status` and `create` find nothing to do. To answer that at once, this module imports
only what every command needs; each command imports the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace

from condaw import __version__
from condaw.base import console, layout, process
from condaw.base.errors import CannotError
from condaw.environment import state

TYPE_CHECKING = False  # typing is slow to load
if TYPE_CHECKING:
    import argparse
    from pathlib import Path
    from typing import Any

    from condaw.base.project import Project
    from condaw.environment.findings import Finding
    from condaw.lockfile.package import Package

OK, DRIFTED, CANNOT = 0, 1, 3  # exit codes; argparse has 2 for a wrong command line
EXIT_CODES = """exit codes: 0 fine; 1 drifted: environment or lock are not what they should be; 2
usage; 3 cannot: the last lines say why. `run` and `shell` end with the code of what they ran."""
FLAGS = ("-q", "--quiet", "--json")  # what may also stand before the command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    console.tolerate_any_letter()
    words = list(sys.argv[1:] if arguments is None else arguments)
    options: Any = _plain(words) or _parsed(words)
    console.quiet = options.quiet
    try:
        code = int(options.function(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CANNOT
    except KeyboardInterrupt:
        console.warn("stopped; nothing is half done")
        return CANNOT
    except CannotError as error:
        failure = error
    except Exception as error:
        if os.environ.get("CONDAW_DEBUG"):
            raise
        step = "run it again with CONDAW_DEBUG=1, which shows where, and report that"
        if isinstance(error, ImportError):  # something has removed a part of the engine
            step = "remove condaw's cache (`doctor` names it), and run the command again"
        failure = CannotError(f"{type(error).__name__}: {error}", step)
    console.warn(f"cannot {options.verb}: {failure.cause}")
    console.warn(f"next: {failure.next_step}")
    return CANNOT


def _plain(words: list[str]) -> SimpleNamespace | None:
    """Return what argparse, which takes as long as they do, would of `create` and `status`; None
    with any option but `-q`."""
    if words[:1] not in (["create"], ["status"]) or {*words[1:]} - {"-q", "--quiet"}:
        return None
    function, options = COMMANDS[words[0]]
    unset = {name.strip("-"): False if "action" in it else None for name, it in options.items()}
    return SimpleNamespace(verb=words[0], function=function, quiet=len(words) > 1, **unset)


def _parsed(words: list[str]) -> argparse.Namespace:
    first = next((n for n, word in enumerate(words) if word not in FLAGS), len(words))
    verb, rest = words[first : first + 1], [*words[:first], *words[first + 1 :]]
    if verb in ([], ["help"]):
        verb, rest = rest[:1] if verb else [], ["--help"]
    return _parser(*verb).parse_args([*verb, *rest])


def _parser(verb: str = "") -> argparse.ArgumentParser:
    """Return the command line: of one command with its `verb`. Each docstring is a summary."""
    import argparse
    import functools

    # argparse would import shutil to ask how wide the terminal is.
    formatter = functools.partial(argparse.RawDescriptionHelpFormatter, width=80)
    parser = argparse.ArgumentParser(
        prog=console.as_started(console.CONDAW),
        description="This project's conda environment: made from conda-lock.yml, and verified.",
        epilog=EXIT_CODES,
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=f"condaw {__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for name in [verb] if verb in COMMANDS else COMMANDS:
        function, options = COMMANDS[name]
        text = function.__doc__
        command = commands.add_parser(name, help=text, description=text, formatter_class=formatter)
        command.set_defaults(function=function)
        command.add_argument("-q", "--quiet", action="store_true", help="print only failures")
        for argument, settings in options.items():
            command.add_argument(argument, **settings)
    return parser


def _flag(text: str) -> dict[str, Any]:
    return {"action": "store_true", "help": text}


def _words(metavar: str, text: str) -> dict[str, Any]:
    return {"nargs": "+", "metavar": metavar, "help": text}


def do_create(options: argparse.Namespace) -> int:
    """Make the environment from the lock, and verify it."""
    if options.bundle and not os.path.isfile(options.bundle):
        cause = f"the bundle {options.bundle} cannot be used: No such file"
        raise CannotError(cause, "name the right file")
    groups = sorted(options.without or ())
    reason = state.nothing_to_do(groups)
    if reason and not options.repair:
        console.note(reason)
        return OK
    from contextlib import ExitStack
    from pathlib import Path

    made_from = {**state.inputs(layout.ROOT), state.WITHOUT: os.fsencode(" ".join(groups))}
    with ExitStack() as stack:
        archives = None
        if options.bundle:
            from condaw import bundle
            from condaw.base.project import Project

            archives = stack.enter_context(bundle.opened(Project(), Path(options.bundle)))
        project, packages = _locked()
        from condaw.environment import create
        from condaw.lockfile import satisfies

        if unmet := satisfies.unmet(project, packages):
            raise CannotError("; ".join(unmet[:3]), "run: python -m condaw lock")
        packages = satisfies.without(project, packages, groups)
        if lacking := next(satisfies.lacking(packages), None):
            raise CannotError(lacking, "use a newer system, or lock older versions for this one")
        repair = options.repair
        failed = create.create_environment(project, packages, made_from, repair, archives)
    return _report(failed, f"created and verified {project.prefix}")


def do_verify(options: argparse.Namespace) -> int:
    """Compare the environment with the lock, file by file, and run the smoke commands."""
    from contextlib import nullcontext

    from condaw.base.file_lock import exclusive
    from condaw.base.project import Project

    project = Project()
    writable = os.access(project.root, os.W_OK) or project.file_lock.exists()
    # In a folder that cannot be written, nobody can make another environment meanwhile.
    with exclusive(project.file_lock, project.prefix) if writable else nullcontext():
        word, reason = state.state()
        if word in ("missing", "foreign"):
            raise CannotError(reason, state.next_step(word))
        packages = _locked()[1]
        from condaw.environment import verify
        from condaw.environment.findings import Finding, Kind
        from condaw.environment.smoke import smoke
        from condaw.lockfile import satisfies

        stale = [reason] if word in ("stale", "broken") else []
        findings = [Finding(Kind.ENVIRONMENT_STALE, text) for text in stale]
        findings += [Finding(Kind.LOCK_STALE, text) for text in satisfies.unmet(project, packages)]
        packages = satisfies.without(project, packages, state.left_out())
        findings += verify.compare(project, project.prefix, packages)
        findings += smoke(project, packages)
    if not options.json:
        good = f"{project.prefix} is what conda-lock.yml says: {len(packages)} packages"
        return _report(findings, good)
    import json

    result = {"ok": not findings, "findings": [each.as_dict() for each in findings]}
    print(json.dumps(result, indent=1))
    return DRIFTED if findings else OK


def do_status(options: argparse.Namespace) -> int:
    """Say in milliseconds whether the environment is there and made from today's lock."""
    word, reason = state.state()
    ready = word == "ready"
    if options.json:
        import json

        prefix = os.path.join(layout.ROOT, layout.PREFIX)
        print(json.dumps({"state": word, "reason": reason, "prefix": prefix}, indent=1))
    elif not ready or not options.quiet:
        print(console.plain("; ".join(filter(None, [f"{word}: {reason}", state.next_step(word)]))))
    return OK if ready else DRIFTED


def do_lock(options: argparse.Namespace) -> int:
    """Solve environment.yml into conda-lock.yml, or check that the lock is fresh."""
    if (options.check, options.pin or options.upgrade, bool(options.update)).count(True) > 1:
        _parser().error("lock: use only one of --check, --update, and --upgrade or --pin")
    project = _with_engine(relock=not options.check)
    if options.check:
        from condaw.environment.findings import Finding, Kind
        from condaw.lockfile import satisfies

        step = "run: python -m condaw lock"
        texts = [f"{text}; {step}" for text in satisfies.stale(project)]
        findings = [Finding(Kind.LOCK_STALE, text) for text in texts]
        return _report(findings, "conda-lock.yml is fresh: it has what environment.yml asks for")
    from condaw.lockfile import edit, solve

    if options.pin:
        changes = edit.upgrade(project) if options.upgrade else edit.pin(project)
    else:
        changes = solve.relock(project, options.update or (), upgrade=options.upgrade)
    print(changes)
    return OK


def do_edit(options: argparse.Namespace) -> int:
    """Add packages to environment.yml, or remove them, lock what that needs, and create."""
    create = [sys.executable, "-m", "condaw", "create", *(["-q"] if options.quiet else [])]
    create += ["--without", *less] if (less := state.left_out()) else []
    env = dict(os.environ)
    project = _with_engine(relock=True)
    from condaw.lockfile import edit

    files = (project.environment_yml, project.lock_file)
    before = {file: file.read_bytes() for file in files if file.exists()}
    print(getattr(edit, options.verb)(project, options.names, pip=options.pip), flush=True)
    # In a process of its own: conda-lock leaves this one changed.
    if (code := process.attached(create, env, project.root)) not in (OK, DRIFTED):
        for file, content in before.items():
            file.write_bytes(content)
        console.warn("environment.yml and conda-lock.yml are as they were")
    return code


def do_audit(options: argparse.Namespace) -> int:
    """Ask OSV for known vulnerabilities of what is locked; 1 if one of them is fixed upstream."""
    project = _with_engine()
    from condaw import audit

    findings, asked, locked = audit.examine(project)
    words = []
    for each in findings:
        fix, accepted = each.get("fixed_version"), each.get("ignored")
        end = f"fixed in {fix}" if fix else "not fixed yet"
        if accepted:
            end = f"{accepted}: {each.get('justification', 'no reason is given')}"
        words.append("ok  " if accepted else "FAIL" if fix else "open")
        about = each.get("summary", each["url"])  # not every advisory has one
        text = f"{each['package']} {each['version']}: {each['id']}: {about}; {end}"
        print(console.plain(f"{words[-1]} {text}"))
    console.note(f"{asked} of {locked} packages could be asked about")
    return DRIFTED if "FAIL" in words else OK


def do_bundle(options: argparse.Namespace) -> int:
    """Put everything that the lock names into one file, for a machine without a network."""
    from pathlib import Path

    project = _with_engine()
    from condaw import bundle

    file = Path(options.file)
    bundle.write(project, file, options.platform or (), options.without or ())
    console.note(f"wrote {file}, {file.stat().st_size / 1e6:.0f} MB")
    return OK


def do_run(options: argparse.Namespace) -> int:
    """Run a command in the activated environment."""
    from condaw.environment import activation

    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        _parser().error("run: name the command to run, as in: run -- pytest")
    env = activation.variables(_usable_prefix())
    try:
        process.become(words, env)
    except OSError as error:
        cause = f"{words[0]}: {error.strerror}"
        raise CannotError(cause, "check that the environment has it") from None


def do_shell(options: argparse.Namespace) -> int:
    """Start your shell in the activated environment."""
    import tempfile
    from pathlib import Path

    from condaw.environment import activation

    prefix = _usable_prefix()
    env = activation.variables(prefix)
    with tempfile.TemporaryDirectory() as folder:
        command = activation.shell_command(prefix, env, Path(folder))
        console.note(f"a shell with {prefix} activated; leave it with: exit")
        return process.attached(command, env)


def do_doctor(options: argparse.Namespace) -> int:
    """Check machine, cache, network, lock and environment, and say what to do next."""
    from condaw.doctor import examine

    steps = []
    for name, text, next_step in examine():
        end = f"; next: {next_step}" if next_step else ""
        print(console.plain(f"{'FAIL' if end else 'ok  '} {name}: {text}{end}"))
        steps.append(next_step)
    return DRIFTED if any(steps) else OK


def _with_engine(*, relock: bool = False) -> Project:
    """Return the project. Loads the engine: what needs that is to be imported afterwards."""
    from condaw import engine
    from condaw.base.project import Project
    from condaw.network import pip_config

    pip_config.trust()
    engine.load(engine.ENGINE, *([engine.RELOCK] if relock else []))
    return Project()


def _locked() -> tuple[Project, list[Package]]:
    """Return the project, with the engine, and what its lock holds for this machine."""
    project = _with_engine()
    from condaw.lockfile.reader import locked_packages

    return project, locked_packages(project)


def _usable_prefix() -> Path:
    """Return the prefix; note that it is not ready. Raises CannotError if it is not there."""
    from pathlib import Path

    word, reason = state.state()
    if word in ("missing", "foreign", "broken"):
        raise CannotError(reason, state.next_step(word))
    if word != "ready":
        console.note(f"the environment is {word} ({reason}); to renew it: python -m condaw create")
    return Path(layout.ROOT, layout.PREFIX)


def _report(findings: Sequence[Finding], good_news: str) -> int:
    """Print findings, or that there are none, and return the exit code."""
    for finding in findings:
        console.warn(f"{finding.kind.value}: {finding.text}")
    if not findings:
        console.note(good_news)
        return OK
    mended = ("package-", "project-", "file-", "record-")  # by a repair, with the lock as it is
    repair = any(finding.kind.value.startswith(mended) for finding in findings)
    count = f"{len(findings)} finding" + ("s" if len(findings) > 1 else "")
    console.warn(count + ("; to repair: python -m condaw create --repair" if repair else ""))
    return DRIFTED


JSON = {"--json": _flag("print the result as JSON")}
EDIT = {"names": _words("NAME", "a package; to add, also with versions"), "--pip": _flag("on PyPI")}
WITHOUT = {"--without": _words("GROUP", "leave out these dependency groups of pyproject.toml")}
CREATE = {
    "--repair": _flag("make it again, even if it is ready"),
    "--bundle": {"metavar": "FILE", "help": "take everything from this bundle"},
    **WITHOUT,
}
LOCK = {
    "--check": _flag("only say whether it is fresh"),
    "--update": _words("NAME", "also move these to their newest versions"),
    "--upgrade": _flag("move everything to its newest version"),
    "--pin": _flag("write exact versions to environment.yml, with --upgrade newer ones"),
}
BUNDLE = {
    "file": {"metavar": "FILE", "help": "the bundle to write"},
    **WITHOUT,
    "--platform": _words("SUBDIR", "for these, not for this machine"),
}
COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], dict[str, dict[str, Any]]]] = {
    "create": (do_create, CREATE),
    "verify": (do_verify, JSON),
    "status": (do_status, JSON),
    "lock": (do_lock, LOCK),
    "add": (do_edit, EDIT),
    "remove": (do_edit, EDIT),
    "audit": (do_audit, {}),
    "bundle": (do_bundle, BUNDLE),
    "run": (do_run, {"words": {"nargs": "...", "metavar": "-- CMD"}}),
    "shell": (do_shell, {}),
    "doctor": (do_doctor, {}),
}
