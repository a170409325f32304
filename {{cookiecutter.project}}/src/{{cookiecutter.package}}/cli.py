"""Log in to hosts over SSH and print how long each has been up."""

import argparse
import functools
import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .failures import UsageError, plain

if TYPE_CHECKING:  # the rest is imported where it is used: the help is fast
    from .fleet import Row
    from .targets import Target

FINE, SOME_FAILED, USAGE, STOPPED = 0, 1, 2, 130

_END = """Passwords come from the inventory, the variable SSH_UPTIME_PASSWORD or a prompt, never
from a flag. Exit code: 0 all fine, 1 some failed, 2 usage, 130 interrupted."""

_FLAGS: dict[str, dict[str, Any]] = {
    "hosts": {"nargs": "*", "metavar": "HOST", "help": "[user@]host[:port], or a name in FILE"},
    "-i --inventory": {
        "action": "append",
        "metavar": "FILE",
        "help": "a list, or an inventory of netmiko, nornir or Ansible",
    },
    "-u --user": {"dest": "username", "help": "user, for hosts that name none"},
    "--port": {"type": int, "help": "port, for hosts that name none (22)"},
    "--device-type": {"metavar": "TYPE", "help": "device type, for hosts that name none (linux)"},
    "--key": {"dest": "key_file", "metavar": "FILE", "help": "private key to log in with"},
    "--ask-password": {"action": "store_true", "help": "ask for a password, even with keys"},
    "--keep-trying": {"action": "store_true", "help": "go on with a secret that hosts refuse"},
    "--ssh-config": {"metavar": "FILE", "help": "'none', or a file instead of ssh's own"},
    "--known-hosts": {"metavar": "FILE", "help": "instead of your known_hosts and the system's"},
    "--accept-new": {"action": "store_true", "help": "add the keys of hosts that have none yet"},
    "--insecure": {"action": "store_true", "help": "check no host key: for a lab, not for secrets"},
    "-w --workers": {"type": int, "default": 32, "help": "sessions at the same time (32)"},
    "-t --timeout": {"type": float, "default": 30.0, "help": "seconds for a host, in all (30)"},
    "-o --output": {"choices": ("table", "json", "prom"), "default": "table"},
    "--algorithms": {"action": "store_true", "help": "show in the table what SSH agreed on"},
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
    if not all(0 < number < 65536 for number in (args.workers, args.timeout, args.port or 22)):
        parser.error("--workers, --timeout and --port are from 1 to 65535")
    try:
        return _run(args)
    except (UsageError, OSError) as error:
        print(f"ssh-uptime: {plain(str(error))}", file=sys.stderr)
    except KeyboardInterrupt:
        return STOPPED
    return USAGE


def _run(args: argparse.Namespace) -> int:
    from . import output
    from .fleet import collect

    for name in ("SIGTERM", "SIGHUP"):  # they end the run as Ctrl-C does
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores it
            signal.signal(number, signal.default_int_handler)
    began, stopped = time.monotonic(), False
    targets, rows = _targets(args), list["Row"]()
    files = {target.name: target.known_hosts for target in targets}
    pool = ThreadPoolExecutor(args.workers)
    try:
        for row in collect(targets, pool, args.timeout, args.keep_trying):
            rows.append(row)
            _keep_host_key(row, files[row.name])
    except KeyboardInterrupt:
        stopped = True
    pool.shutdown(wait=False, cancel_futures=True)
    rows, fine = output.in_order(rows), sum(row.ok for row in rows)
    if args.output == "table":
        text = output.table(rows, args.algorithms)
    else:
        text = output.FORMS[args.output](rows)
    output.write(text, args.file)
    if stopped:
        print(f"interrupted: {len(rows)} of {len(targets)} hosts were done", file=sys.stderr)
        sys.stderr.flush()
        os._exit(STOPPED)  # Python would wait for the threads, and their sessions
    if len(rows) > 1:
        said = f"{fine} of {len(rows)} hosts answered, {len(rows) - fine} failed"
        print(f"{said}, in {time.monotonic() - began:.1f} s", file=sys.stderr)
    return FINE if fine == len(rows) else SOME_FAILED


def _keep_host_key(row: "Row", files: tuple[str, ...]) -> None:
    """Add the key that --accept-new accepted, if there is one."""
    from . import hostkeys

    try:
        hostkeys.read(files).add(row.learned)
    except OSError as error:
        print(f"the key of {row.name} was not kept: {error}", file=sys.stderr)


def _targets(args: argparse.Namespace) -> "list[Target]":
    """Find what is wrong with the command line before any host is asked."""
    from . import inventory, targets

    if args.insecure:
        print("WARNING: --insecure: host keys are NOT checked", file=sys.stderr)
    for file in (args.ssh_config, None if args.accept_new else args.known_hosts):
        if file not in (None, "none") and not Path(file).expanduser().exists():
            raise UsageError(f"{file}: no such file")
    names = ("username", "port", "device_type", "key_file")
    options = targets.Options(
        flags={name: getattr(args, name) for name in names if getattr(args, name)},
        ssh_config=args.ssh_config,
        known_hosts=args.known_hosts,
        mode="insecure" if args.insecure else "accept-new" if args.accept_new else "strict",
        passphrase=os.environ.get("SSH_UPTIME_PASSPHRASE"),
    )
    entries = inventory.read(args.hosts, args.inventory or [])
    if not entries:
        raise UsageError(f"no hosts in {', '.join(args.inventory)}")
    ask = functools.cache(lambda: getpass("Password (empty for none): "))
    given = os.environ.get("SSH_UPTIME_PASSWORD")

    def password(user: str, host: str, needed: bool) -> str | None:
        typed = not given and (args.ask_password or (needed and _at_keyboard())) and ask()
        return given or typed or None

    return targets.resolve(entries, options, password)


def _at_keyboard() -> bool:
    """Return whether somebody can type. On Windows, isatty() is also true for NUL."""
    is_nul = os.name == "nt" and isinstance(getattr(sys.stdin.buffer, "raw", None), io.FileIO)
    return sys.stdin.isatty() and not is_nul
