"""Log in to hosts over SSH and print how long each has been up."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .fleet import Row
    from .hostkeys import KnownHosts
    from .session import Target

FINE, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_END = """Passwords come from the inventory, the variable SSH_UPTIME_PASSWORD, the keyring or a
prompt, never from a flag. Exit code: 0 all fine, 1 some failed, 2 usage, 130 interrupted."""

_FLAGS: dict[str, dict[str, Any]] = {
    "hosts": {"nargs": "*", "metavar": "HOST", "help": "[user@]host[:port], or a name in FILE"},
    "-i --inventory": {"action": "append", "metavar": "FILE", "help": "netmiko's .yml, or a list"},
    "-u --user": {"dest": "username", "help": "user, for hosts that name none"},
    "--port": {"type": int, "help": "port, for hosts that name none (22)"},
    "--device-type": {"metavar": "TYPE", "help": "device type, for hosts that name none (linux)"},
    "--key": {"dest": "key_file", "metavar": "FILE", "help": "private key to log in with"},
    "--agent": {"action": "store_true", "help": "log in with the keys of ssh-agent"},
    "--keyring": {"action": "store_true", "help": "take passwords from the system's keyring"},
    "--ssh-config": {"metavar": "FILE", "help": "'none', or a file (~/.ssh/config)"},
    "--known-hosts": {"metavar": "FILE", "help": "instead of your known_hosts and the system's"},
    "--accept-new": {"action": "store_true", "help": "add the keys of hosts that have none yet"},
    "--insecure": {"action": "store_true", "help": "check no host key: for a lab, not for secrets"},
    "-w --workers": {"type": int, "default": 32, "help": "sessions at the same time (32)"},
    "--processes": {"type": int, "default": 1, "help": "processes to share the work (1)"},
    "--scheduler": {"metavar": "URL", "help": "a Dask cluster to do the work (tcp://...)"},
    "-t --timeout": {"type": float, "default": 15.0, "help": "seconds to connect, and again (15)"},
    "-o --output": {"choices": ("table", "json", "csv", "prom"), "default": "table"},
    "-f --file": {"help": "write the output there, whole or not at all"},
    "--self-test": {"action": "store_true", "help": "log in to a server in this process"},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser("ssh-uptime", description=__doc__, epilog=_END)
    for names, options in _FLAGS.items():
        parser.add_argument(*names.split(), **options)
    args = parser.parse_args(argv)
    if args.self_test:
        from .selftest import main as self_test

        return self_test()
    if not (args.hosts or args.inventory):
        parser.error("no hosts: name some, or give an inventory with -i FILE")
    if args.accept_new and args.insecure:
        parser.error("--accept-new and --insecure exclude each other")
    if min(args.workers, args.processes, args.timeout, args.port or 1) <= 0:
        parser.error("--workers, --processes, --timeout and --port must be above 0")
    from .inventory import UsageError

    try:
        return _run(args)
    except (UsageError, OSError) as error:
        print(f"ssh-uptime: {error}", file=sys.stderr)
        return USAGE


def _run(args: argparse.Namespace) -> int:
    from . import output
    from .fleet import collect

    known, targets = _prepare(args)
    rows: list[Row] = []
    stopped = False
    with output.progress(len(targets)) as advance, _executor(args, len(targets)) as (pool, sizes):
        try:
            for row in collect(targets, args.timeout, pool, *sizes):
                rows.append(row)
                known.add(row.learned)
                advance()
        except KeyboardInterrupt:
            stopped = True
    output.write(output.FORMS[args.output](output.in_order(rows)), args.file)
    if stopped:
        print(f"interrupted: {len(rows)} of {len(targets)} hosts were done", file=sys.stderr)
        _leave()
    return FINE if all(row.ok for row in rows) else SOME_FAILED


def _prepare(args: argparse.Namespace) -> "tuple[KnownHosts, list[Target]]":
    """Find what is wrong with the command line before any host is asked."""
    from . import inventory, targets
    from .hostkeys import KnownHosts

    needed = [args.key_file, args.ssh_config, None if args.accept_new else args.known_hosts]
    for file in needed:
        if file not in (None, "none") and not Path(file).expanduser().is_file():
            raise inventory.UsageError(f"{file}: no such file")
    if args.file and not Path(args.file).absolute().parent.is_dir():
        raise inventory.UsageError(f"{args.file}: its folder does not exist")
    if args.insecure:
        print("WARNING: --insecure: NO host key is checked; whoever is in between can read "
              "passwords and forge answers", file=sys.stderr)  # fmt: skip
    mode = "insecure" if args.insecure else "accept-new" if args.accept_new else "strict"
    system = "/etc/ssh" if os.name == "posix" else f"{os.environ.get('PROGRAMDATA')}/ssh"
    files = ["~/.ssh/known_hosts", f"{system}/ssh_known_hosts"]
    known = KnownHosts([args.known_hosts] if args.known_hosts else files, mode)
    config = Path(args.ssh_config or "~/.ssh/config").expanduser()
    names = ("username", "port", "device_type", "key_file")
    flags = {name: getattr(args, name) for name in names if getattr(args, name)}
    flags["allow_agent"] = args.agent
    entries = inventory.read(args.hosts, args.inventory or [])
    found = targets.resolve(
        entries, flags, known, config if config.is_file() else None, _Passwords(args.keyring)
    )
    return known, list(found)
