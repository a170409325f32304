"""Log in to hosts over SSH and print how long each has been up."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from getpass import getpass
from pathlib import Path
from typing import Any

from .failures import UsageError, plain  # the rest is imported where it is used: the help is fast

FINE, SOME_FAILED, USAGE, STOPPED = 0, 1, 2, 130

_END = """Passwords come from the inventory, the variable SSH_UPTIME_PASSWORD or --ask-password.
Exit code: 0 all fine, 1 some failed, 2 usage, 130 interrupted."""

_FLAGS: dict[str, dict[str, Any]] = {
    "hosts": {"nargs": "*", "metavar": "HOST", "help": "[user@]host[:port], or a name in FILE"},
    "-i --inventory": {"metavar": "FILE", "help": "an inventory of netmiko, nornir or Ansible"},
    "-u --user": {"dest": "username", "help": "user, for hosts that name none"},
    "--port": {"type": int, "help": "port, for hosts that name none (22)"},
    "--device-type": {"metavar": "TYPE", "help": "device type, for hosts that name none (linux)"},
    "--key": {"dest": "key_file", "metavar": "FILE", "help": "private key to log in with"},
    "--ask-password": {"action": "store_true", "help": "ask for a password"},
    "--keep-trying": {"action": "store_true", "help": "go on with a password that hosts refuse"},
    "--ssh-config": {"metavar": "FILE", "help": "'none', or a file instead of ssh's own"},
    "--known-hosts": {"metavar": "FILE", "help": "instead of your known_hosts and the system's"},
    "--accept-new": {"action": "store_true", "help": "add the keys of hosts that have none yet"},
    "-w --workers": {"type": int, "default": 32, "help": "sessions at the same time (32)"},
    "-t --timeout": {"type": float, "default": 30.0, "help": "seconds for a host, in all (30)"},
    "-o --output": {"choices": ("table", "wide", "json", "prom"), "default": "table"},
    "-f --file": {"help": "write the output there, whole or not at all"},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser("ssh-uptime", description=__doc__, epilog=_END)
    for names, options in _FLAGS.items():
        parser.add_argument(*names.split(), **options)
    args = parser.parse_args(argv)
    if not (args.hosts or args.inventory):
        parser.error("no hosts: name some, or give an inventory with -i FILE")
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
    # paramiko would load it for `Match exec`, which `ssh -G` answers: a third of the start.
    sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]
    from . import output
    from .fleet import Row, collect

    for name in ("SIGTERM", "SIGHUP"):  # they end the run as Ctrl-C does
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores it
            signal.signal(number, signal.default_int_handler)
    targets, began, stopped = _targets(args), time.monotonic(), False
    rows: list[Row] = []
    pool = ThreadPoolExecutor(args.workers)
    try:
        rows.extend(collect(targets, pool, args.timeout, args.keep_trying))
    except KeyboardInterrupt:  # the rows so far are there
        stopped = True
    pool.shutdown(wait=False, cancel_futures=True)
    rows, fine = output.in_order(rows), sum(row.ok for row in rows)
    output.write(output.FORMS[args.output](rows), args.file)
    if stopped:
        print(f"interrupted: {len(rows)} of {len(targets)} hosts were done", file=sys.stderr)
        sys.stderr.flush()
        os._exit(STOPPED)  # Python would wait for the threads, and their sessions
    if len(rows) > 1:
        said = f"{fine} of {len(rows)} hosts answered, {len(rows) - fine} failed"
        print(f"{said}, in {time.monotonic() - began:.1f} s", file=sys.stderr)
    return FINE if fine == len(rows) else SOME_FAILED


def _targets(args: argparse.Namespace) -> list[Any]:
    """Find what is wrong with the command line before any host is asked."""
    from . import inventory
    from .targets import resolve

    if args.known_hosts and not args.accept_new:
        Path(args.known_hosts).stat()  # or it is reported as missing
    entries = inventory.read(args.hosts, args.inventory)
    names = ("username", "port", "device_type", "key_file")
    defaults = {name: getattr(args, name) for name in names if getattr(args, name)}
    defaults["passphrase"] = os.environ.get("SSH_UPTIME_PASSPHRASE")
    defaults["password"] = getpass() if args.ask_password else os.environ.get("SSH_UPTIME_PASSWORD")
    return resolve(entries, defaults, args.ssh_config, args.known_hosts, args.accept_new)


if __name__ == "__main__":
    sys.exit(main())
