"""Log in to hosts over SSH and print how long each has been up."""

import argparse
import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from getpass import getpass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    "--agent": {"dest": "allow_agent", "action": "store_true", "help": "use ssh-agent"},
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
    numbers = (args.workers, args.processes, args.timeout, args.port or 22)
    if not all(0 < number < 65536 for number in numbers):
        parser.error("--workers, --processes, --timeout and --port are from 1 to 65535")
    from .failures import plain
    from .inventory import UsageError

    try:
        return _run(args)
    except ImportError as error:  # keyring and distributed are installed by who wants them
        print(f"ssh-uptime: {error}: install it in this environment", file=sys.stderr)
    except (UsageError, OSError) as error:
        print(f"ssh-uptime: {plain(str(error))}", file=sys.stderr)
    except KeyboardInterrupt:
        return INTERRUPTED
    return USAGE


def _run(args: argparse.Namespace) -> int:
    from . import output
    from .fleet import collect

    known, targets = _prepare(args)
    rows: list[Row] = []
    stopped = False
    with _executor(args, len(targets)) as (executor, sizes):
        coming = collect(targets, args.timeout, executor, *sizes)
        try:
            for row in output.progress(coming, len(targets)):
                rows.append(row)
                try:
                    known.add(row.learned)
                except OSError as error:
                    print(f"the key of {row.name} was not kept: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            stopped = True
    output.write(output.FORMS[args.output](output.in_order(rows)), args.file)
    if stopped:
        print(f"interrupted: {len(rows)} of {len(targets)} hosts were done", file=sys.stderr)
        children = multiprocessing.active_children()
        for child in children:
            child.terminate()
        if not children:  # Python would wait for the threads, and their sessions
            os._exit(INTERRUPTED)
        return INTERRUPTED
    return FINE if all(row.ok for row in rows) else SOME_FAILED


def _prepare(args: argparse.Namespace) -> "tuple[KnownHosts, list[Target]]":
    """Find what is wrong with the command line before any host is asked."""
    from . import inventory
    from .hostkeys import KnownHosts

    if args.insecure:
        print("WARNING: --insecure: host keys are NOT checked", file=sys.stderr)
    config = Path(args.ssh_config or "~/.ssh/config").expanduser()
    needed = [args.key_file, args.ssh_config, None if args.accept_new else args.known_hosts]
    needed.append(args.file and str(Path(args.file).absolute().parent))
    for file in needed:
        if file not in (None, "none") and not Path(file).expanduser().exists():
            raise inventory.UsageError(f"{file}: no such file or folder")
    mode = "insecure" if args.insecure else "accept-new" if args.accept_new else "strict"
    system = "/etc/ssh" if os.name == "posix" else f"{os.environ.get('PROGRAMDATA')}/ssh"
    files = ["~/.ssh/known_hosts", f"{system}/ssh_known_hosts"]
    known = KnownHosts([args.known_hosts] if args.known_hosts else files, mode)
    names = ("username", "port", "device_type", "key_file", "allow_agent")
    flags = {name: getattr(args, name) for name in names if getattr(args, name)}
    entries = inventory.read(args.hosts, args.inventory or [])
    return known, inventory.resolve(entries, flags, known, config, _passwords(args.keyring))


def _passwords(keyring: bool) -> Callable[[str, str, bool], str | None]:
    """What finds a password: in the environment, the keyring if asked, by a prompt if needed."""
    stored = import_module("keyring").get_password if keyring else lambda *_: None
    ask = functools.cache(lambda: getpass("Password (empty for none): "))

    def find(user: str, host: str, needed: bool) -> str | None:
        found = os.environ.get("SSH_UPTIME_PASSWORD") or stored("ssh-uptime", f"{user}@{host}")
        found = found or stored("ssh-uptime", user)
        return found or (ask() if needed and sys.stdin.isatty() else "") or None

    return find


@contextmanager
def _executor(args: argparse.Namespace, count: int) -> "Iterator[tuple[Executor, list[int]]]":
    """The executor that the flags ask for; hosts for each of its tasks, and threads in it."""
    if args.scheduler:
        with import_module("distributed").Client(args.scheduler, set_as_default=False) as client:
            yield client.get_executor(), [args.workers, args.workers]
        return
    pool: Executor = ThreadPoolExecutor(args.workers)
    sizes = [1, 1]
    if args.processes > 1:
        deaf = signal.signal, (signal.SIGINT, signal.SIG_IGN)
        pool = ProcessPoolExecutor(args.processes, multiprocessing.get_context("spawn"), *deaf)
        threads = max(1, args.workers // args.processes)
        sizes = [max(1, min(4 * threads, count // args.processes)), threads]
    try:
        yield pool, sizes
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
